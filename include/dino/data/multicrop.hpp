// The crops of one picture: two global ones and several local ones, augmented and normalised.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/data/crop_plan.hpp>
#include <dino/kernels/cpu/augment.hpp>
#include <dino/kernels/cpu/resample_image.hpp>

#include <algorithm>
#include <vector>

namespace dino::inline DINO_ABI {

/// Crops of one size.
struct CropGroup {
  i64 crops = 0, height = 0, width = 0;
  friend bool operator==(const CropGroup&, const CropGroup&) = default;
};

/// Memory that crops reuse; after the first crops nothing is allocated.
struct CropScratch {
  kernels::ResampleImageScratch resample;
  kernels::BlurScratch blur;
  std::vector<u8> pixels;
};

namespace detail {

inline CropScratch& crop_scratch() {
  thread_local CropScratch scratch;
  return scratch;
}

inline void jitter_colors(const kernels::PixelsArgs& pixels, const CropPlan& plan) {
  for (const ColorOp op : plan.order) {
    switch (op) {
      case ColorOp::brightness:
        kernels::adjust_brightness(pixels, plan.brightness);
        break;
      case ColorOp::contrast:
        kernels::adjust_contrast(pixels, plan.contrast);
        break;
      case ColorOp::saturation:
        kernels::adjust_saturation(pixels, plan.saturation);
        break;
      case ColorOp::hue:
        kernels::adjust_hue(pixels, plan.hue);
        break;
    }
  }
}

}  // namespace detail

/// Carries a plan out, rounding to 8 bits after each stage. out: (size, size, 3).
/// Throws Error(internal) if the box of the plan leaves the picture.
inline void apply_crop_plan(const Image& image, const CropPlan& plan, CropScratch& scratch, u8* out) {
  const auto& box = plan.box;
  require(box.x >= 0 && box.y >= 0 && box.x + box.width <= image.width && box.y + box.height <= image.height,
          "apply_crop_plan: the box is {} x {} at ({},{}), the picture {} x {}", box.width, box.height, box.x, box.y,
          image.width, image.height);
  kernels::resample_image({.in = image.pixels.data(),
                           .in_stride = 3 * image.width,
                           .box = box,
                           .out_width = plan.size,
                           .out_height = plan.size,
                           .window = {0, 0, plan.size, plan.size},
                           .filter = plan.filter,
                           .out = out},
                          scratch.resample);
  const kernels::PixelsArgs pixels{out, plan.size, plan.size};
  if (plan.flip) kernels::flip_horizontally(pixels);
  if (plan.jitter) detail::jitter_colors(pixels, plan);
  if (plan.gray) kernels::to_grayscale(pixels);
  if (plan.blur) kernels::gaussian_blur(pixels, plan.blur_radius, scratch.blur);
  if (plan.solarize) kernels::solarize(pixels);
}

/// Makes crops. A crop depends on the picture, the settings, and (seed, epoch, sample, crop), on nothing else.
class MultiCrop {
 public:
  /// Throws Error(usage) if a setting is out of range.
  MultiCrop(const CropSettings& settings, u64 seed)
      : settings_(checked(settings)), seed_(seed), normalize_(settings.mean, settings.deviation) {}

  const CropSettings& settings() const { return settings_; }

  /// {2, global, global}, then {L, local, local} if there are local crops.
  std::vector<CropGroup> groups() const {
    std::vector<CropGroup> out = {{2, settings_.global_size, settings_.global_size}};
    if (settings_.num_local_crops > 0) {
      out.push_back({settings_.num_local_crops, settings_.local_size, settings_.local_size});
    }
    return out;
  }

  i64 crops() const { return 2 + settings_.num_local_crops; }
  i64 size(i64 crop) const { return crop < 2 ? settings_.global_size : settings_.local_size; }

  CropPlan plan(const Image& image, u64 epoch, i64 sample, i64 crop) const {
    require(crop >= 0 && crop < crops(), "multicrop: crop {} of {}", crop, crops());
    return plan_crop(settings_, seed_, epoch, sample, crop, image.width, image.height);
  }

  /// One crop as (v / 255 - mean) / deviation; crops 0 and 1 are global. out: (3, size, size).
  void write(const Image& image, u64 epoch, i64 sample, i64 crop, float* out) const {
    auto& scratch = detail::crop_scratch();
    const CropPlan p = plan(image, epoch, sample, crop);
    // Sized for the largest crop, so that the memory is not cut and grown in turn.
    const i64 largest = std::max(settings_.global_size, settings_.num_local_crops > 0 ? settings_.local_size : 0);
    scratch.pixels.resize(static_cast<size_t>(3 * largest * largest));
    apply_crop_plan(image, p, scratch, scratch.pixels.data());
    kernels::normalize_pixels(scratch.pixels.data(), p.size * p.size, normalize_, out);
  }

  /// The same crop before normalisation.
  Image crop_image(const Image& image, u64 epoch, i64 sample, i64 crop) const {
    const CropPlan p = plan(image, epoch, sample, crop);
    Image out(p.size, p.size);
    apply_crop_plan(image, p, detail::crop_scratch(), out.pixels.data());
    return out;
  }

 private:
  static const CropSettings& checked(const CropSettings& settings) {
    check_crop_settings(settings);
    return settings;
  }

  CropSettings settings_;
  u64 seed_;
  kernels::NormalizeTable normalize_;
};

}  // namespace dino::inline DINO_ABI
