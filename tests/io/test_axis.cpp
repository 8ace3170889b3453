#include <dino/io/axis.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("axis: ticks lie in the range, a multiple of one step apart, about as many as wanted", "[io]") {
  for (const double low : {-1e6, -3.7, -0.002, 0.0, 0.3, 41.0, 1e9}) {
    for (const double span : {1e-3, 0.9, 7.0, 1234.0, 1e12}) {
      for (const int wanted : {3, 5, 10}) {
        const auto ticks = nice_ticks(low, low + span, wanted);
        INFO("from " << low << " over " << span << ", wanted " << wanted);
        REQUIRE(static_cast<int>(ticks.size()) >= wanted / 2);
        REQUIRE(static_cast<int>(ticks.size()) <= 2 * wanted + 1);
        const double step = ticks[1] - ticks[0];
        CHECK(ticks.front() >= low - 1e-6 * step);
        CHECK(ticks.back() <= low + span + 1e-6 * step);
        CHECK(ticks.front() - step < low);
        CHECK(ticks.back() + step > low + span);
        const double mantissa = step / std::pow(10, std::floor(std::log10(step) + 1e-6));
        CHECK(std::min({std::abs(mantissa - 1), std::abs(mantissa - 2), std::abs(mantissa - 5)}) < 1e-3);
      }
    }
  }
}

TEST_CASE("axis: a range without extent, backwards or without end has no ticks", "[io]") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(nice_ticks(2, 2, 5).empty());
  CHECK(nice_ticks(3, 2, 5).empty());
  CHECK(nice_ticks(0, infinity, 5).empty());
  CHECK(nice_ticks(-1e308, 1e308, 5).empty());
  CHECK(log_ticks(1, infinity).empty());
  CHECK(log_ticks(-1, 1).empty());
  CHECK(log_ticks(2, 1).empty());
}

TEST_CASE("axis: many decades are thinned to round powers", "[io]") {
  CHECK(log_ticks(1e-12, 1e12).size() <= 7);
  const auto ticks = log_ticks(0.03, 7000);
  REQUIRE(ticks.size() == 5);
  CHECK(ticks[0] == Approx(0.1));
  CHECK(ticks[4] == Approx(1000));
}

TEST_CASE("axis: a label has the digits that tell it from its neighbours", "[io]") {
  CHECK(tick_label(0.5, 0.5) == "0.5");
  CHECK(tick_label(3, 1) == "3");
  CHECK(tick_label(0.30000000000000004, 0.1) == "0.3");
  CHECK(tick_label(-1234567, 1) == "-1,234,567");
  CHECK(tick_label(1e7, 1e6) == "1.0e7");
  CHECK(tick_label(12, 0) == "12");  // no step to go by
}

TEST_CASE("axis: a range grows with what is added", "[io]") {
  detail::Range range;
  CHECK(range.empty());
  range.add(3);
  CHECK_FALSE(range.empty());
  CHECK(range.span() == 0);
  range.add(-1);
  CHECK(range.low == -1);
  CHECK(range.high == 3);
  CHECK(detail::tick_step({2, 4, 6}, 9) == 2);
  CHECK(detail::tick_step({2}, 9) == 9);
}
