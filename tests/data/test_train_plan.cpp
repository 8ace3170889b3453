#include <dino/data/train_plan.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

constexpr i64 many = 20000;

TrainPlan plan_of(i64 sample, const TrainSettings& s = {}) { return plan_training_image(s, 1, 0, sample, 500, 375); }

}  // namespace

TEST_CASE("train_plan: a plan depends on seed, epoch and sample, and on nothing else", "[data]") {
  const auto plan = plan_training_image({}, 7, 3, 41, 500, 375);
  CHECK(plan_training_image({}, 7, 3, 41, 500, 375) == plan);
  CHECK_FALSE(plan_training_image({}, 8, 3, 41, 500, 375) == plan);
  CHECK_FALSE(plan_training_image({}, 7, 4, 41, 500, 375) == plan);
  CHECK_FALSE(plan_training_image({}, 7, 3, 42, 500, 375) == plan);
}

TEST_CASE("train_plan: a changed setting moves no other decision", "[data]") {
  TrainSettings plain;
  plain.erase_prob = plain.flip_prob = plain.rand_augment = 0;
  for (i64 i = 0; i < 200; ++i) {
    const auto full = plan_of(i), bare = plan_of(i, plain);
    CHECK(full.box == bare.box);
    CHECK(full.erased == bare.erased);
    CHECK_FALSE(bare.erase);
    CHECK_FALSE(bare.flip);
    CHECK(bare.augment.count == 0);
  }
}

TEST_CASE("train_plan: options act as often as asked, boxes lie inside", "[data]") {
  i64 flips = 0, erased = 0;
  double least = 1, most = 0;
  for (i64 i = 0; i < many; ++i) {
    const auto p = plan_of(i);
    flips += p.flip ? 1 : 0;
    erased += p.erase ? 1 : 0;
    const double part = static_cast<double>(p.box.width * p.box.height) / (500 * 375);
    least = std::min(least, part);
    most = std::max(most, part);
    REQUIRE(p.box.x + p.box.width <= 500);
    REQUIRE(p.box.y + p.box.height <= 375);
    REQUIRE(p.erased.x + p.erased.width <= 224);
    REQUIRE(p.erased.y + p.erased.height <= 224);
  }
  CHECK(static_cast<double>(flips) == Approx(0.5 * many).margin(0.0142 * many));
  CHECK(static_cast<double>(erased) == Approx(0.25 * many).margin(0.0142 * many));
  CHECK(least == Approx(0.08).margin(0.005));
  CHECK(most == Approx(1).margin(0.01));
}

TEST_CASE("train_plan: erased boxes are those of timm", "[data][golden]") {
  const golden::File file("finetune.safetensors");
  const auto& rows = file.values("erasing.sizes");
  REQUIRE(rows.size() == 6 * 5);
  for (size_t r = 0; r < rows.size(); r += 5) {
    const auto [w, h] = detail::erased_size(static_cast<i64>(rows[r]), rows[r + 1], rows[r + 2]);
    CHECK(static_cast<double>(w) == rows[r + 3]);
    CHECK(static_cast<double>(h) == rows[r + 4]);
  }
}

TEST_CASE("train_plan: a picture of one pixel has nothing to erase", "[data]") {
  TrainSettings s;
  s.size = 1;
  s.erase_prob = 1;
  CHECK_FALSE(plan_training_image(s, 1, 0, 0, 1, 1).erase);
}

TEST_CASE("train_plan: settings out of range are named", "[data]") {
  const auto refused = [](auto change, const std::string& text) {
    TrainSettings s;
    change(s);
    CHECK_THROWS_WITH(check_train_settings(s), contains(text));
  };
  refused([](auto& s) { s.size = 0; }, "image_size = 0");
  refused([](auto& s) { s.scale_min = 1.5; }, "crop_scale = 1.5");
  refused([](auto& s) { s.flip_prob = -1; }, "flip_prob = -1");
  refused([](auto& s) { s.rand_augment = 11; }, "randaugment = 11");
  refused([](auto& s) { s.erase_prob = 2; }, "random_erasing = 2");
  refused([](auto& s) { s.deviation[1] = 0; }, "deviation = 0");
  CHECK_THROWS_WITH(plan_training_image({}, 1, 0, -1, 5, 5), contains("sample -1"));
}
