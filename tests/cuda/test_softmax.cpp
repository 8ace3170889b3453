#include <dino/kernels/softmax.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

TEMPLATE_TEST_CASE("softmax: CUDA equals CPU", "[cuda]", float, bf16) {
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 2}, {3, 7}, {5, 64}, {2, 1000}, {1, 1024}, {2, 2500}}));
  const bool add = GENERATE(false, true);
  const auto check = [&, rows = rows, cols = cols](auto... shift) {
    // value: one rounding of the output to bf16. acc: exponentials to 2e-7 and float sums, over a temperature of 0.5.
    compare_devices<TestType>(
        {.value = 8e-3, .acc = 1e-5},
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          const auto temperature = acc_t<T>(0.5);
          launch(run.ctx, kernels::SoftmaxForward<T>{.y = run.out(rows * cols),
                                                     .x = run.in(rows * cols),
                                                     .rows = rows,
                                                     .cols = cols,
                                                     .temperature = temperature});
          launch(run.ctx, kernels::SoftmaxBackward<T>{.dx = {add ? run.inout(rows * cols) : run.out(rows * cols), add},
                                                      .dy = run.in(rows * cols),
                                                      .y = run.in(rows * cols),
                                                      .rows = rows,
                                                      .cols = cols,
                                                      .temperature = temperature});
        },
        shift...);
  };
  check();
  check(Shifted{});
}

TEMPLATE_TEST_CASE("softmax: the widest rows on CUDA, in place", "[cuda]", float, bf16) {
  // acc: <dy, y> is a float sum of 65,536 products.
  compare_devices<TestType>({.value = 8e-3, .acc = 1e-5}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const i64 cols = 65536;
    const auto temperature = acc_t<T>(0.04);
    T *const y = run.inout(cols), *const dx = run.inout(cols);
    launch(run.ctx, kernels::SoftmaxForward<T>{.y = y, .x = y, .rows = 1, .cols = cols, .temperature = temperature});
    launch(run.ctx, kernels::SoftmaxBackward<T>{
                        .dx = {dx}, .dy = dx, .y = run.in(cols), .rows = 1, .cols = cols, .temperature = temperature});
  });
}

TEST_CASE("softmax: large logits on CUDA neither overflow nor vanish", "[cuda]") {
  compare_devices<float>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const T* const x = run.values({1000, 999, -1000, 1e30, -1e30, 0, 300, 300, 300});
    launch(run.ctx,
           kernels::SoftmaxForward<T>{.y = run.out(9), .x = x, .rows = 3, .cols = 3, .temperature = acc_t<T>(1)});
  });
}

TEST_CASE("softmax: a short row under a race checker", "[cuda][tiny]") {
  compare_devices<bf16>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::SoftmaxForward<T>{
                        .y = run.out(40), .x = run.in(40), .rows = 1, .cols = 40, .temperature = acc_t<T>(1)});
  });
}
