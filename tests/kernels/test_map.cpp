#include <dino/kernels/map.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>

using namespace dino;

namespace {
constexpr i64 n = 2 * (1 << 14) + 37;  // three tasks, and a tail that no vector width divides

struct Fixture {
  HostContext ctx{3};
  HostTensor<float> a = randn<float>(ctx, {n}, RngKey(1, 1)), b = randn<float>(ctx, {n}, RngKey(1, 2));
  HostTensor<float> out = full<float>(ctx, {n}, 5.f);

  /// Whether out holds base + f(i), up to a rounding or two.
  template <class F> bool holds(float base, F f) const {
    for (i64 i = 0; i < n; ++i) {
      const float expected = base + f(i);
      if (!(std::abs(out[i] - expected) <= 1e-6f * (1 + std::abs(expected)))) return false;
    }
    return true;
  }
};
}  // namespace

TEST_CASE("map: sums, products and multiples, over or on top of what is there", "[kernels]") {
  const bool add = GENERATE(false, true);
  const float base = add ? 5.f : 0.f;
  Fixture f;
  const Target<float> out{f.out.data(), add};
  SECTION("add") {
    launch(f.ctx, kernels::Add<float>{.out = out, .a = f.a.data(), .b = f.b.data(), .n = n});
    CHECK(f.holds(base, [&](i64 i) { return f.a[i] + f.b[i]; }));
  }
  SECTION("multiply") {
    launch(f.ctx, kernels::Multiply<float>{.out = out, .a = f.a.data(), .b = f.b.data(), .n = n});
    CHECK(f.holds(base, [&](i64 i) { return f.a[i] * f.b[i]; }));
  }
  SECTION("scale") {
    launch(f.ctx, kernels::Scale<float>{.out = out, .x = f.a.data(), .n = n, .factor = -2});
    CHECK(f.holds(base, [&](i64 i) { return -2 * f.a[i]; }));
  }
  SECTION("backward of an activation") {
    launch(f.ctx, kernels::MapBackward<kernels::Gelu, float>{.dx = out, .dy = f.b.data(), .x = f.a.data(), .n = n});
    CHECK(f.holds(base, [&](i64 i) { return static_cast<float>(f.b[i] * math::gelu_grad(double{f.a[i]})); }));
  }
}

TEST_CASE("map: activations, in place as well", "[kernels]") {
  Fixture f;
  launch(f.ctx, kernels::MapForward<kernels::Gelu, float>{.y = f.out.data(), .x = f.a.data(), .n = n});
  CHECK(f.holds(0, [&](i64 i) { return static_cast<float>(math::gelu(double{f.a[i]})); }));
  const auto x = clone(f.a);
  launch(f.ctx, kernels::MapForward<kernels::Gelu, float>{.y = x.data(), .x = x.data(), .n = n});
  CHECK(to_vector(x) == to_vector(f.out));
  launch(f.ctx, kernels::MapForward<kernels::Relu, float>{.y = f.out.data(), .x = f.a.data(), .n = n});
  CHECK(f.holds(0, [&](i64 i) { return std::max(f.a[i], 0.f); }));
  CHECK(kernels::Relu::df(0.f) == 0);
  CHECK(kernels::Relu::df(1e-30f) == 1);
}

TEST_CASE("map: copies convert number types and close gaps between rows", "[kernels]") {
  HostContext ctx(2);
  const auto x = generate<double>(ctx, {3, 5}, [](i64 i) { return static_cast<double>(i) + 0.25; });
  const HostTensor<float> y(ctx, {3, 2});
  launch(ctx, kernels::CopyRows<float, double>{.y = y.data(), .x = {x.data() + 1, 3, 2, 5}});
  CHECK(to_vector(y) == std::vector<float>{1.25f, 2.25f, 6.25f, 7.25f, 11.25f, 12.25f});
  launch(ctx, kernels::Fill<float>{.y = y.data(), .n = 4, .value = 9});
  CHECK(to_vector(y) == std::vector<float>{9, 9, 9, 9, 11.25f, 12.25f});
}
