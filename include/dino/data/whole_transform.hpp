// A whole picture for a network that takes any size: short side, edges cut to whole patches, normalise.
#pragma once

#include <dino/data/eval_transform.hpp>
#include <dino/io/image_limits.hpp>

#include <cstring>
#include <string>

namespace dino::inline DINO_ABI {

/// Pixels as a network takes them: (3,height,width), normalised.
struct PreparedPicture {
  i64 height = 0, width = 0;
  std::vector<float> values;
};

/// With short_side > 0 the picture is resized (bicubic) so that its short side has that many pixels, the long one in
/// proportion and rounded down. Then rows at the bottom and columns at the right are cut until both sides are multiples
/// of the patch. Source: visualize_attention.py (the cut); torchvision 0.8, Resize with one number.
struct WholeTransform {
  i64 short_side = 0;  // 0: the picture keeps its size
  i64 patch = 16;
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // ImageNet
  std::array<float, 3> deviation = {0.229f, 0.224f, 0.225f};

  /// The picture before normalisation. Throws Error{data} that begins with `name` when it has a side of less than one
  /// patch, or when the short side would make it larger than ImageLimits::pixels.
  Image cut_image(const Image& image, const std::string& name) const {
    require(patch >= 1 && image.width >= 1 && image.height >= 1, "whole_transform: patch {}, picture {} x {}", patch,
            image.width, image.height);
    const bool upright = image.width <= image.height;
    const bool keep = short_side <= 0 || std::min(image.width, image.height) == short_side;
    const i64 width = keep ? image.width : upright ? short_side : short_side * image.width / image.height;
    const i64 height = keep ? image.height : upright ? short_side * image.height / image.width : short_side;
    require(width * height <= ImageLimits::pixels, ErrorKind::data,
            "{}: {} x {} pixels become {} x {}, at most {} million are used", name, image.width, image.height, width,
            height, ImageLimits::pixels / 1'000'000);
    require(width >= patch && height >= patch, ErrorKind::data, "{}: {} x {} pixels are less than a patch of {} x {}",
            name, width, height, patch, patch);
    Image out(width - width % patch, height - height % patch);
    if (keep) {
      for (i64 y = 0; y < out.height; ++y)
        std::memcpy(out.at(0, y), image.at(0, y), static_cast<size_t>(3 * out.width));
      return out;
    }
    thread_local kernels::ResampleImageScratch scratch;
    kernels::resample_image({.in = image.pixels.data(),
                             .in_stride = 3 * image.width,
                             .box = {0, 0, image.width, image.height},
                             .out_width = width,
                             .out_height = height,
                             .window = {0, 0, out.width, out.height},
                             .filter = kernels::ImageFilter::bicubic,
                             .out = out.pixels.data()},
                            scratch);
    return out;
  }

  /// (v / 255 - mean) / deviation of what is left. Throws as cut_image. Thread-safe.
  PreparedPicture operator()(const Image& image, const std::string& name) const {
    const Image cut = cut_image(image, name);
    PreparedPicture out{cut.height, cut.width, std::vector<float>(cut.pixels.size())};
    kernels::normalize_pixels(cut.pixels.data(), cut.width * cut.height, {mean, deviation}, out.values.data());
    return out;
  }
};

/// What evaluation sees of a picture, with its size.
inline PreparedPicture prepare(const EvalTransform& transform, const Image& image) {
  PreparedPicture out{transform.size, transform.size, {}};
  out.values.resize(static_cast<size_t>(3 * out.height * out.width));
  transform.write(image, out.values.data());
  return out;
}

}  // namespace dino::inline DINO_ABI
