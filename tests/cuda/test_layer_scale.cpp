#include <dino/kernels/layer_scale.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {
// One rounding of a product to bf16; float sums of up to 264 products of order 1 in another order.
constexpr compare::Tolerance tolerance{.value = 4e-3, .acc = 4e-6};
}  // namespace

TEMPLATE_TEST_CASE("layer_scale: CUDA equals CPU", "[cuda]", float, bf16) {
  const i64 rows = GENERATE(1, 9), cols = GENERATE(1, 24, 37, 264);
  const auto f = [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::LayerScaleForward<T>{.scaled_w = run.out(rows * cols),
                                                  .scaled_b = run.out(rows),
                                                  .w = run.in(rows * cols),
                                                  .b = run.in(rows),
                                                  .gamma = run.in(rows),
                                                  .rows = rows,
                                                  .cols = cols});
  };
  compare_devices<TestType>(tolerance, f);
  compare_devices<TestType>(tolerance, f, Shifted{});
}

TEMPLATE_TEST_CASE("layer_scale: the gradients on CUDA equal those on the CPU", "[cuda]", float, bf16) {
  const i64 rows = GENERATE(1, 9), cols = GENERATE(1, 24, 37, 264);
  const bool add = GENERATE(false, true);
  const int wanted = GENERATE(7, 1, 2, 4);  // bits: weight, bias, scale
  const auto f = [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    using Target = dino::Target<acc_t<T>>;
    const auto target = [&](int bit, i64 n) {
      if (!(wanted & bit)) return Target{};
      return Target{add ? run.acc_inout(n) : run.acc_out(n), add};
    };
    launch(run.ctx, kernels::LayerScaleBackward<T>{.dw = target(1, rows * cols),
                                                   .db = target(2, rows),
                                                   .dgamma = target(4, rows),
                                                   .dscaled_w = run.acc_in(rows * cols),
                                                   .dscaled_b = run.acc_in(rows),
                                                   .w = run.in(rows * cols),
                                                   .b = run.in(rows),
                                                   .gamma = run.in(rows),
                                                   .rows = rows,
                                                   .cols = cols});
  };
  compare_devices<TestType>(tolerance, f);
  compare_devices<TestType>(tolerance, f, Shifted{});
}

TEST_CASE("layer_scale: both passes on CUDA are free of races", "[cuda][tiny]") {
  compare_devices<bf16>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const T *const w = run.in(2 * 8), *const b = run.in(2), *const gamma = run.in(2);
    launch(run.ctx,
           kernels::LayerScaleForward<T>{
               .scaled_w = run.out(16), .scaled_b = run.out(2), .w = w, .b = b, .gamma = gamma, .rows = 2, .cols = 8});
    launch(run.ctx, kernels::LayerScaleBackward<T>{.dw = {run.acc_out(16)},
                                                   .db = {run.acc_out(2)},
                                                   .dgamma = {run.acc_out(2)},
                                                   .dscaled_w = run.acc_in(16),
                                                   .dscaled_b = run.acc_in(2),
                                                   .w = w,
                                                   .b = b,
                                                   .gamma = gamma,
                                                   .rows = 2,
                                                   .cols = 8});
  });
}
