#include <dino/nn/init.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

struct Moments {
  double mean = 0, deviation = 0, low = 0, high = 0;
};
Moments moments(const Init& init, i64 n) {
  const RngKey key(5, stream_of("blocks.0.mlp.fc1.weight"));
  double total = 0, square = 0;
  Moments m;
  for (i64 i = 0; i < n; ++i) {
    const double x = init(key, i);
    total += x;
    square += x * x;
    m.low = std::min(m.low, x);
    m.high = std::max(m.high, x);
  }
  m.mean = total / static_cast<double>(n);
  m.deviation = std::sqrt(square / static_cast<double>(n) - m.mean * m.mean);
  return m;
}

}  // namespace

TEST_CASE("init: constants", "[nn]") {
  CHECK(zeros_init(RngKey(1, 2), 3) == 0);
  CHECK(ones_init(RngKey(1, 2), 3) == 1);
}

TEST_CASE("init: the normal distribution has its deviation and tails", "[nn]") {
  constexpr i64 n = 100000;
  const auto m = moments(normal_init(0.02), n);
  CHECK(std::abs(m.mean) < 5 * 0.02 / std::sqrt(static_cast<double>(n)));
  CHECK(m.deviation == Approx(0.02).epsilon(5 / std::sqrt(2.0 * n)));  // five deviations of the estimate
  CHECK(m.high > 3.5 * 0.02);
  CHECK(m.low < -3.5 * 0.02);
  CHECK(m.high < 6 * 0.02);
}

TEST_CASE("init: the uniform distribution fills its bounds", "[nn]") {
  constexpr i64 n = 100000;
  const auto m = moments(uniform_init(0.25), n);
  CHECK(std::abs(m.mean) < 0.004);
  CHECK(m.deviation == Approx(0.25 / std::sqrt(3.0)).epsilon(0.01));
  CHECK(m.low >= -0.25);
  CHECK(m.high < 0.25);
  CHECK(m.low < -0.2499);
  CHECK(m.high > 0.2499);
}

TEST_CASE("init: an element depends on its key and number only", "[nn]") {
  const auto init = normal_init(1);
  CHECK(init(RngKey(1, 2), 7) == init(RngKey(1, 2), 7));
  CHECK(init(RngKey(1, 2), 7) != init(RngKey(1, 2), 8));
  CHECK(init(RngKey(1, 2), 7) != init(RngKey(1, 3), 7));
  CHECK(init(RngKey(1, 2), 7) != init(RngKey(2, 2), 7));
}
