// Every random decision about one training image of a classifier, drawn from (seed, epoch, sample) alone.
#pragma once

#include <dino/data/crop_plan.hpp>
#include <dino/data/rand_augment.hpp>

namespace dino::inline DINO_ABI {

/// How training images are changed. The defaults are those of DeiT (Touvron et al. 2021).
struct TrainSettings {
  i64 size = 224;
  double scale_min = 0.08, scale_max = 1;  // of the crop, fractions of the picture's area
  double flip_prob = 0.5;
  double rand_augment = 9;   // magnitude, 0..10; 0: off
  double erase_prob = 0.25;  // of a rectangle of noise
  kernels::ImageFilter filter = kernels::ImageFilter::bicubic;
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // ImageNet
  std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};
};

/// What happens to a picture, in this order: cut the box out, resize it to size x size, flip, augment, normalise, put
/// noise into the erased box.
struct TrainPlan {
  kernels::PixelBox box;
  bool flip = false, erase = false;
  AugmentPlan augment;
  kernels::PixelBox erased;  // within size x size
  RngKey noise;              // value i of the erased box, channel after channel, is normal number i of it

  friend bool operator==(const TrainPlan& a, const TrainPlan& b) {
    return a.box == b.box && a.flip == b.flip && a.erase == b.erase && a.augment == b.augment && a.erased == b.erased &&
           a.noise.key == b.noise.key;
  }
};

/// Throws Error(usage) and names the first setting that is out of range.
inline void check_train_settings(const TrainSettings& s) {
  const auto in_range = [](const char* name, double value, double low, double high) {
    require(value >= low && value <= high, ErrorKind::usage, "{} = {} must be in [{}, {}]", name, value, low, high);
  };
  in_range("image_size", static_cast<double>(s.size), 1, 16384);
  require(s.scale_min >= 1e-6 && s.scale_min <= s.scale_max && s.scale_max <= 1, ErrorKind::usage,
          "crop_scale = {} to {} must lie in [1e-06, 1] and rise", s.scale_min, s.scale_max);
  in_range("flip_prob", s.flip_prob, 0, 1);
  in_range("randaugment", s.rand_augment, 0, 10);
  in_range("random_erasing", s.erase_prob, 0, 1);
  for (const float d : s.deviation) in_range("deviation", static_cast<double>(d), 1e-6, 1e6);
}

namespace detail {

/// Width and height of an erased box of this part of the area and this ratio of height to width: half to even, as
/// Python rounds. Source: timm, RandomErasing._erase.
inline std::pair<i64, i64> erased_size(i64 size, double part, double ratio) {
  const double area = part * static_cast<double>(size * size);
  return {static_cast<i64>(std::nearbyint(std::sqrt(area / ratio))),
          static_cast<i64>(std::nearbyint(std::sqrt(area * ratio)))};
}

/// Ten tries for a box of 2 % to a third of the area and a ratio of 0.3 to 1 / 0.3; empty when none fits.
inline kernels::PixelBox draw_erased_box(RngStream& random, i64 size) {
  const double log_ratio = std::log(0.3);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double part = random.uniform(0.02, 1.0 / 3.0);
    const double ratio = std::exp(random.uniform(log_ratio, -log_ratio));
    const auto [w, h] = erased_size(size, part, ratio);
    if (w < 1 || h < 1 || w >= size || h >= size) continue;
    const i64 y = random.below(size - h + 1);
    const i64 x = random.below(size - w + 1);
    return {x, y, w, h};
  }
  return {};
}

}  // namespace detail

/// The plan of picture `sample`, which is width x height, in epoch `epoch`. Each number is drawn whether it is used or
/// not, so a changed probability moves no other decision.
/// Throws Error(internal) if the picture is empty or the sample is negative.
/// Source: timm, transforms_imagenet_train and RandomErasing, as DeiT and BEiT call them.
inline TrainPlan plan_training_image(const TrainSettings& s, u64 seed, u64 epoch, i64 sample, i64 width, i64 height) {
  require(width >= 1 && height >= 1, "plan_training_image: the picture is {} x {}", width, height);
  require(sample >= 0, "plan_training_image: sample {}", sample);
  const u64 index = static_cast<u64>(sample);
  RngStream random(RngKey(mix(seed, stream_of("train")), epoch), index);
  TrainPlan plan;
  plan.flip = random.uniform(0.0, 1.0) < s.flip_prob;
  plan.erase = random.uniform(0.0, 1.0) < s.erase_prob;
  RngStream crop(RngKey(mix(seed, stream_of("train crop")), epoch), index);
  plan.box = detail::draw_crop_box(crop, CropSettings{}, s.scale_min, s.scale_max, width, height);
  RngStream augment(RngKey(mix(seed, stream_of("train augment")), epoch), index);
  plan.augment = draw_augment_plan(augment, s.rand_augment);
  RngStream erase(RngKey(mix(seed, stream_of("train erase")), epoch), index);
  plan.erased = detail::draw_erased_box(erase, s.size);
  plan.erase = plan.erase && plan.erased.width > 0;
  plan.noise = RngKey(mix(mix(seed, stream_of("train noise")), epoch), index);
  return plan;
}

}  // namespace dino::inline DINO_ABI
