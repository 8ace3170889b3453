#include <dino/kernels/softmax.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

TEMPLATE_TEST_CASE("softmax: CUDA equals CPU", "[cuda]", float, bf16) {
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 2}, {3, 7}, {5, 64}, {2, 1000}, {2, 1024}}));
  const bool add = GENERATE(false, true);
  const auto check = [&](auto... shift) {
    // value: one rounding of the output to bf16. acc: exponentials to 2e-7, times a temperature of 0.1.
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

TEST_CASE("softmax: a short row under a race checker", "[cuda][tiny]") {
  compare_devices<bf16>({}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::SoftmaxForward<T>{
                        .y = run.out(40), .x = run.in(40), .rows = 1, .cols = 40, .temperature = acc_t<T>(1)});
  });
}
