#include <dino/kernels/reduce.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

TEMPLATE_TEST_CASE("reduce: sums on CUDA equal those on the CPU", "[cuda]", float, bf16) {
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {3, 7}, {129, 40}, {300, 33}}));
  const bool add = GENERATE(false, true);
  const i64 n = rows * cols;
  const auto check = [&, rows = rows, cols = cols](auto... shift) {
    compare_devices<TestType>(
        {.value = 8e-3, .acc = 1e-5},  // value: one rounding to bf16. acc: float sums in another order
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          using Columns = kernels::ColumnSum<T>;
          using A = acc_t<T>;
          const T* const x = run.in(n);
          launch(run.ctx, Columns{.out = {add ? run.acc_inout(cols) : run.acc_out(cols), add},
                                  .partial = run.scratch(Columns::blocks(rows) * cols),
                                  .x = x,
                                  .rows = rows,
                                  .cols = cols,
                                  .factor = A(0.5)});
          launch(run.ctx, kernels::Spread<T>{.y = {add ? run.inout(n) : run.out(n), add},
                                             .value = run.acc_values({1.25}),
                                             .n = n,
                                             .factor = A(0.5)});
        },
        shift...);
  };
  check();
  check(Shifted{});
}

TEMPLATE_TEST_CASE("reduce: the sum of everything on CUDA equals that on the CPU", "[cuda]", float, bf16) {
  const i64 n = GENERATE(1, 300, 40000);
  const bool add = GENERATE(false, true);
  // The sum of n normal numbers is about sqrt(n) although its terms are of order 1.
  compare_devices<TestType>({.value = 8e-3, .acc = 5e-5}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::Sum<T>{.out = {add ? run.acc_inout(1) : run.acc_out(1), add},
                                    .partial = run.scratch(kernels::Sum<T>::blocks(n)),
                                    .x = run.in(n),
                                    .n = n,
                                    .factor = acc_t<T>(0.5)});
  });
}

TEMPLATE_TEST_CASE("reduce: the sum of nothing is zero on CUDA", "[cuda]", float, bf16) {
  const bool add = GENERATE(false, true);
  compare_devices<TestType>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const auto out = [&](i64 n) { return Target<acc_t<T>>{add ? run.acc_inout(n) : run.acc_out(n), add}; };
    launch(run.ctx, kernels::Sum<T>{.out = out(1), .partial = run.scratch(0), .x = run.in(0), .n = 0, .factor = 1});
    launch(run.ctx, kernels::ColumnSum<T>{
                        .out = out(5), .partial = run.scratch(0), .x = run.in(0), .rows = 0, .cols = 5, .factor = 1});
  });
}

TEST_CASE("reduce: few rows under a race checker", "[cuda][tiny]") {
  compare_devices<float>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(
        run.ctx,
        kernels::ColumnSum<T>{
            .out = {run.acc_out(5)}, .partial = run.scratch(5), .x = run.in(50), .rows = 10, .cols = 5, .factor = 1});
  });
}
