// Mixup and cutmix: every image of a batch gets a part of another one, and of its label.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/philox.hpp>
#include <dino/data/rand_augment.hpp>
#include <dino/kernels/cpu/resample_image.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

namespace dino::inline DINO_ABI {

/// The defaults are those of DeiT (Touvron et al. 2021). Both off: nothing is mixed; both on: each for half the
/// batches.
struct MixSettings {
  double mixup = 0.8;   // alpha of Beta(alpha, alpha); 0: off
  double cutmix = 1.0;  // the same for cutmix
};

/// What happens to a batch. Image b gets from image B - 1 - b: all of it, weighed by 1 - share, or for cutmix the box.
struct MixPlan {
  double share = 1;  // of the image's own label
  bool cut = false;
  kernels::PixelBox box{};

  bool mixes() const { return share < 1; }
};

namespace detail {

/// Gamma(shape, 1), as a logarithm: for a small shape the number itself may be too small. Marsaglia and Tsang 2000,
/// with their step from shape + 1 for shapes below 1.
inline double draw_log_gamma(RngStream& random, double shape) {
  const double lift = shape < 1 ? std::log(1 - random.uniform(0.0, 1.0)) / shape : 0;
  const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3.0, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = draw_normal(random), u = 1 - random.uniform(0.0, 1.0), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v) + lift;
  }
}

/// Beta(alpha, alpha): g / (g + h) of two gamma numbers.
inline double draw_beta(RngStream& random, double alpha) {
  const double g = draw_log_gamma(random, alpha), h = draw_log_gamma(random, alpha);
  return 1 / (1 + std::exp(h - g));
}

}  // namespace detail

/// The box of cutmix around (x, y), cut at the edges: sides of trunc(side sqrt(1 - share)), the larger half behind.
/// Source: timm, rand_bbox.
inline kernels::PixelBox cutmix_box(double share, i64 x, i64 y, i64 width, i64 height) {
  const double ratio = std::sqrt(1 - share);
  const i64 w = static_cast<i64>(static_cast<double>(width) * ratio);
  const i64 h = static_cast<i64>(static_cast<double>(height) * ratio);
  const i64 left = std::clamp<i64>(x - w / 2, 0, width), right = std::clamp<i64>(x + (w + 1) / 2, 0, width);
  const i64 top = std::clamp<i64>(y - h / 2, 0, height), bottom = std::clamp<i64>(y + (h + 1) / 2, 0, height);
  return {left, top, right - left, bottom - top};
}

/// The plan of the batch of an update: a function of (settings, seed, step). For cutmix the share is the part of the
/// area that the box leaves. Source: timm, Mixup with mode "batch", prob 1, switch_prob 0.5.
inline MixPlan plan_mix(const MixSettings& s, u64 seed, i64 step, i64 width, i64 height) {
  require(s.mixup >= 0 && s.cutmix >= 0, ErrorKind::usage, "mixup = {} and cutmix = {} must not be negative", s.mixup,
          s.cutmix);
  RngStream random(RngKey(seed, stream_of("mixup")), static_cast<u64>(step));
  const bool second = random.uniform(0.0, 1.0) < 0.5;
  const i64 x = random.below(width), y = random.below(height);
  MixPlan plan;
  plan.cut = s.cutmix > 0 && (s.mixup <= 0 || second);
  const double alpha = plan.cut ? s.cutmix : s.mixup;
  if (alpha <= 0) return plan;
  plan.share = detail::draw_beta(random, alpha);
  if (!plan.cut) return plan;
  plan.box = cutmix_box(plan.share, x, y, width, height);
  plan.share = 1 - static_cast<double>(plan.box.width * plan.box.height) / static_cast<double>(width * height);
  return plan;
}

/// Carries a plan out, in place. images: (B,3,height,width).
inline void mix_images(std::span<float> images, i64 height, i64 width, const MixPlan& plan) {
  const i64 values = 3 * height * width, count = static_cast<i64>(images.size()) / values;
  require(count * values == static_cast<i64>(images.size()), "mixup: {} values are no images of {} x {}", images.size(),
          width, height);
  if (!plan.mixes()) return;
  const auto share = static_cast<float>(plan.share), rest = static_cast<float>(1 - plan.share);
  for (i64 b = 0; b < count / 2; ++b) {
    float* const one = images.data() + b * values;
    float* const two = images.data() + (count - 1 - b) * values;
    if (!plan.cut) {
      for (i64 i = 0; i < values; ++i) {
        const float x = one[i], y = two[i];
        one[i] = x * share + y * rest;
        two[i] = y * share + x * rest;
      }
      continue;
    }
    for (i64 c = 0; c < 3; ++c) {
      for (i64 y = plan.box.y; y < plan.box.y + plan.box.height; ++y) {
        const i64 at = (c * height + y) * width + plan.box.x;
        std::swap_ranges(one + at, one + at + plan.box.width, two + at);
      }
    }
  }
}

}  // namespace dino::inline DINO_ABI
