#include <dino/autograd/gradcheck.hpp>
#include <dino/ops/drop_path.hpp>
#include <dino/ops/map.hpp>

#include "support/golden.hpp"

#include <limits>

using namespace dino;

namespace {
/// y = 3x, whose gradient is said to be `claimed`.
template <class T, class D> struct Triple {
  struct Attr {
    double claimed;
  };
  using Saved = Attr;
  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& x, Saved* keep) {
    if (keep) *keep = at;
    return scale(x, 3);
  }
  static void backward(Context<D>&, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    dx.accept(scale(dy, s.claimed));
  }
};
template <class X> auto triple(const X& x, double claimed) {
  return apply<Triple<typename X::Scalar, typename X::Device>>({claimed}, x);
}
}  // namespace

TEST_CASE("gradcheck: a right gradient passes, a wrong one is measured", "[autograd]") {
  HostContext ctx(1);
  const auto x = randn<double>(ctx, {3, 2}, RngKey(1, 1));
  CHECK(gradcheck([](auto v) { return triple(v, 3); }, x) < 1e-10);
  CHECK(gradcheck([](auto v) { return triple(v, 3.3); }, x) == Approx(0.1).epsilon(1e-6));
  CHECK(gradcheck([](auto v) { return triple(v, -3); }, x) == Approx(2).epsilon(1e-6));
  CHECK(gradcheck([](auto v) { return gelu(v); }, x) < 1e-9);
}

TEST_CASE("gradcheck: a NaN is no agreement, wherever it stands", "[autograd]") {
  HostContext ctx(1);
  const auto x = randn<double>(ctx, {3, 2}, RngKey(1, 1));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(gradcheck([&](auto v) { return triple(v, nan); }, x) == std::numeric_limits<double>::infinity());
  CHECK(std::isnan(worse(worse(0, nan), 1)));
  CHECK_FALSE(golden::relative_error(std::vector<double>{nan, 1}, std::vector<double>{1, 1}) <= 1e300);
  CHECK_FALSE(golden::relative_error(std::vector<double>{1, 1}, std::vector<double>{nan, 1}) <= 1e300);
}

TEST_CASE("gradcheck: each operand is checked, the worst counts", "[autograd]") {
  HostContext ctx(1);
  const auto x = randn<double>(ctx, {4}, RngKey(1, 1)), y = randn<double>(ctx, {4}, RngKey(1, 2));
  CHECK(gradcheck([](auto a, auto b) { return add(triple(a, 3), triple(b, 6)); }, x, y) == Approx(1).epsilon(1e-6));
  CHECK(gradcheck([](auto a, auto b) { return add(triple(a, 6), triple(b, 3)); }, x, y) == Approx(1).epsilon(1e-6));
}

TEST_CASE("gradcheck: an operand without influence has no gradient", "[autograd]") {
  HostContext ctx(1);
  const auto x = randn<double>(ctx, {4}, RngKey(1, 1));
  CHECK(gradcheck([](auto a, auto) { return triple(a, 3); }, x, x) < 1e-10);
  CHECK(gradcheck([](auto a, auto b) { return add(triple(a, 3), scale(triple(b, 3), 0)); }, x, x) < 1e-10);
}

TEST_CASE("gradcheck: the operands come back as they were, views too", "[autograd]") {
  HostContext ctx(1);
  const auto wide = randn<double>(ctx, {3, 4}, RngKey(1, 1));
  const auto before = to_vector(wide);
  CHECK(gradcheck([](auto v) { return gelu(v); }, wide.columns(1, 3)) < 1e-9);
  CHECK(to_vector(wide) == before);
}

TEST_CASE("gradcheck: random ops draw the same numbers in every evaluation", "[autograd]") {
  HostContext ctx(1);
  Segments segments;
  segments.add(30, 1);
  const auto x = randn<double>(ctx, {30, 1}, RngKey(1, 1));
  CHECK(gradcheck([&](auto v) { return drop_path(v, 0.5, segments); }, x) < 1e-9);
}
