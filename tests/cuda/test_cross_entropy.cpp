#include <dino/kernels/cross_entropy.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {

std::vector<i64> labels(i64 rows, i64 cols) {
  std::vector<i64> list;
  for (i64 r = 0; r < rows; ++r) list.push_back((7 * r + 3) % cols);
  return list;
}

/// Some equal to their labels.
std::vector<i64> others(i64 rows, i64 cols) {
  std::vector<i64> list;
  for (i64 r = 0; r < rows; ++r) list.push_back((5 * r + 3) % cols);
  return list;
}

std::vector<double> shares(i64 rows) {
  std::vector<double> list;
  for (i64 r = 0; r < rows; ++r) list.push_back(static_cast<double>((r + 1) % 4) / 3);
  return list;
}

template <class Test, class... Shift>
void check(i64 rows, i64 cols, double smoothing, bool add, bool mixed, Shift... shift) {
  // acc: exponentials of up to 1000 columns in float. value: one rounding of the gradient to bf16.
  compare_devices<Test>(
      {.value = 8e-3, .acc = 1e-5},
      [&](auto& run) {
        using T = typename std::decay_t<decltype(run)>::Scalar;
        auto* const lse = run.acc_out(rows);
        const T* const x = run.in(rows * cols);
        const i64* const label = run.index(labels(rows, cols));
        const i64* const other = mixed ? run.index(others(rows, cols)) : nullptr;
        const auto* const share = mixed ? run.acc_values(shares(rows)) : nullptr;
        launch(run.ctx, kernels::CrossEntropyForward<T>{.loss = run.acc_out(1),
                                                        .row_loss = run.acc_out(rows),
                                                        .lse = lse,
                                                        .x = x,
                                                        .label = label,
                                                        .rows = rows,
                                                        .cols = cols,
                                                        .smoothing = static_cast<acc_t<T>>(smoothing),
                                                        .other = other,
                                                        .share = share});
        T* const dx = add ? run.inout(rows * cols) : run.out(rows * cols);
        launch(run.ctx, kernels::CrossEntropyBackward<T>{.dx = {dx, add},
                                                         .dloss = run.acc_values({1.5}),
                                                         .x = x,
                                                         .lse = lse,
                                                         .label = label,
                                                         .rows = rows,
                                                         .cols = cols,
                                                         .smoothing = static_cast<acc_t<T>>(smoothing),
                                                         .other = other,
                                                         .share = share});
      },
      shift...);
}

}  // namespace

TEMPLATE_TEST_CASE("cross_entropy: CUDA equals CPU", "[cuda]", float, bf16) {
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 2}, {3, 7}, {5, 64}, {2, 1000}}));
  const bool add = GENERATE(false, true);
  const bool mixed = GENERATE(false, true);
  check<TestType>(rows, cols, 0.0, add, mixed);
  check<TestType>(rows, cols, 0.1, add, mixed);
  check<TestType>(rows, cols, 0.1, add, mixed, Shifted{});
}
