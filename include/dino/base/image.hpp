// An 8-bit RGB picture in memory.
#pragma once

#include <dino/base/types.hpp>

#include <vector>

namespace dino::inline DINO_ABI {

/// Rows from the top, three interleaved channels: pixel (x, y) starts at pixels[3 * (y * width + x)].
struct Image {
  i64 width = 0, height = 0;
  std::vector<u8> pixels;

  Image() = default;
  Image(i64 w, i64 h) : width(w), height(h), pixels(static_cast<size_t>(3 * w * h)) {}

  u8* at(i64 x, i64 y) { return pixels.data() + 3 * (y * width + x); }
  const u8* at(i64 x, i64 y) const { return pixels.data() + 3 * (y * width + x); }
  friend bool operator==(const Image&, const Image&) = default;
};

}  // namespace dino::inline DINO_ABI
