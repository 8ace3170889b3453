#include <dino/base/math.hpp>

#include "support/catch.hpp"
#include "support/worst.hpp"

#include <limits>
#include <vector>

using namespace dino;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// The largest error(x, f(x)) on a dense grid. The values go through a loop over arrays, as in kernels: vectorised
// there.
template <class F, class E> double largest(float low, float high, F f, E error) {
  const int n = 1 << 20;
  std::vector<float> x(n), y(n);
  for (int i = 0; i < n; ++i) {
    x[static_cast<size_t>(i)] = static_cast<float>(low + (static_cast<double>(high) - low) * i / (n - 1));
  }
  const float* from = x.data();
  float* to = y.data();
  for (int i = 0; i < n; ++i) to[i] = f(from[i]);
  double worst = 0;
  for (int i = 0; i < n; ++i) {
    const double e = error(static_cast<double>(from[i]), static_cast<double>(to[i]));
    worst = worse(worst, e);
  }
  return worst;
}

// From their definitions, not from the header.
double normal(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double gelu_of(double x) { return x * normal(x); }
double gelu_slope_of(double x) { return normal(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * 3.14159265358979323846); }

const auto exp_f = [](float x) { return math::exp(x); };
const auto erf_f = [](float x) { return math::erf(x); };
const auto gelu_f = [](float x) { return math::gelu(x); };
const auto grad_f = [](float x) { return math::gelu_grad(x); };

}  // namespace

TEST_CASE("math: an integral power is the power", "[base]") {
  CHECK(math::power(0.0, 0) == 1);
  CHECK(math::power(3.0, 5) == 243);
  CHECK(math::power(0.5, 60) == 0x1p-60);
  for (const i64 n : {1, 2, 3, 10, 999, 100000, 1000000}) {
    for (const double x : {0.9, 0.999, 0.9999999}) {
      CHECK(math::power(x, n) == Approx(std::pow(x, static_cast<double>(n))).epsilon(1e-9).margin(1e-300));
    }
  }
}

TEST_CASE("math: exp has a relative error of at most 2e-7", "[base]") {
  const auto relative = [](double x, double y) { return std::fabs(y / std::exp(x) - 1); };
  CHECK(largest(-87.3f, 88.3f, exp_f, relative) < 1.2e-7);
  CHECK(largest(-1.0f, 1.0f, exp_f, relative) < 1.2e-7);
  CHECK(largest(-1e-3f, 1e-3f, exp_f, relative) < 1.2e-7);
  CHECK(math::exp(0.0f) == 1.0f);
  CHECK(math::exp(-0.0f) == 1.0f);
}

TEST_CASE("math: exp goes to zero and infinity without surprises", "[base]") {
  for (const float x : {-88.0f, -88.1f, -104.0f, -1000.0f, -1e9f, -1e30f, -inf}) {
    CHECK(math::exp(x) >= 0.0f);
    CHECK(math::exp(x) <= 1.2e-38f);
  }
  CHECK(math::exp(-inf) == 0.0f);
  for (const float x : {88.73f, 89.0f, 1000.0f, 1e9f, 1e30f, inf}) CHECK(math::exp(x) == inf);
  CHECK(largest(-200.0f, -87.3f, exp_f, [](double x, double y) { return std::fabs(y - std::exp(x)); }) < 1.2e-38);
  CHECK(largest(88.3f, 88.7f, exp_f, [](double x, double y) { return std::fabs(y / std::exp(x) - 1); }) < 1e-5);
}

TEST_CASE("math: exp never falls where x rises", "[base]") {
  float last = 0;
  int falls = 0;
  for (float x = -90.0f; x < 90.0f; x += 0.00390625f) {
    const float y = math::exp(x);
    if (!(y >= last)) ++falls;
    last = y;
  }
  CHECK(falls == 0);
}

