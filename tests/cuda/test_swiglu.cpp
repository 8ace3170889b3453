#include <dino/kernels/swiglu.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {
// Roundings of exp and of the quotient, once to bf16; twice where a sum is read back.
constexpr compare::Tolerance tolerance{.value = 8e-3, .acc = 2e-6};
}  // namespace

TEMPLATE_TEST_CASE("swiglu: CUDA equals CPU", "[cuda]", float, bf16) {
  const i64 rows = GENERATE(1, 7), cols = GENERATE(1, 24, 37, 320);
  const bool add = GENERATE(false, true);
  const auto f = [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const T* const x = run.in(rows * 2 * cols);
    launch(run.ctx, kernels::SwiGluForward<T>{.y = run.out(rows * cols), .x = x, .rows = rows, .cols = cols});
    T* const dx = add ? run.inout(rows * 2 * cols) : run.out(rows * 2 * cols);
    launch(run.ctx,
           kernels::SwiGluBackward<T>{.dx = {dx, add}, .dy = run.in(rows * cols), .x = x, .rows = rows, .cols = cols});
  };
  compare_devices<TestType>(tolerance, f);
  compare_devices<TestType>(tolerance, f, Shifted{});
}

TEST_CASE("swiglu: both passes on CUDA are free of races", "[cuda][tiny]") {
  compare_devices<bf16>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const T* const x = run.in(2 * 2 * 8);
    launch(run.ctx, kernels::SwiGluForward<T>{.y = run.out(16), .x = x, .rows = 2, .cols = 8});
    launch(run.ctx,
           kernels::SwiGluBackward<T>{.dx = {run.out(32), false}, .dy = run.in(16), .x = x, .rows = 2, .cols = 8});
  });
}
