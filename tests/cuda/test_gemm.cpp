#include <dino/kernels/gemm.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {

/// a and b lie as the flags say, with `gap` unused values behind each row.
template <class Test, class Out> void check(i64 m, i64 n, i64 k, int layout, bool bias, bool add, i64 gap = 0,
                                             bool residual = false) {
  const bool ta = (layout & 1) != 0, tb = (layout & 2) != 0;
  // value: one rounding of the output to bf16. acc: float sums of k products in another order.
  compare_devices<Test>({.value = 8e-3, .acc = 2e-6}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    constexpr bool narrow = std::is_same_v<Out, Test>;
    using C = std::conditional_t<narrow, T, acc_t<T>>;
    const i64 stride_a = (ta ? m : k) + gap, stride_b = (tb ? k : n) + gap;
    C* c = nullptr;
    if constexpr (narrow) {
      c = run.inout(m * n);
    } else {
      c = run.acc_inout(m * n);
    }
    const C* plus = nullptr;
    if constexpr (narrow) plus = residual ? run.in(m * n) : nullptr;
    launch(run.ctx, kernels::Gemm<T, C>{.c = c,
                                        .a = run.in((ta ? k : m) * stride_a),
                                        .b = run.in((tb ? n : k) * stride_b),
                                        .bias = bias ? run.in(n) : nullptr,
                                        .m = m,
                                        .n = n,
                                        .k = k,
                                        .stride_c = n,
                                        .stride_a = stride_a,
                                        .stride_b = stride_b,
                                        .transpose_a = ta,
                                        .transpose_b = tb,
                                        .add = add,
                                        .residual = plus});
  });
}

}  // namespace

TEMPLATE_TEST_CASE("gemm: CUDA equals CPU in every layout", "[cuda]", float, bf16) {
  const auto [m, n, k] = GENERATE(table<i64, i64, i64>({{1, 1, 1}, {3, 5, 7}, {17, 64, 33}, {64, 48, 80}}));
  const int layout = GENERATE(0, 1, 2, 3);
  check<TestType, TestType>(m, n, k, layout, false, false);
  check<TestType, TestType>(m, n, k, layout, true, false, 3);
  check<TestType, TestType>(m, n, k, layout, true, true);
  check<TestType, TestType>(m, n, k, layout, true, false, 0, true);
}

TEST_CASE("gemm: sums of bf16 products are kept as float", "[cuda]") {
  const bool add = GENERATE(false, true);
  check<bf16, float>(24, 40, 200, 1, false, add);
  check<bf16, float>(5, 3, 9, 2, false, add);
}
