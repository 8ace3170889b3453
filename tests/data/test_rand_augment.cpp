#include <dino/data/rand_augment.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

#include <map>

using namespace dino;

namespace {

AugmentPlan plan_of(u64 index, double magnitude = 9) {
  RngStream random(RngKey(1, 2), index);
  return draw_augment_plan(random, magnitude);
}

}  // namespace

TEST_CASE("rand_augment: amounts are those of timm's increasing operations", "[data][golden]") {
  // LEVEL_TO_ARG of timm 1.0.31 at levels 9, 10 and 3.3.
  CHECK(augment_amount(AugmentOp::rotate, 9, false) == 27);
  CHECK(augment_amount(AugmentOp::rotate, 3.3, true) == Approx(-9.9));
  CHECK(augment_amount(AugmentOp::posterize, 9, false) == 1);
  CHECK(augment_amount(AugmentOp::posterize, 10, false) == 0);
  CHECK(augment_amount(AugmentOp::posterize, 3.3, true) == 3);
  CHECK(augment_amount(AugmentOp::solarize, 9, false) == 26);
  CHECK(augment_amount(AugmentOp::solarize, 10, false) == 0);
  CHECK(augment_amount(AugmentOp::solarize, 3.3, false) == 172);
  CHECK(augment_amount(AugmentOp::solarize_add, 9, false) == 99);
  CHECK(augment_amount(AugmentOp::solarize_add, 3.3, false) == 36);
  for (const auto op : {AugmentOp::color, AugmentOp::contrast, AugmentOp::brightness, AugmentOp::sharpness}) {
    CHECK(augment_amount(op, 9, false) == Approx(1.81));
    CHECK(augment_amount(op, 9, true) == Approx(0.19));
    CHECK(augment_amount(op, 10, true) == Approx(0.1));
  }
  CHECK(augment_amount(AugmentOp::shear_x, 9, true) == Approx(-0.27));
  CHECK(augment_amount(AugmentOp::translate_y, 9, false) == Approx(0.405));
}

TEST_CASE("rand_augment: two operations, each half the time, all equally often", "[data]") {
  std::map<AugmentOp, i64> count;
  i64 acting = 0, lower = 0, turned = 0;
  constexpr i64 n = 20000;
  for (u64 i = 0; i < n; ++i) {
    const auto plan = plan_of(i);
    acting += plan.count;
    for (i64 k = 0; k < plan.count; ++k) {
      const auto step = plan.steps[static_cast<size_t>(k)];
      ++count[step.op];
      if (step.op != AugmentOp::rotate) continue;
      lower += std::abs(step.amount) < 27 ? 1 : 0;
      turned += step.amount < 0 ? 1 : 0;
      CHECK(std::abs(step.amount) <= 30);
    }
  }
  CHECK(acting == Approx(n).margin(4 * 100));  // 2 n draws of 1/2: a deviation of 100
  CHECK(count.size() == 15);
  for (const auto& [op, times] : count) CHECK(times == Approx(n / 15.0).margin(150));
  CHECK(static_cast<double>(lower) == Approx(static_cast<double>(count[AugmentOp::rotate]) / 2).margin(75));
  CHECK(static_cast<double>(turned) == Approx(static_cast<double>(count[AugmentOp::rotate]) / 2).margin(75));
}

TEST_CASE("rand_augment: a magnitude of 0 is off, and draws no less", "[data]") {
  RngStream off(RngKey(1, 2), 7), on(RngKey(1, 2), 7);
  CHECK(draw_augment_plan(off, 0).count == 0);
  draw_augment_plan(on, 9);
  CHECK(off.bits() == on.bits());
  CHECK(plan_of(5) == plan_of(5));
}

TEST_CASE("rand_augment: each step does what its operation does", "[data]") {
  const auto original = augment_golden::picture(8, 21, 13);
  constexpr std::array<u8, 3> fill{1, 2, 3};
  const auto by_step = [&](AugmentOp op, double amount) {
    auto image = original;
    std::vector<u8> scratch;
    apply_augment({image.pixels.data(), 21, 13}, {op, amount}, fill, scratch);
    return image;
  };
  const auto by_hand = [&](auto&& f) {
    auto image = original;
    std::vector<u8> scratch;
    f(kernels::PixelsArgs{image.pixels.data(), 21, 13}, scratch);
    return image;
  };
  using kernels::transform_affine;
  CHECK(by_step(AugmentOp::auto_contrast, 0) == by_hand([](auto a, auto&) { kernels::auto_contrast(a); }));
  CHECK(by_step(AugmentOp::equalize, 0) == by_hand([](auto a, auto&) { kernels::equalize(a); }));
  CHECK(by_step(AugmentOp::invert, 0) == by_hand([](auto a, auto&) { kernels::invert(a); }));
  CHECK(by_step(AugmentOp::rotate, 27) ==
        by_hand([&](auto a, auto& s) { transform_affine(a, kernels::rotation_matrix(27, 21, 13), fill, s); }));
  CHECK(by_step(AugmentOp::posterize, 2) == by_hand([](auto a, auto&) { kernels::posterize(a, 2); }));
  CHECK(by_step(AugmentOp::solarize, 26) == by_hand([](auto a, auto&) { kernels::solarize(a, 26); }));
  CHECK(by_step(AugmentOp::solarize_add, 99) == by_hand([](auto a, auto&) { kernels::solarize_add(a, 99); }));
  CHECK(by_step(AugmentOp::color, 1.5) == by_hand([](auto a, auto&) { kernels::adjust_saturation(a, 1.5f); }));
  CHECK(by_step(AugmentOp::contrast, 1.5) == by_hand([](auto a, auto&) { kernels::adjust_contrast(a, 1.5f); }));
  CHECK(by_step(AugmentOp::brightness, 1.5) == by_hand([](auto a, auto&) { kernels::adjust_brightness(a, 1.5f); }));
  CHECK(by_step(AugmentOp::sharpness, 1.5) == by_hand([](auto a, auto& s) { kernels::adjust_sharpness(a, 1.5f, s); }));
  CHECK(by_step(AugmentOp::shear_x, 0.2) ==
        by_hand([&](auto a, auto& s) { transform_affine(a, {.b = 0.2}, fill, s); }));
  CHECK(by_step(AugmentOp::shear_y, 0.2) ==
        by_hand([&](auto a, auto& s) { transform_affine(a, {.d = 0.2}, fill, s); }));
  CHECK(by_step(AugmentOp::translate_x, 0.2) ==
        by_hand([&](auto a, auto& s) { transform_affine(a, {.c = 0.2 * 21}, fill, s); }));
  CHECK(by_step(AugmentOp::translate_y, 0.2) ==
        by_hand([&](auto a, auto& s) { transform_affine(a, {.f = 0.2 * 13}, fill, s); }));
}
