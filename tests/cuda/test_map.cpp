#include <dino/kernels/map.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

// value: one rounding to bf16, or two where a sum is read back. acc: GELU's polynomials with and without fused
// multiply-adds.
namespace {
constexpr compare::Tolerance tolerance{.value = 8e-3, .acc = 2e-6};
}

TEMPLATE_TEST_CASE("map: copies, sums, products on CUDA equal those on the CPU", "[cuda]", float, bf16) {
  const i64 n = GENERATE(1, 7, 64, 1000);
  const bool add = GENERATE(false, true);
  const auto check = [&](auto... shift) {
    compare_devices<TestType>(
        tolerance,
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          using A = acc_t<T>;
          const T *a = run.in(n), *b = run.in(n);
          const auto out = [&] { return Target<T>{add ? run.inout(n) : run.out(n), add}; };
          launch(run.ctx, kernels::CopyRows<T>{.y = run.out(n), .x = {a, 1, n, n}});
          launch(run.ctx, kernels::Scale<T>{.out = out(), .x = a, .n = n, .factor = A(0.75)});
          launch(run.ctx,
                 kernels::Scale<A>{.out = {run.acc_inout(n), add}, .x = run.acc_in(n), .n = n, .factor = A(0.75)});
          launch(run.ctx, kernels::Add<T>{.out = out(), .a = a, .b = b, .n = n});
          launch(run.ctx, kernels::Multiply<T>{.out = out(), .a = a, .b = b, .n = n});
        },
        shift...);
  };
  check();
  check(Shifted{});
}

TEMPLATE_TEST_CASE("map: activations on CUDA equal those on the CPU", "[cuda]", float, bf16) {
  const i64 n = GENERATE(5, 1000);
  const bool add = GENERATE(false, true);
  const auto check = [&](auto function, auto... shift) {
    using F = decltype(function);
    compare_devices<TestType>(
        tolerance,
        [&](auto& run) {
          using T = typename std::decay_t<decltype(run)>::Scalar;
          const T* const x = run.in(n);
          launch(run.ctx, kernels::MapForward<F, T>{.y = run.out(n), .x = x, .n = n});
          T* const dx = add ? run.inout(n) : run.out(n);
          launch(run.ctx, kernels::MapBackward<F, T>{.dx = {dx, add}, .dy = run.in(n), .x = x, .n = n});
          T* const in_place = run.inout(n);  // as the perceptron's backward calls it
          launch(run.ctx, kernels::MapBackward<F, T>{.dx = {in_place}, .dy = in_place, .x = x, .n = n});
        },
        shift...);
  };
  check(kernels::Gelu{});
  check(kernels::Relu{});
  check(kernels::Gelu{}, Shifted{});
}

TEST_CASE("map: copies convert between number types, whole rows and views of columns", "[cuda]") {
  Context<Cuda> ctx;
  HostContext host(1);
  const i64 rows = 5, cols = GENERATE(3, 16), stride = cols + 5;
  const auto values = randn<float>(host, {rows, stride}, RngKey(4, 4));
  const auto x = tensor(ctx, {rows, stride}, to_vector(values));
  const auto view = x.columns(2, 2 + cols);
  const auto narrow = cast<bf16>(view);
  const auto back = to_vector(cast<float>(narrow));
  const auto half = to_vector(cast<float>(cast<f16>(x)));
  for (i64 r = 0; r < rows; ++r) {
    for (i64 c = 0; c < cols; ++c) {
      const float expected = to_float(to_bf16(values[r * stride + 2 + c]));
      CHECK(back[static_cast<size_t>(r * cols + c)] == expected);
    }
    for (i64 c = 0; c < stride; ++c) {
      CHECK(half[static_cast<size_t>(r * stride + c)] == to_float(to_f16(values[r * stride + c])));
    }
  }
  const auto filled = to_vector(full<bf16>(ctx, {cols}, to_bf16(1.5f)));
  for (const bf16 b : filled) CHECK(to_float(b) == 1.5f);
  const std::vector<i64> index{3, 1, 4, 1, 5};
  CHECK(to_vector(clone(tensor(ctx, {5}, index))) == index);
  CHECK(to_vector(zeros<i64>(ctx, {3})) == std::vector<i64>(3));
}

TEST_CASE("map: nothing to do is no launch", "[cuda][tiny]") {
  Context<Cuda> ctx;
  launch(ctx, kernels::Fill<float>{.y = nullptr, .n = 0, .value = 1});
  launch(ctx, kernels::Add<float>{.out = {}, .a = nullptr, .b = nullptr, .n = 5});
  CHECK(to_vector(full<float>(ctx, {33}, 2.0f)) == std::vector<float>(33, 2.0f));
}