TEST_CASE("math: erf has an absolute error of at most 2e-7 and a small relative one", "[base]") {
  CHECK(largest(-6.0f, 6.0f, erf_f, [](double x, double y) { return std::fabs(y - std::erf(x)); }) < 2e-7);
  const auto relative = [](double x, double y) { return std::fabs(y / std::erf(x) - 1); };
  CHECK(largest(1e-30f, 1.0f, erf_f, relative) < 4e-7);
  CHECK(largest(1e-12f, 1e-6f, erf_f, relative) < 4e-7);
}

TEST_CASE("math: erf is odd, bounded by one and one at the tails", "[base]") {
  CHECK(largest(
            -6.0f, 6.0f, [](float x) { return math::erf(x) + math::erf(-x); },
            [](double, double y) { return std::fabs(y); }) == 0);
  CHECK(largest(-6.0f, 6.0f, erf_f, [](double, double y) { return std::fabs(y); }) == 1);
  for (const float x : {3.95f, 10.0f, 1e10f, 1e30f, inf}) {
    CHECK(math::erf(x) == 1.0f);
    CHECK(math::erf(-x) == -1.0f);
  }
  CHECK(math::erf(0.0f) == 0.0f);
  CHECK(std::signbit(math::erf(-0.0f)));
}

TEST_CASE("math: gelu has an error of at most 2e-7 max(1, |x|)", "[base]") {
  const auto scaled = [](double x, double y) { return std::fabs(y - gelu_of(x)) / std::fmax(1, std::fabs(x)); };
  CHECK(largest(-12.0f, 12.0f, gelu_f, scaled) < 2e-7);
  CHECK(largest(-0.1f, 0.1f, gelu_f, [](double x, double y) { return std::fabs(y - gelu_of(x)); }) < 2e-8);
}

TEST_CASE("math: gelu is never positive for negative x, and x or zero in the tails", "[base]") {
  CHECK(largest(-20.0f, -1e-6f, gelu_f, [](double, double y) { return std::fmax(y, 0.0); }) == 0);
  for (const float x : {5.5f, 6.0f, 100.0f, 1e30f, inf}) {
    CHECK(math::gelu(x) == x);
    CHECK(math::gelu(-x) == 0.0f);
  }
  CHECK(math::gelu(0.0f) == 0.0f);
}

TEST_CASE("math: gelu_grad has an absolute error of at most 5e-7", "[base]") {
  const auto absolute = [](double x, double y) { return std::fabs(y - gelu_slope_of(x)); };
  CHECK(largest(-12.0f, 12.0f, grad_f, absolute) < 5e-7);
  for (const float x : {6.0f, 100.0f, 1e30f, inf}) {
    CHECK(math::gelu_grad(x) == 1.0f);
    CHECK(math::gelu_grad(-x) == 0.0f);
  }
  CHECK(math::gelu_grad(0.0f) == 0.5f);
}

TEST_CASE("math: a NaN of either sign stays a NaN", "[base]") {
  for (const float x : {not_a_number, -not_a_number}) {
    CHECK(std::isnan(math::exp(x)));
    CHECK(std::isnan(math::erf(x)));
    CHECK(std::isnan(math::gelu(x)));
    CHECK(std::isnan(math::gelu_grad(x)));
  }
  const std::vector<float> in(33, not_a_number);  // the vectorised body and its remainder
  std::vector<float> out(33);
  for (size_t i = 0; i < in.size(); ++i) out[i] = math::exp(in[i]) + math::gelu(in[i]);
  for (const float y : out) CHECK(std::isnan(y));
}

TEST_CASE("math: double functions are exact to rounding", "[base]") {
  for (double x = -8; x <= 8; x += 0.0625) {
    CHECK(math::exp(x) == std::exp(x));
    CHECK(math::erf(x) == std::erf(x));
    CHECK(math::gelu(x) == Approx(gelu_of(x)).epsilon(1e-13).margin(0));
    CHECK(math::gelu_grad(x) == Approx(gelu_slope_of(x)).epsilon(1e-12).margin(1e-16));
    const double h = 1e-5;
    CHECK(math::gelu_grad(x) == Approx((math::gelu(x + h) - math::gelu(x - h)) / (2 * h)).margin(1e-9));
  }
}
