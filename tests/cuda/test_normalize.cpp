#include <dino/kernels/normalize.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

TEMPLATE_TEST_CASE("normalize: rows of unit length on CUDA equal those on the CPU", "[cuda]", float, bf16) {
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 2}, {3, 7}, {9, 64}, {2, 264}}));
  const bool add = GENERATE(false, true);
  const double eps = GENERATE(1e-12, 100.0);  // with the second one the divisor is constant
  const auto check = [&, rows = rows, cols = cols](auto... shift) {
    compare_devices<TestType>(
        {.value = 8e-3, .acc = 5e-6},  // value: one rounding to bf16. acc: float sums of up to 264 terms, cancellation
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          const T *x = run.in(rows * cols), *y = run.in(rows * cols);
          acc_t<T>* const norm = run.acc_out(rows);
          launch(run.ctx, kernels::NormalizeForward<T>{.y = run.out(rows * cols),
                                                       .norm = norm,
                                                       .x = x,
                                                       .rows = rows,
                                                       .cols = cols,
                                                       .eps = static_cast<acc_t<T>>(eps)});
          launch(run.ctx, kernels::NormalizeForward<T>{.y = run.out(rows * cols),
                                                       .norm = nullptr,
                                                       .x = x,
                                                       .rows = rows,
                                                       .cols = cols,
                                                       .eps = static_cast<acc_t<T>>(eps)});
          launch(run.ctx,
                 kernels::NormalizeBackward<T>{.dx = {add ? run.inout(rows * cols) : run.out(rows * cols), add},
                                               .dy = run.in(rows * cols),
                                               .y = y,
                                               .norm = norm,
                                               .rows = rows,
                                               .cols = cols,
                                               .eps = static_cast<acc_t<T>>(eps)});
        },
        shift...);
  };
  check();
  check(Shifted{});
}

TEMPLATE_TEST_CASE("normalize: weight norm on CUDA equals that on the CPU", "[cuda]", float, bf16) {
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 2}, {5, 7}, {9, 64}}));
  const bool add = GENERATE(false, true);
  const auto check = [&, rows = rows, cols = cols](auto... shift) {
    compare_devices<TestType>(
        {.value = 8e-3, .acc = 5e-6},
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          using A = acc_t<T>;
          const T *v = run.in(rows * cols), *g = run.in(rows);
          A *factor = run.acc_out(rows), *inverse = run.acc_out(rows);
          launch(run.ctx, kernels::WeightNormFactor<T>{
                              .factor = factor, .inverse = inverse, .v = v, .g = g, .rows = rows, .cols = cols});
          A* const logits = run.acc_inout(cols * rows);  // in place, as the last layer calls it
          launch(run.ctx,
                 kernels::ScaleColumns<A>{.y = logits, .x = logits, .factor = factor, .rows = cols, .cols = rows});
          launch(
              run.ctx,
              kernels::ScaleColumns<T>{
                  .y = run.out(cols * rows), .x = run.in(cols * rows), .factor = factor, .rows = cols, .cols = rows});
          A* const dv = run.acc_inout(rows * cols);
          A* const dg = run.acc_inout(rows);
          const A* const dw = add ? run.acc_in(rows * cols) : dv;  // dv and dw may be the same memory
          launch(run.ctx, kernels::WeightNormBackward<T>{.dv = {dv, add},
                                                         .dg = {dg, add},
                                                         .dw = dw,
                                                         .v = v,
                                                         .g = g,
                                                         .inverse = inverse,
                                                         .rows = rows,
                                                         .cols = cols});
          launch(run.ctx, kernels::WeightNormBackward<T>{.dv = {},
                                                         .dg = {run.acc_out(rows)},
                                                         .dw = run.acc_in(rows * cols),
                                                         .v = v,
                                                         .g = g,
                                                         .inverse = inverse,
                                                         .rows = rows,
                                                         .cols = cols});
        },
        shift...);
  };
  check();
  check(Shifted{});
}

TEMPLATE_TEST_CASE("normalize: a row of zeros on CUDA", "[cuda]", float, bf16) {
  compare_devices<TestType>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const auto eps = acc_t<T>(1e-6);
    acc_t<T>* const norm = run.acc_out(2);
    T* const y = run.out(16);
    const T* const x = run.values(std::vector<double>(16));
    launch(run.ctx, kernels::NormalizeForward<T>{.y = y, .norm = norm, .x = x, .rows = 2, .cols = 8, .eps = eps});
    launch(run.ctx, kernels::NormalizeBackward<T>{
                        .dx = {run.out(16)}, .dy = run.in(16), .y = y, .norm = norm, .rows = 2, .cols = 8, .eps = eps});
  });
}

TEST_CASE("normalize: one row under a race checker", "[cuda][tiny]") {
  compare_devices<float>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::NormalizeForward<T>{
                        .y = run.out(40), .norm = run.acc_out(1), .x = run.in(40), .rows = 1, .cols = 40, .eps = 1});
  });
}
