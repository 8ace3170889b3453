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
          const Target<T> in_place{run.inout(n), add};
          launch(run.ctx, kernels::Add<T>{.out = in_place, .a = in_place.ptr, .b = b, .n = n});
          launch(run.ctx, kernels::Fill<T>{.y = run.out(n), .n = n, .value = from_acc<T>(A(1.5))});
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
  const i64 rows = 5, cols = GENERATE(3, 16);
  const auto [stride, begin] =
      GENERATE(table<i64, i64>({{21, 2}, {21, 4}, {24, 2}, {24, 8}}));  // the last one takes packs
  const auto values = randn<float>(host, {rows, stride}, RngKey(4, 4));
  const auto x = tensor(ctx, {rows, stride}, to_vector(values));
  const auto view = x.columns(begin, begin + cols);
  const auto same = to_vector(clone(view));
  const auto narrow = cast<bf16>(view);
  const auto back = to_vector(cast<float>(narrow));
  const auto widened = to_vector(cast<float>(cast<bf16>(x).columns(begin, begin + cols)));
  CHECK(widened == back);
  const auto half = to_vector(cast<float>(cast<f16>(x)));
  for (i64 r = 0; r < rows; ++r) {
    for (i64 c = 0; c < cols; ++c) {
      const float expected = values[r * stride + begin + c];
      CHECK(same[static_cast<size_t>(r * cols + c)] == expected);
      CHECK(back[static_cast<size_t>(r * cols + c)] == to_float(to_bf16(expected)));
    }
    for (i64 c = 0; c < stride; ++c) {
      CHECK(half[static_cast<size_t>(r * stride + c)] == to_float(to_f16(values[r * stride + c])));
    }
  }
}

TEMPLATE_TEST_CASE("map: whole numbers are copied and filled on CUDA", "[cuda]", i64, i32, u8) {
  Context<Cuda> ctx;
  const i64 cols = GENERATE(3, 16), rows = 4, stride = 48;  // 16 values are whole packs in each of the types
  std::vector<TestType> values;
  for (i64 i = 0; i < rows * stride; ++i) values.push_back(static_cast<TestType>(37 * i));
  const auto x = tensor(ctx, {rows, stride}, values);
  CHECK(to_vector(clone(x)) == values);
  const auto view = to_vector(clone(x.columns(16, 16 + cols)));
  for (i64 r = 0; r < rows; ++r) {
    for (i64 c = 0; c < cols; ++c) {
      CHECK(view[static_cast<size_t>(r * cols + c)] == values[static_cast<size_t>(r * stride + 16 + c)]);
    }
  }
  const auto count = static_cast<size_t>(cols) + 20;
  CHECK(to_vector(full<TestType>(ctx, {cols + 20}, TestType{77})) == std::vector<TestType>(count, TestType{77}));
}

TEST_CASE("map: 16-bit numbers are filled on CUDA", "[cuda]") {
  Context<Cuda> ctx;
  for (const bf16 x : to_vector(full<bf16>(ctx, {21}, to_bf16(1.5f)))) CHECK(to_float(x) == 1.5f);
  for (const f16 x : to_vector(full<f16>(ctx, {21}, to_f16(1.5f)))) CHECK(to_float(x) == 1.5f);
}

TEST_CASE("map: nothing to do is no launch", "[cuda][tiny]") {
  Context<Cuda> ctx;
  launch(ctx, kernels::Fill<float>{.y = nullptr, .n = 0, .value = 1});
  launch(ctx, kernels::Add<float>{.out = {}, .a = nullptr, .b = nullptr, .n = 5});
  CHECK(to_vector(full<float>(ctx, {33}, 2.0f)) == std::vector<float>(33, 2.0f));
}
