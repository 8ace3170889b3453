#include <dino/kernels/batchnorm.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {

template <class Test, class... Shift> void check(i64 rows, i64 cols, bool add, Shift... shift) {
  // value: one rounding of the output to bf16. acc: float sums of 130 rows, divided by a deviation.
  compare_devices<Test>(
      {.value = 8e-3, .acc = 2e-5},
      [&](auto& run) {
        using T = typename std::decay_t<decltype(run)>::Scalar;
        using A = acc_t<T>;
        using Backward = kernels::BatchNormBackward<T>;
        const i64 n = rows * cols, blocks = Backward::blocks(rows);
        const T *x = run.in(n), *gamma = run.in(cols), *beta = run.in(cols);
        A *mean = run.acc_out(cols), *variance = run.acc_out(cols);
        launch(run.ctx, kernels::BatchStatistics<T>{.mean = mean,
                                                    .variance = variance,
                                                    .partial = run.scratch(blocks * cols),
                                                    .x = x,
                                                    .rows = rows,
                                                    .cols = cols});
        launch(run.ctx, kernels::BatchNormApply<T>{.y = run.out(n),
                                                   .x = x,
                                                   .gamma = gamma,
                                                   .beta = beta,
                                                   .mean = mean,
                                                   .variance = variance,
                                                   .rows = rows,
                                                   .cols = cols,
                                                   .eps = A(1e-5)});
        launch(run.ctx, kernels::RunningStatistics<A>{.running_mean = run.acc_inout(cols),
                                                      .running_variance = run.acc_inout(cols),
                                                      .mean = mean,
                                                      .variance = variance,
                                                      .rows = rows,
                                                      .cols = cols,
                                                      .momentum = A(0.1)});
        const auto backward = [&](const Target<T>& dx, const Target<A>& dgamma, const Target<A>& dbeta) {
          launch(run.ctx, Backward{.dx = dx,
                                   .dgamma = dgamma,
                                   .dbeta = dbeta,
                                   .sums = run.scratch(2 * cols),
                                   .partial = run.scratch(2 * blocks * cols),
                                   .dy = run.in(n),
                                   .x = x,
                                   .gamma = gamma,
                                   .mean = mean,
                                   .variance = variance,
                                   .rows = rows,
                                   .cols = cols,
                                   .eps = A(1e-5)});
        };
        backward({add ? run.inout(n) : run.out(n), add}, {run.acc_inout(cols), add}, {run.acc_inout(cols), add});
        backward({}, {run.acc_out(cols)}, {});
      },
      shift...);
}

}  // namespace

TEMPLATE_TEST_CASE("batchnorm: CUDA equals CPU", "[cuda]", float, bf16) {
  // One row: its variance is 0, and all its gradients but that of beta.
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 5}, {2, 1}, {5, 7}, {6, 40}, {130, 33}}));
  const bool add = GENERATE(false, true);
  check<TestType>(rows, cols, add);
  check<TestType>(rows, cols, add, Shifted{});
}

TEST_CASE("batchnorm: few rows under a race checker", "[cuda][tiny]") { check<float>(3, 5, false); }
