// Every random decision of one crop, drawn from (seed, epoch, sample, crop) alone.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/philox.hpp>
#include <dino/kernels/cpu/resample_image.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace dino::inline DINO_ABI {

/// What the crops of one image look like. The defaults are the published recipe (main_dino.py, DataAugmentationDINO).
struct CropSettings {
  i64 global_size = 224, local_size = 96, num_local_crops = 8;
  double global_scale_min = 0.4, global_scale_max = 1.0;  // fractions of the picture's area
  double local_scale_min = 0.05, local_scale_max = 0.4;
  double ratio_min = 3.0 / 4.0, ratio_max = 4.0 / 3.0;  // width : height
  double flip_prob = 0.5;
  double jitter_prob = 0.8, color_jitter = 1.0;  // color_jitter scales the four ranges below
  double brightness = 0.4, contrast = 0.4, saturation = 0.2, hue = 0.1;
  double gray_prob = 0.2;
  std::array<double, 3> blur_prob = {1.0, 0.1, 0.5};    // first global crop, second global crop, local crops
  double blur_radius_min = 0.1, blur_radius_max = 2.0;  // standard deviations, in pixels
  double solarize_prob = 0.2;                           // second global crop only
  kernels::ImageFilter filter = kernels::ImageFilter::bicubic;
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // ImageNet
  std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};
};

enum class ColorOp : u8 { brightness, contrast, saturation, hue };

/// What happens to a picture, in this order: cut the box out, resize it to size x size, flip, jitter in the given
/// order, gray, blur, solarize.
struct CropPlan {
  kernels::PixelBox box;
  i64 size = 0;
  kernels::ImageFilter filter = kernels::ImageFilter::bicubic;
  bool flip = false, jitter = false, gray = false, blur = false, solarize = false;
  float brightness = 1, contrast = 1, saturation = 1;
  double hue = 0, blur_radius = 0;
  std::array<ColorOp, 4> order = {ColorOp::brightness, ColorOp::contrast, ColorOp::saturation, ColorOp::hue};

  friend bool operator==(const CropPlan&, const CropPlan&) = default;
};

/// Throws Error(usage) and names the first setting that is out of range.
inline void check_crop_settings(const CropSettings& s) {
  const auto in_range = [](const char* name, double value, double low, double high) {
    require(value >= low && value <= high, ErrorKind::usage, "{} = {} must be in [{}, {}]", name, value, low, high);
  };
  in_range("global_size", static_cast<double>(s.global_size), 1, 16384);
  in_range("num_local_crops", static_cast<double>(s.num_local_crops), 0, 1000);
  if (s.num_local_crops > 0) in_range("local_size", static_cast<double>(s.local_size), 1, 16384);
  const auto range = [&](const char* name, double min, double max, double low, double high) {
    require(min >= low && min <= max && max <= high, ErrorKind::usage, "{} = {} to {} must lie in [{}, {}] and rise",
            name, min, max, low, high);
  };
  range("global_scale", s.global_scale_min, s.global_scale_max, 1e-6, 1);
  range("local_scale", s.local_scale_min, s.local_scale_max, 1e-6, 1);
  range("ratio", s.ratio_min, s.ratio_max, 1e-3, 1e3);
  range("blur_radius", s.blur_radius_min, s.blur_radius_max, 0, 100);
  const std::pair<const char*, double> probabilities[] = {
      {"flip_prob", s.flip_prob},         {"jitter_prob", s.jitter_prob}, {"gray_prob", s.gray_prob},
      {"blur_prob", s.blur_prob[0]},      {"blur_prob", s.blur_prob[1]},  {"blur_prob", s.blur_prob[2]},
      {"solarize_prob", s.solarize_prob},
  };
  for (const auto& [name, value] : probabilities) in_range(name, value, 0, 1);
  in_range("color_jitter", s.color_jitter, 0, 100);
  for (const double strength : {s.brightness, s.contrast, s.saturation}) in_range("jitter strength", strength, 0, 100);
  in_range("hue", s.hue, 0, 0.5);
  for (const float d : s.deviation) in_range("deviation", static_cast<double>(d), 1e-6, 1e6);
}

