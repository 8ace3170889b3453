// RandAugment: two operations of a list for each picture, with strengths around one number.
#pragma once

#include <dino/base/philox.hpp>
#include <dino/kernels/cpu/rand_augment.hpp>

#include <array>
#include <cmath>
#include <string_view>

namespace dino::inline DINO_ABI {

enum class AugmentOp : u8 {
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  solarize,
  solarize_add,
  color,
  contrast,
  brightness,
  sharpness,
  shear_x,
  shear_y,
  translate_x,
  translate_y
};
inline constexpr i64 augment_op_count = 15;

/// One operation with its amount: degrees, bits, threshold, addend, factor, or a part of the side.
struct AugmentStep {
  AugmentOp op = AugmentOp::invert;
  double amount = 0;
  friend bool operator==(const AugmentStep&, const AugmentStep&) = default;
};

/// Operations in order; count of them act.
struct AugmentPlan {
  std::array<AugmentStep, 2> steps{};
  i64 count = 0;
  friend bool operator==(const AugmentPlan&, const AugmentPlan&) = default;
};

/// What a level in [0, 10] means to an operation; `negative` turns it round where it has a direction.
/// Source: timm, auto_augment.py, LEVEL_TO_ARG of the increasing set.
inline double augment_amount(AugmentOp op, double level, bool negative) {
  const double part = level / 10, sign = negative ? -1 : 1;
  switch (op) {
    case AugmentOp::auto_contrast:
    case AugmentOp::equalize:
    case AugmentOp::invert:
      return 0;
    case AugmentOp::rotate:
      return sign * (part * 30);
    case AugmentOp::posterize:
      return 4 - std::trunc(part * 4);
    case AugmentOp::solarize:
      return 256 - std::min(256.0, std::trunc(part * 256));
    case AugmentOp::solarize_add:
      return std::min(128.0, std::trunc(part * 110));
    case AugmentOp::color:
    case AugmentOp::contrast:
    case AugmentOp::brightness:
    case AugmentOp::sharpness:
      return std::max(0.1, 1 + sign * (part * 0.9));
    case AugmentOp::shear_x:
    case AugmentOp::shear_y:
      return sign * (part * 0.3);
    case AugmentOp::translate_x:
    case AugmentOp::translate_y:
      return sign * (part * 0.45);
  }
  fail(ErrorKind::internal, "augment_amount: operation {}", static_cast<int>(op));
}

namespace detail {

/// A number of mean 0 and deviation 1 (Box and Muller).
inline double draw_normal(RngStream& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform(0.0, 1.0)));
  return radius * std::cos(2 * std::numbers::pi * random.uniform(0.0, 1.0));
}

}  // namespace detail

/// Two operations, drawn one by one with equal chances, each acting with probability 1/2 at a level of N(magnitude,
/// 1/2), cut to [0, 10]. magnitude 0: none. Source: timm, rand-m9-mstd0.5-inc1 (RandAugment: Cubuk et al. 2020).
inline AugmentPlan draw_augment_plan(RngStream& random, double magnitude) {
  AugmentPlan plan;
  for (int layer = 0; layer < 2; ++layer) {
    const auto op = static_cast<AugmentOp>(random.below(augment_op_count));
    const bool acts = random.uniform(0.0, 1.0) < 0.5, negative = random.uniform(0.0, 1.0) < 0.5;
    const double level = std::clamp(magnitude + 0.5 * detail::draw_normal(random), 0.0, 10.0);
    if (!acts || magnitude <= 0) continue;
    plan.steps[static_cast<size_t>(plan.count++)] = {op, augment_amount(op, level, negative)};
  }
  return plan;
}

/// Carries one operation out, in place. fill: what comes in from outside the picture. scratch: memory that is reused.
inline void apply_augment(const kernels::PixelsArgs& a, const AugmentStep& step, const std::array<u8, 3>& fill,
                          std::vector<u8>& scratch) {
  using namespace kernels;
  const double width = static_cast<double>(a.width), height = static_cast<double>(a.height);
  const auto factor = static_cast<float>(step.amount);
  const auto whole = static_cast<i64>(step.amount);
  switch (step.op) {
    case AugmentOp::auto_contrast:
      return auto_contrast(a);
    case AugmentOp::equalize:
      return equalize(a);
    case AugmentOp::invert:
      return invert(a);
    case AugmentOp::rotate:
      return transform_affine(a, rotation_matrix(step.amount, a.width, a.height), fill, scratch);
    case AugmentOp::posterize:
      return posterize(a, whole);
    case AugmentOp::solarize:
      return solarize(a, whole);
    case AugmentOp::solarize_add:
      return solarize_add(a, whole);
    case AugmentOp::color:
      return adjust_saturation(a, factor);
    case AugmentOp::contrast:
      return adjust_contrast(a, factor);
    case AugmentOp::brightness:
      return adjust_brightness(a, factor);
    case AugmentOp::sharpness:
      return adjust_sharpness(a, factor, scratch);
    case AugmentOp::shear_x:
      return transform_affine(a, {.b = step.amount}, fill, scratch);
    case AugmentOp::shear_y:
      return transform_affine(a, {.d = step.amount}, fill, scratch);
    case AugmentOp::translate_x:
      return transform_affine(a, {.c = step.amount * width}, fill, scratch);
    case AugmentOp::translate_y:
      return transform_affine(a, {.f = step.amount * height}, fill, scratch);
  }
}

}  // namespace dino::inline DINO_ABI
