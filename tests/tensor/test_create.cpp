#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("create: constants and given values", "[tensor]") {
  HostContext ctx(2);
  CHECK(to_vector(full<float>(ctx, {2, 2}, 1.5f)) == std::vector<float>(4, 1.5f));
  CHECK(to_vector(zeros<i64>(ctx, {3})) == std::vector<i64>(3, 0));
  CHECK(to_vector(full<float>(ctx, {3, 20001}, 2.f)) == std::vector<float>(60003, 2.f));
  CHECK(to_vector(tensor<float>(ctx, {2, 1}, {3, 4})) == std::vector<float>{3, 4});
  CHECK(to_vector(generate<double>(ctx, {3}, [](i64 i) { return 10 * i; })) == std::vector<double>{0, 10, 20});
  CHECK(zeros<float>(ctx, {0}).numel() == 0);
  CHECK_THROWS_WITH(tensor<float>(ctx, {2, 2}, {1, 2, 3}), "copy: 3 values into (2,2)");
}

TEST_CASE("create: random values depend on key and position only", "[tensor]") {
  HostContext one(1), seven(7);
  const auto x = to_vector(randn<float>(one, {40, 50}, RngKey(1, 2)));
  CHECK(x == to_vector(randn<float>(seven, {2000}, RngKey(1, 2))));
  CHECK(x != to_vector(randn<float>(one, {40, 50}, RngKey(1, 3))));
  CHECK(x != to_vector(randn<float>(one, {40, 50}, RngKey(2, 2))));
  const auto shorter = to_vector(randn<float>(one, {100}, RngKey(1, 2)));
  CHECK(std::equal(shorter.begin(), shorter.end(), x.begin()));
  const auto u = to_vector(uniform<float>(one, {100}, RngKey(1, 2), -1, 1));
  CHECK(u == to_vector(uniform<float>(seven, {100}, RngKey(1, 2), -1, 1)));
}

TEST_CASE("create: normal values have mean 0, variance 1 and kurtosis 3", "[tensor]") {
  HostContext ctx(1);
  const i64 n = 100000;
  const auto x = randn<double>(ctx, {n}, RngKey(3, 0));
  double m1 = 0, m2 = 0, m4 = 0;
  for (i64 i = 0; i < n; ++i) {
    const double square = x[i] * x[i];
    m1 += x[i] / static_cast<double>(n);
    m2 += square / static_cast<double>(n);
    m4 += square * square / static_cast<double>(n);
  }
  CHECK(std::abs(m1) < 4 / std::sqrt(1e5));           // four deviations of the mean
  CHECK(std::abs(m2 - 1) < 4 * std::sqrt(2 / 1e5));   // variance of x^2: 2
  CHECK(std::abs(m4 - 3) < 4 * std::sqrt(96 / 1e5));  // variance of x^4: 105 - 9
}

TEST_CASE("create: uniform values fill their range", "[tensor]") {
  HostContext ctx(1);
  const auto x = to_vector(uniform<double>(ctx, {100000}, RngKey(3, 1), -2, 5));
  double mean = 0;
  for (const double v : x) mean += v / 1e5;
  CHECK(*std::min_element(x.begin(), x.end()) >= -2);
  CHECK(*std::min_element(x.begin(), x.end()) < -1.999);
  CHECK(*std::max_element(x.begin(), x.end()) < 5);
  CHECK(*std::max_element(x.begin(), x.end()) > 4.999);
  CHECK(std::abs(mean - 1.5) < 4 * 7 / std::sqrt(12e5));
}
