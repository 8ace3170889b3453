// A training image of a classifier: cut, resized, flipped, augmented, normalised, partly erased.
#pragma once

#include <dino/data/multicrop.hpp>
#include <dino/data/train_plan.hpp>
#include <dino/tensor/create.hpp>

namespace dino::inline DINO_ABI {

/// Puts noise, N(0, 1) for each value, into a box of normalised planes (3, size, size).
inline void erase_with_noise(float* planes, i64 size, const kernels::PixelBox& box, RngKey noise) {
  i64 value = 0;
  for (i64 c = 0; c < 3; ++c) {
    for (i64 y = box.y; y < box.y + box.height; ++y) {
      float* const row = planes + (c * size + y) * size + box.x;
      for (i64 x = 0; x < box.width; ++x) row[x] = static_cast<float>(normal(noise, value++));
    }
  }
}

/// Makes training images, one of each picture: a CropTransform. An image depends on the picture, the settings and
/// (seed, epoch, sample), on nothing else.
class TrainTransform {
 public:
  /// Throws Error(usage) if a setting is out of range.
  TrainTransform(const TrainSettings& settings, u64 seed)
      : settings_(checked(settings)),
        seed_(seed),
        fill_(mean_colour(settings.mean)),
        normalize_(settings.mean, settings.deviation) {}

  const TrainSettings& settings() const { return settings_; }
  std::vector<CropGroup> groups() const { return {{1, settings_.size, settings_.size}}; }

  TrainPlan plan(const Image& image, u64 epoch, i64 sample) const {
    return plan_training_image(settings_, seed_, epoch, sample, image.width, image.height);
  }

  /// (v / 255 - mean) / deviation, with noise in the erased box. out: (3, size, size). The last index is always 0.
  void write(const Image& image, u64 epoch, i64 sample, i64, float* out) const {
    const auto p = plan(image, epoch, sample);
    auto& scratch = detail::crop_scratch();
    scratch.pixels.resize(static_cast<size_t>(3 * settings_.size * settings_.size));
    apply(image, p, scratch, scratch.pixels.data());
    kernels::normalize_pixels(scratch.pixels.data(), settings_.size * settings_.size, normalize_, out);
    if (p.erase) erase_with_noise(out, settings_.size, p.erased, p.noise);
  }

  /// The same image before normalisation and noise; the erased box is black.
  Image train_image(const Image& image, u64 epoch, i64 sample) const {
    const auto p = plan(image, epoch, sample);
    Image out(settings_.size, settings_.size);
    apply(image, p, detail::crop_scratch(), out.pixels.data());
    for (i64 y = p.erased.y; p.erase && y < p.erased.y + p.erased.height; ++y) {
      std::fill_n(out.at(p.erased.x, y), 3 * p.erased.width, u8{0});
    }
    return out;
  }

 private:
  static const TrainSettings& checked(const TrainSettings& settings) {
    check_train_settings(settings);
    return settings;
  }

  void apply(const Image& image, const TrainPlan& p, CropScratch& scratch, u8* out) const {
    CropPlan crop;
    crop.box = p.box;
    crop.size = settings_.size;
    crop.filter = settings_.filter;
    crop.flip = p.flip;
    apply_crop_plan(image, crop, scratch, out);
    for (i64 i = 0; i < p.augment.count; ++i) {
      apply_augment({out, settings_.size, settings_.size}, p.augment.steps[static_cast<size_t>(i)], fill_, bytes());
    }
  }

  static std::vector<u8>& bytes() {
    thread_local std::vector<u8> scratch;
    return scratch;
  }
  /// The mean colour in bytes: what turns and shifts bring in is 0 after normalisation.
  static std::array<u8, 3> mean_colour(const std::array<float, 3>& mean) {
    std::array<u8, 3> out{};
    for (size_t c = 0; c < 3; ++c) out[c] = static_cast<u8>(std::clamp(std::nearbyint(255 * mean[c]), 0.0f, 255.0f));
    return out;
  }

  TrainSettings settings_;
  u64 seed_;
  std::array<u8, 3> fill_;
  kernels::NormalizeTable normalize_;
};

}  // namespace dino::inline DINO_ABI
