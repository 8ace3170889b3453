#include <dino/ssl/health.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

constexpr i64 outputs = 1024, dim = 192, armed_at = 10, patience = 5;
const double ln_k = std::log(1024.0);
const HealthSample healthy{.loss = 5, .teacher_entropy = 3, .batch_entropy = 6, .feature_std = 0.07};

/// All alarms of so many steps with the same numbers.
std::vector<std::string> observe(const HealthSample& sample, i64 steps, i64 first = armed_at) {
  HealthMonitor monitor(outputs, dim, armed_at, patience);
  std::vector<std::string> all;
  for (i64 step = first; step < first + steps; ++step) {
    for (const auto& alarm : monitor.observe(step, sample)) all.push_back(alarm);
  }
  return all;
}

void check_raised_once(const HealthSample& sick, const std::string& text) {
  CHECK(observe(sick, patience - 1).empty());
  const auto alarms = observe(sick, 10 * patience);
  REQUIRE(alarms.size() == 1);
  CHECK_THAT(alarms[0], contains(text));
  CHECK_THAT(alarms[0], contains("collapse suspected at step 14"));
  // One healthy step starts the count anew, and a second episode is reported again.
  HealthMonitor monitor(outputs, dim, armed_at, patience);
  i64 raised = 0, step = armed_at;
  const auto run = [&](const HealthSample& s, i64 steps) {
    for (i64 i = 0; i < steps; ++i) raised += static_cast<i64>(monitor.observe(step++, s).size());
  };
  run(sick, patience - 1);
  run(healthy, 1);
  run(sick, patience - 1);
  CHECK(raised == 0);
  run(sick, 1);
  run(healthy, 1);
  run(sick, patience);
  CHECK(raised == 2);
}

}  // namespace

TEST_CASE("health: healthy numbers raise nothing", "[ssl]") {
  CHECK(observe(healthy, 100 * patience).empty());
  // A teacher that is nearly uniform while the student still differs is no collapse; nor is a low loss by itself.
  CHECK(observe({.loss = ln_k + 0.2, .teacher_entropy = 0.995 * ln_k, .batch_entropy = 6, .feature_std = 0.07}, 50)
            .empty());
  CHECK(observe({.loss = 0.1, .teacher_entropy = 0.05, .batch_entropy = 5, .feature_std = 0.07}, 50).empty());
}

TEST_CASE("health: a uniform teacher is reported once after patience steps", "[ssl]") {
  check_raised_once({.loss = ln_k, .teacher_entropy = 0.999 * ln_k, .batch_entropy = ln_k, .feature_std = 0.07},
                    "uniform");
}

TEST_CASE("health: one prototype for every image is reported once after patience steps", "[ssl]") {
  check_raised_once({.loss = 0.1, .teacher_entropy = 0.05, .batch_entropy = 0.04 * ln_k, .feature_std = 0.07},
                    "one prototype");
}

TEST_CASE("health: features without spread are reported once, after the warm-up", "[ssl]") {
  auto flat = healthy;
  flat.feature_std = 0.04 / std::sqrt(192.0);
  check_raised_once(flat, "same feature");
  CHECK(observe(flat, armed_at, 0).empty());
  CHECK(observe(flat, armed_at + patience, 0).size() == 1);
}

TEST_CASE("health: several signs are reported together", "[ssl]") {
  CHECK(observe({.loss = 0.01, .teacher_entropy = 0.01, .batch_entropy = 0, .feature_std = 0}, patience).size() == 2);
}

TEST_CASE("health: numbers that are not finite raise no alarm of collapse", "[ssl]") {
  const double nan = std::nan("");
  CHECK(observe({.loss = nan, .teacher_entropy = nan, .batch_entropy = nan, .feature_std = nan}, 50).empty());
}
