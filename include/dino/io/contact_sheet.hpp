// Many small pictures on one sheet.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>

#include <algorithm>

namespace dino::inline DINO_ABI {

/// The pictures in rows of `columns`, each at the upper left of a cell as large as the largest one, `gap` pixels of
/// white around.
inline Image contact_sheet(const std::vector<Image>& pictures, i64 columns, i64 gap = 2) {
  require(columns >= 1 && gap >= 0 && !pictures.empty(), "contact sheet: {} pictures in {} columns", pictures.size(),
          columns);
  i64 width = 0, height = 0;
  for (const auto& p : pictures) {
    width = std::max(width, p.width);
    height = std::max(height, p.height);
  }
  const i64 count = static_cast<i64>(pictures.size()), rows = (count + columns - 1) / columns;
  Image sheet(gap + columns * (width + gap), gap + rows * (height + gap));
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), u8{255});
  for (i64 i = 0; i < count; ++i) {
    const auto& p = pictures[static_cast<size_t>(i)];
    const i64 x = gap + i % columns * (width + gap), y = gap + i / columns * (height + gap);
    for (i64 r = 0; r < p.height; ++r) std::copy_n(p.at(0, r), 3 * p.width, sheet.at(x, y + r));
  }
  return sheet;
}

}  // namespace dino::inline DINO_ABI
