// What a picture file may ask for before anything is allocated.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <string>

namespace dino::inline DINO_ABI {

struct ImageLimits {
  static constexpr i64 file_bytes = i64{64} << 20;
  static constexpr i64 pixels = 80'000'000;
  static constexpr i64 side = 16'384;       // PNG and BMP
  static constexpr i64 jpeg_side = 65'535;  // what the format can say
};

/// Throws Error(data) unless both sides are in [1, max_side] and the area is within the limit.
inline void check_image_size(const std::string& name, i64 width, i64 height, i64 max_side) {
  require(width >= 1 && height >= 1, ErrorKind::data, "{}: the picture is {} x {} pixels", name, width, height);
  require(width <= max_side && height <= max_side, ErrorKind::data,
          "{}: the picture is {} x {} pixels, a side may have {}", name, width, height, max_side);
  require(width * height <= ImageLimits::pixels, ErrorKind::data,
          "{}: the picture is {} x {} pixels, at most {} million are read", name, width, height,
          ImageLimits::pixels / 1'000'000);
}

}  // namespace dino::inline DINO_ABI
