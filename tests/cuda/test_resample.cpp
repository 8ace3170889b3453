#include <dino/kernels/resample.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {
// The coordinate is computed in float: at 14 cells half a unit of its last place is 5e-7, and the slope of the cubic is
// of order 1, sixteen times over.
constexpr compare::Tolerance tolerance{.value = 4e-3, .acc = 1e-5};

/// grid, height, width, columns: smaller, larger and equal grids; one row; columns beyond one round of a block.
struct Sizes {
  i64 grid, height, width, cols;
};
constexpr std::initializer_list<Sizes> shapes{{1, 1, 1, 1},    {4, 2, 3, 7},  {3, 5, 8, 64},
                                              {14, 6, 6, 130}, {4, 4, 4, 16}, {2, 1, 7, 300}};
constexpr PositionRule dino_rule{}, register_rule{.offset = 0, .antialias = true};
}  // namespace

TEMPLATE_TEST_CASE("resample: CUDA equals CPU", "[cuda]", float, bf16) {
  const Sizes shape = GENERATE(values(shapes));
  const i64 grid = shape.grid, height = shape.height, width = shape.width, cols = shape.cols;
  const auto rule = GENERATE(dino_rule, register_rule);
  const auto f = [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::ResamplePositions<T>{.out = run.out(height * width * cols),
                                                  .in = run.in(grid * grid * cols),
                                                  .grid = grid,
                                                  .height = height,
                                                  .width = width,
                                                  .cols = cols,
                                                  .rule = rule});
  };
  compare_devices<TestType>(tolerance, f);
  compare_devices<TestType>(tolerance, f, Shifted{});
}

TEMPLATE_TEST_CASE("resample: the gradient on CUDA equals the CPU", "[cuda]", float, bf16) {
  const Sizes shape = GENERATE(values(shapes));
  const i64 grid = shape.grid, height = shape.height, width = shape.width, cols = shape.cols;
  const bool add = GENERATE(false, true);
  const auto rule = GENERATE(dino_rule, register_rule);
  compare_devices<TestType>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    acc_t<T>* const din = add ? run.acc_inout(grid * grid * cols) : run.acc_out(grid * grid * cols);
    launch(run.ctx, kernels::ResamplePositionsBackward<T>{.din = {din, add},
                                                          .dout = run.acc_in(height * width * cols),
                                                          .grid = grid,
                                                          .height = height,
                                                          .width = width,
                                                          .cols = cols,
                                                          .rule = rule});
  });
}

TEST_CASE("resample: both passes on CUDA are free of races", "[cuda][tiny]") {
  compare_devices<float>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::ResamplePositions<T>{
                        .out = run.out(2), .in = run.in(4), .grid = 2, .height = 2, .width = 1, .cols = 1});
    launch(run.ctx,
           kernels::ResamplePositionsBackward<T>{
               .din = {run.acc_out(4), false}, .dout = run.acc_in(2), .grid = 2, .height = 2, .width = 1, .cols = 1});
  });
}
