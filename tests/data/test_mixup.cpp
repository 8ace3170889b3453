#include <dino/data/mixup.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> golden_images(const golden::File& file, const std::string& name) {
  const auto& values = file.values(name);
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("mixup: a batch is mixed as by timm", "[data][golden]") {
  const golden::File file("finetune.safetensors");
  auto images = golden_images(file, "images");
  mix_images(images, 4, 6, {.share = 0.3});
  // 1e-7: one fused multiply-add
  CHECK(golden::relative_error(images, golden_images(file, "mixup.out")) <= 1e-7);
  images = golden_images(file, "images");
  mix_images(images, 4, 6, {.share = 0.75, .cut = true, .box = {2, 1, 3, 2}});
  CHECK(images == golden_images(file, "cutmix.out"));
}

TEST_CASE("mixup: boxes of cutmix are those of timm", "[data][golden]") {
  const golden::File file("finetune.safetensors");
  const auto& rows = file.values("cutmix.boxes");
  REQUIRE(rows.size() == 7 * 9);
  for (size_t r = 0; r < rows.size(); r += 9) {
    const auto whole = [&](size_t k) { return static_cast<i64>(rows[r + k]); };
    const auto box = cutmix_box(rows[r], whole(1), whole(2), whole(3), whole(4));
    CHECK(box == kernels::PixelBox{whole(5), whole(6), whole(7) - whole(5), whole(8) - whole(6)});
  }
}

TEST_CASE("mixup: a plan depends on seed and step, and on nothing else", "[data]") {
  const auto share = [](u64 seed, i64 step) { return plan_mix({}, seed, step, 32, 32).share; };
  CHECK(share(1, 5) == share(1, 5));
  CHECK(share(1, 5) != share(2, 5));
  CHECK(share(1, 5) != share(1, 6));
}

TEST_CASE("mixup: the share is that of the pixels", "[data]") {
  i64 cut = 0;
  for (i64 step = 0; step < 2000; ++step) {
    const auto plan = plan_mix({}, 1, step, 32, 20);
    REQUIRE(plan.share >= 0);
    REQUIRE(plan.share <= 1);
    if (!plan.cut) continue;
    ++cut;
    REQUIRE(plan.box.x >= 0);
    REQUIRE(plan.box.y >= 0);
    REQUIRE(plan.box.x + plan.box.width <= 32);
    REQUIRE(plan.box.y + plan.box.height <= 20);
    REQUIRE(plan.share == 1 - static_cast<double>(plan.box.width * plan.box.height) / 640);
  }
  CHECK(cut == Approx(1000).margin(90));  // four standard deviations
}

TEST_CASE("mixup: the shares are a beta distribution", "[data]") {
  for (const double alpha : {0.2, 0.8, 1.0, 3.0}) {
    double sum = 0, square = 0;
    constexpr i64 n = 20000;
    for (i64 step = 0; step < n; ++step) {
      const double share = plan_mix({.mixup = alpha, .cutmix = 0}, 3, step, 32, 32).share;
      sum += share;
      square += (share - 0.5) * (share - 0.5);
    }
    CHECK(sum / n == Approx(0.5).margin(0.014));  // four deviations of the mean of the widest, 0.5
    CHECK(square / n == Approx(1 / (4 * (2 * alpha + 1))).epsilon(0.04));
  }
}

TEST_CASE("mixup: either kind may be off", "[data]") {
  for (i64 step = 0; step < 50; ++step) {
    CHECK_FALSE(plan_mix({.mixup = 0.8, .cutmix = 0}, 1, step, 32, 32).cut);
    CHECK(plan_mix({.mixup = 0, .cutmix = 1}, 1, step, 32, 32).cut);
    CHECK_FALSE(plan_mix({.mixup = 0, .cutmix = 0}, 1, step, 32, 32).mixes());
  }
  std::vector<float> images(2 * 3 * 4, 1.0f);
  images[0] = 5;
  const auto before = images;
  mix_images(images, 2, 2, {});
  CHECK(images == before);
}

TEST_CASE("mixup: what cannot be is refused", "[data]") {
  std::vector<float> images(10);
  CHECK_THROWS_WITH(mix_images(images, 2, 2, {.share = 0.5}), "mixup: 10 values are no images of 2 x 2");
  CHECK_THROWS_WITH(plan_mix({.mixup = -1}, 1, 0, 8, 8), contains("must not be negative"));
}