namespace detail {

/// torchvision 0.8, RandomResizedCrop.get_params: ten tries, then the largest centred box whose ratio is allowed.
inline kernels::PixelBox draw_crop_box(RngStream& random, const CropSettings& s, double scale_min, double scale_max,
                                       i64 width, i64 height) {
  const double area = static_cast<double>(width) * static_cast<double>(height);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(scale_min, scale_max);
    const double ratio = std::exp(random.uniform(std::log(s.ratio_min), std::log(s.ratio_max)));
    const i64 w = static_cast<i64>(std::nearbyint(std::sqrt(target * ratio)));  // half to even, as Python rounds
    const i64 h = static_cast<i64>(std::nearbyint(std::sqrt(target / ratio)));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const i64 y = random.below(height - h + 1);
    const i64 x = random.below(width - w + 1);
    return {x, y, w, h};
  }
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  i64 w = width, h = height;
  if (ratio < s.ratio_min) {
    h = std::clamp<i64>(static_cast<i64>(std::nearbyint(static_cast<double>(w) / s.ratio_min)), 1, height);
  } else if (ratio > s.ratio_max) {
    w = std::clamp<i64>(static_cast<i64>(std::nearbyint(static_cast<double>(h) * s.ratio_max)), 1, width);
  }
  return {(width - w) / 2, (height - h) / 2, w, h};
}

/// U(1 - strength, 1 + strength), never below 0.
inline float draw_factor(RngStream& random, double strength) {
  return static_cast<float>(random.uniform(std::max(0.0, 1.0 - strength), 1.0 + strength));
}

/// Fisher-Yates over the four colour operations.
inline std::array<ColorOp, 4> draw_color_order(RngStream& random) {
  std::array<ColorOp, 4> order = {ColorOp::brightness, ColorOp::contrast, ColorOp::saturation, ColorOp::hue};
  for (i64 i = 3; i > 0; --i) std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.below(i + 1))]);
  return order;
}

}  // namespace detail

/// The plan of crop `crop` (0 and 1 global, then local) of picture `sample`, which is width x height, in epoch `epoch`.
/// Each number is drawn whether it is used or not, so a changed probability moves no other decision. The factors are
/// uniform, the order of the colour operations is a uniform permutation, an option of probability p acts when u < p.
/// Throws Error(internal) if the picture is empty or an index is negative.
/// Source: main_dino.py, DataAugmentationDINO; utils.py, GaussianBlur and Solarization (which there are unseeded).
inline CropPlan plan_crop(const CropSettings& s, u64 seed, u64 epoch, i64 sample, i64 crop, i64 width, i64 height) {
  require(width >= 1 && height >= 1, "plan_crop: the picture is {} x {}", width, height);
  require(sample >= 0 && crop >= 0 && crop < 65536, "plan_crop: sample {}, crop {}", sample, crop);
  const u64 index = (static_cast<u64>(sample) << 16) | static_cast<u64>(crop);
  RngStream random(RngKey(mix(seed, stream_of("crop")), epoch), index);
  const bool global = crop < 2;
  CropPlan plan;
  plan.size = global ? s.global_size : s.local_size;
  plan.filter = s.filter;
  plan.flip = random.uniform(0.0, 1.0) < s.flip_prob;
  plan.jitter = random.uniform(0.0, 1.0) < s.jitter_prob;
  plan.brightness = detail::draw_factor(random, s.brightness * s.color_jitter);
  plan.contrast = detail::draw_factor(random, s.contrast * s.color_jitter);
  plan.saturation = detail::draw_factor(random, s.saturation * s.color_jitter);
  const double hue = std::min(s.hue * s.color_jitter, 0.5);
  plan.hue = random.uniform(-hue, hue);
  plan.order = detail::draw_color_order(random);
  plan.gray = random.uniform(0.0, 1.0) < s.gray_prob;
  plan.blur = random.uniform(0.0, 1.0) < s.blur_prob[static_cast<size_t>(std::min<i64>(crop, 2))];
  plan.blur_radius = random.uniform(s.blur_radius_min, s.blur_radius_max);
  plan.solarize = random.uniform(0.0, 1.0) < s.solarize_prob && crop == 1;
  plan.box = detail::draw_crop_box(random, s, global ? s.global_scale_min : s.local_scale_min,
                                   global ? s.global_scale_max : s.local_scale_max, width, height);
  return plan;
}

}  // namespace dino::inline DINO_ABI
