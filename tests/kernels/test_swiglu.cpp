#include <dino/kernels/swiglu.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>

using namespace dino;

namespace {

template <class T> std::vector<T> gate(HostContext& ctx, const HostTensor<T>& x) {
  const HostTensor<T> y(ctx, {x.rows(), x.cols() / 2});
  launch(ctx, kernels::SwiGluForward<T>{.y = y.data(), .x = x.data(), .rows = y.rows(), .cols = y.cols()});
  return to_vector(y);
}

}  // namespace

TEST_CASE("swiglu: the first half of a row gates the second", "[kernels][golden]") {
  HostContext ctx(2);
  // silu(1) = 0.7310585786300049, silu(-2) = -0.2384058440442351, silu(0) = 0.
  const auto y = gate(ctx, tensor<double>(ctx, {2, 4}, {1, -2, 10, 100, 0, 1, 5, -1}));
  REQUIRE(y.size() == 4);
  CHECK(y[0] == Approx(7.310585786300049).epsilon(1e-15));
  CHECK(y[1] == Approx(-23.84058440442351).epsilon(1e-15));
  CHECK(y[2] == 0);
  CHECK(y[3] == Approx(-0.7310585786300049).epsilon(1e-15));
}

TEMPLATE_TEST_CASE("silu: large values end in x and 0, and the slope in 1 and 0", "[kernels]", float, double) {
  using kernels::Silu;
  for (const TestType x : {TestType(90), TestType(1e4), TestType(1e30)}) {
    CHECK(Silu::f(x) == x);
    CHECK(Silu::df(x) == 1);
    CHECK(std::abs(Silu::f(-x)) <= TestType(1e-36));
    CHECK(std::abs(Silu::df(-x)) <= TestType(1e-36));
  }
  CHECK(std::isnan(Silu::f(std::numeric_limits<TestType>::quiet_NaN())));
  CHECK(Silu::df(TestType(0)) == TestType(0.5));
}

TEST_CASE("swiglu: float follows double over the range where it bends", "[kernels]") {
  HostContext ctx(3);
  constexpr i64 n = 4001;
  const auto x = generate<double>(ctx, {1, 2 * n}, [](i64 i) { return i < n ? -20 + 0.01 * double(i) : 1.0; });
  const auto narrow = generate<float>(ctx, {1, 2 * n}, [&](i64 i) { return x[i]; });
  const auto y = gate(ctx, x);
  const auto z = gate(ctx, narrow);
  for (size_t i = 0; i < y.size(); ++i) {
    // exp, a sum and a quotient, and x itself is rounded
    if (!(std::abs(double(z[i]) - y[i]) <= 5e-7 * (1 + std::abs(y[i])))) FAIL("x " << x[static_cast<i64>(i)]);
  }
}

TEST_CASE("swiglu: gradients over or on top of what is there, or unwanted", "[kernels]") {
  HostContext ctx(2);
  const auto x = tensor<double>(ctx, {1, 4}, {1, -2, 3, 4}), dy = tensor<double>(ctx, {1, 2}, {10, -1});
  const HostTensor<double> dx(ctx, {1, 4});
  const auto run = [&](const Target<double>& target) {
    launch(ctx, kernels::SwiGluBackward<double>{.dx = target, .dy = dy.data(), .x = x.data(), .rows = 1, .cols = 2});
    return to_vector(dx);
  };
  const auto once = run({dx.data(), false});
  CHECK(once[0] == Approx(30 * 0.9276705118714866).epsilon(1e-14));
  CHECK(once[1] == Approx(-4 * -0.09078424878489571).epsilon(1e-14));
  CHECK(once[2] == Approx(7.310585786300049).epsilon(1e-14));
  CHECK(once[3] == Approx(0.2384058440442351).epsilon(1e-14));
  const auto twice = run({dx.data(), true});
  for (size_t i = 0; i < 4; ++i) CHECK(twice[i] == Approx(2 * once[i]).epsilon(1e-15));
  CHECK(run({}) == twice);
}
