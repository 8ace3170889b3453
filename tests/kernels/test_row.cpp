#include <dino/kernels/cpu/row.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace dino;
using namespace dino::kernels;

namespace {
/// Values whose sums depend on the order of additions.
template <class T> std::vector<T> values(i64 n) {
  std::vector<T> x;
  for (i64 i = 0; i < n; ++i)
    x.push_back(static_cast<T>(std::sin(1.7 * static_cast<double>(i)) * std::pow(10., i % 5)));
  return x;
}

/// The documented order, without vectors: lane l adds the elements l, l + lanes, ...; then halves are added to halves.
template <class T> T sum_in_order(const std::vector<T>& x) {
  constexpr i64 lanes = 128 / static_cast<i64>(sizeof(T));
  std::vector<T> part(static_cast<size_t>(lanes), T(0));
  for (size_t i = 0; i < x.size(); ++i) {
    volatile T total = part[i % static_cast<size_t>(lanes)] + x[i];
    part[i % static_cast<size_t>(lanes)] = total;
  }
  for (size_t width = part.size() / 2; width > 0; width /= 2) {
    for (size_t l = 0; l < width; ++l) part[l] += part[l + width];
  }
  return part[0];
}
}  // namespace

TEMPLATE_TEST_CASE("row: a sum has one fixed order, for every length of the tail", "[kernels]", float, double) {
  for (i64 n = 0; n <= 200; ++n) {
    const auto x = values<TestType>(n);
    if (sum(x.data(), n) != sum_in_order(x)) FAIL("n = " << n);
  }
  const auto x = values<TestType>(100003);
  CHECK(sum(x.data(), 100003) == sum_in_order(x));
  CHECK(sum(x.data() + 1, 1000) == sum_in_order(std::vector(x.begin() + 1, x.begin() + 1001)));  // any alignment
}

TEMPLATE_TEST_CASE("row: whole numbers are added exactly", "[kernels]", float, double) {
  for (i64 n = 0; n <= 150; ++n) {
    const auto total = sum_over<TestType>(n, [](i64 i) { return static_cast<TestType>(i + 1); });
    if (total != static_cast<TestType>(n * (n + 1) / 2)) FAIL("n = " << n);
  }
  const std::vector<TestType> x(77, 2), y(77, -3);
  CHECK(dot(x.data(), y.data(), 77) == -462);
}

TEMPLATE_TEST_CASE("row: the largest value is found wherever it stands", "[kernels]", float, double) {
  for (i64 n = 1; n <= 70; ++n) {
    for (i64 at = 0; at < n; ++at) {
      const auto largest =
          max_over<TestType>(n, [=](i64 i) { return static_cast<TestType>(i == at ? -1 : -5 - i % 3); });
      if (largest != -1) FAIL("n = " << n << ", at " << at);
    }
  }
  const auto inf = std::numeric_limits<TestType>::infinity();
  CHECK(max_over<TestType>(40, [=](i64) { return -inf; }) == -inf);
  CHECK(max_over<TestType>(40, [=](i64 i) { return i == 39 ? inf : TestType(0); }) == inf);
}

TEMPLATE_TEST_CASE("row: exponentials of a row, in place as well", "[kernels]", float, double) {
  const double tolerance =
      sizeof(TestType) == 4 ? 3e-7 : 1e-15;  // float: the polynomial, and one rounding of its input
  for (const i64 n : {1, 7, 16, 33, 1000}) {
    std::vector<TestType> x, y(static_cast<size_t>(n)), center;
    for (i64 i = 0; i < n; ++i) {
      x.push_back(static_cast<TestType>(0.25 * static_cast<double>(i % 13)));
      center.push_back(static_cast<TestType>(0.5 * static_cast<double>(i % 5)));
    }
    exp_row(y.data(), x.data(), n, TestType(2), TestType(1));
    for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == Approx(std::exp(2. * x[i] - 1)).epsilon(tolerance));
    exp_centered_row(y.data(), x.data(), center.data(), n, TestType(2), TestType(1));
    for (size_t i = 0; i < x.size(); ++i) {
      CHECK(y[i] == Approx(std::exp(2. * (x[i] - center[i]) - 1)).epsilon(tolerance));
    }
    exp_shifted_row(y.data(), x.data(), n, TestType(2), TestType(1));
    for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == Approx(std::exp(2. * (x[i] - 1))).epsilon(tolerance));
    const auto before = x;
    exp_row(x.data(), x.data(), n, TestType(2), TestType(1));
    for (size_t i = 0; i < x.size(); ++i) CHECK(x[i] == Approx(std::exp(2. * before[i] - 1)).epsilon(tolerance));
  }
}

TEMPLATE_TEST_CASE("row: a sum of exponentials, over several stretches", "[kernels]", float, double) {
  for (const i64 n : {0, 1, 1023, 1024, 1025, 5000}) {
    const auto x = [&] {
      std::vector<TestType> v;
      for (i64 i = 0; i < n; ++i) v.push_back(static_cast<TestType>(std::sin(static_cast<double>(i))));
      return v;
    }();
    long double expected = 0;
    for (const auto v : x) expected += std::exp(3 * (static_cast<long double>(v) - 2));
    CHECK(exp_sum(x.data(), n, TestType(3), TestType(2)) ==
          Approx(static_cast<double>(expected)).epsilon(sizeof(TestType) == 4 ? 5e-7 : 1e-14));
  }
}
