// Pictures in another size.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/kernels/cpu/resample_image.hpp>

#include <algorithm>

namespace dino::inline DINO_ABI {

/// The whole picture in width x height pixels (bicubic). Throws Error(internal) when either size is empty.
inline Image resized(const Image& image, i64 width, i64 height) {
  require(image.width >= 1 && image.height >= 1 && width >= 1 && height >= 1, "resized: {} x {} pixels to {} x {}",
          image.width, image.height, width, height);
  Image out(width, height);
  thread_local kernels::ResampleImageScratch scratch;
  kernels::resample_image({.in = image.pixels.data(),
                           .in_stride = 3 * image.width,
                           .box = {0, 0, image.width, image.height},
                           .out_width = width,
                           .out_height = height,
                           .window = {0, 0, width, height},
                           .filter = kernels::ImageFilter::bicubic,
                           .out = out.pixels.data()},
                          scratch);
  return out;
}

/// Every pixel as a rectangle of across x down pixels, so that no viewer smooths it.
inline Image enlarged(const Image& image, i64 across, i64 down) {
  Image out(across * image.width, down * image.height);
  for (i64 y = 0; y < out.height; ++y)
    for (i64 x = 0; x < out.width; ++x) std::copy_n(image.at(x / across, y / down), 3, out.at(x, y));
  return out;
}

}  // namespace dino::inline DINO_ABI
