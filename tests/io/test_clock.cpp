#include <dino/io/clock.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("clock: durations and counts read as people write them", "[io]") {
  CHECK(format_duration(0) == "0s");
  CHECK(format_duration(45.4) == "45s");
  CHECK(format_duration(59.7) == "1m 00s");
  CHECK(format_duration(644) == "10m 44s");
  CHECK(format_duration(40800) == "11h 20m");
  CHECK(format_duration(97920) == "1d 03:12");
  CHECK(format_duration(-1) == "--");
  CHECK(format_duration(std::nan("")) == "--");
  CHECK(format_duration(1.0 / 0.0) == "--");
  CHECK(format_count(3120) == "3,120");
  CHECK(format_count(-1281167) == "-1,281,167");
  CHECK(format_count(999) == "999");
  CHECK(format_count(-123) == "-123");
  CHECK(rfc3339(1769204405) == "2026-01-23T21:40:05Z");
  CHECK(file_time(1769204405) == "20260123T214005Z");
}

TEST_CASE("clock: steady time starts at the wall clock and does not run backwards", "[io]") {
  const SteadyTime time;
  const i64 wall = static_cast<i64>(std::time(nullptr)), first = time.now();
  CHECK(std::abs(first - wall) <= 1);
  CHECK(time.now() >= first);
  const double a = monotonic_seconds();
  CHECK(monotonic_seconds() >= a);
}
