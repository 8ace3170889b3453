#include <dino/kernels/layernorm.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {

template <class Test, class... Shift> void check(i64 rows, i64 cols, bool add, Shift... shift) {
  // value: one rounding of the output to bf16. acc: float sums of up to 200 rows or 1032 columns.
  compare_devices<Test>(
      {.value = 8e-3, .acc = 2e-5},
      [&](auto& run) {
        using T = typename std::decay_t<decltype(run)>::Scalar;
        using A = acc_t<T>;
        using Backward = kernels::LayerNormBackward<T>;
        const i64 n = rows * cols;
        const T *x = run.in(n), *gamma = run.in(cols), *beta = run.in(cols);
        A *mean = run.acc_out(rows), *rstd = run.acc_out(rows);
        const auto forward = [&](T* y, A* to_mean, A* to_rstd) {
          launch(run.ctx, kernels::LayerNormForward<T>{.y = y,
                                                       .mean = to_mean,
                                                       .rstd = to_rstd,
                                                       .x = x,
                                                       .gamma = gamma,
                                                       .beta = beta,
                                                       .rows = rows,
                                                       .cols = cols,
                                                       .eps = A(1e-6)});
        };
        forward(run.out(n), mean, rstd);
        forward(run.out(n), nullptr, nullptr);
        const auto backward = [&](const Target<T>& dx, const Target<A>& dgamma, const Target<A>& dbeta,
                                  const T* residual = nullptr, const Target<A>& dbias = {}) {
          launch(run.ctx,
                 Backward{.dx = dx,
                          .dgamma = dgamma,
                          .dbeta = dbeta,
                          .partial = dgamma || dbeta || dbias ? run.scratch(Backward::partial_values(rows, cols)) : nullptr,
                          .dy = run.in(n),
                          .x = x,
                          .gamma = gamma,
                          .mean = mean,
                          .rstd = rstd,
                          .rows = rows,
                          .cols = cols,
                          .residual = residual,
                          .dbias = dbias});
        };
        backward({add ? run.inout(n) : run.out(n), add}, {run.acc_inout(cols), add}, {run.acc_inout(cols), add});
        backward({run.out(n)}, {}, {});
        backward({}, {}, {run.acc_out(cols)});
        backward({add ? run.inout(n) : run.out(n), add}, {run.acc_inout(cols), add}, {run.acc_inout(cols), add},
                 run.in(n), {run.acc_inout(cols), add});
        backward({run.out(n)}, {}, {}, run.in(n));
        backward({}, {}, {}, run.in(n), {run.acc_out(cols)});
        T* const in_place = run.inout(n);
        backward({in_place}, {}, {}, in_place, {run.acc_out(cols)});
      },
      shift...);
}

}  // namespace

TEMPLATE_TEST_CASE("layernorm: CUDA equals CPU", "[cuda]", float, bf16) {
  // One width for each kernel: 8, 16 and 32 values a lane, and rows that are read again.
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 3}, {5, 7}, {70, 40}, {3, 384}, {2, 520}, {2, 1032}}));
  const bool add = GENERATE(false, true);
  check<TestType>(rows, cols, add);
  if (rows * cols < 1000) check<TestType>(rows, cols, add, Shifted{});
}

TEST_CASE("layernorm: two rows under a race checker", "[cuda][tiny]") {
  check<float>(2, 24, false);
  check<bf16>(2, 7, false);
}
