// What evaluation does to a picture: short side, centre, normalise.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/kernels/cpu/augment.hpp>
#include <dino/kernels/cpu/resample_image.hpp>

#include <array>
#include <vector>

namespace dino::inline DINO_ABI {

/// A picture of size x size is only normalised. Any other is resized (bicubic) so that its short side has
/// round(size 256 / 224) pixels, the long one in proportion and rounded down, and the central size x size is taken.
/// Source: eval_knn.py, Resize(256, interpolation=3), CenterCrop(224), Normalize; torchvision 0.8.
struct EvalTransform {
  i64 size = 224;
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // ImageNet
  std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};

  i64 short_side() const { return (size * 256 + 112) / 224; }

  /// The picture before normalisation, size x size. Throws Error(internal) if size or the picture is empty.
  /// Only the central part is computed, so a long thin picture costs no more than another.
  Image crop_image(const Image& image) const {
    require(size >= 1 && image.width >= 1 && image.height >= 1, "eval_transform: size {}, picture {} x {}", size,
            image.width, image.height);
    if (image.width == size && image.height == size) return image;
    const i64 side = short_side();
    const bool upright = image.width <= image.height;
    const i64 width = upright ? side : side * image.width / image.height;
    const i64 height = upright ? side * image.height / image.width : side;
    Image out(size, size);
    thread_local kernels::ResampleImageScratch scratch;
    kernels::resample_image({.in = image.pixels.data(),
                             .in_stride = 3 * image.width,
                             .box = {0, 0, image.width, image.height},
                             .out_width = width,
                             .out_height = height,
                             .window = {center_offset(width), center_offset(height), size, size},
                             .filter = kernels::ImageFilter::bicubic,
                             .out = out.pixels.data()},
                            scratch);
    return out;
  }

  /// out: (3, size, size), (v / 255 - mean) / deviation. Throws as crop_image. Thread-safe.
  void write(const Image& image, float* out) const {
    const kernels::NormalizeTable table(mean, deviation);
    if (image.width == size && image.height == size) {
      kernels::normalize_pixels(image.pixels.data(), size * size, table, out);
    } else {
      kernels::normalize_pixels(crop_image(image).pixels.data(), size * size, table, out);
    }
  }

 private:
  /// round((extent - size) / 2), half to even.
  i64 center_offset(i64 extent) const {
    const i64 spare = extent - size;
    const i64 half = spare / 2;
    return spare % 2 == 1 && half % 2 == 1 ? half + 1 : half;
  }
};

}  // namespace dino::inline DINO_ABI
