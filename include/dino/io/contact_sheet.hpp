// Many small pictures on one sheet, with titles and captions where they are wanted.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/bitmap_text.hpp>

#include <algorithm>
#include <string>

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

/// The words on a sheet. A list that is empty takes no place; texts that are missing at its end are blank.
struct SheetText {
  std::vector<std::string> columns = {};   // above each column
  std::vector<std::string> rows = {};      // left of each row, upwards
  std::vector<std::string> captions = {};  // below each picture
  i64 scale = 1;                           // of the letters
  Colour ink{40, 40, 40}, paper{255, 255, 255};
};

namespace detail {

/// As much of the text as fits; two points stand for a rest that does not.
inline std::string fitted(const std::string& text, i64 pixels, i64 scale) {
  if (bitmap_text_length(text, scale) <= pixels) return text;
  std::string out = text;
  while (!out.empty() && bitmap_text_length(out + "..", scale) > pixels) {
    while (!out.empty() && !begins_character(out.back())) out.pop_back();
    if (!out.empty()) out.pop_back();
  }
  return out.empty() ? "" : out + "..";
}

/// Where the cells of a sheet stand: a column is as wide as its widest picture, a row as high as its highest one.
struct SheetLayout {
  std::vector<i64> x, y, widths, heights;  // of columns and rows, pixels
  i64 width, height;

  SheetLayout(const std::vector<Image>& pictures, i64 columns, const SheetText& text, i64 gap)
      : widths(static_cast<size_t>(columns)), heights((pictures.size() + widths.size() - 1) / widths.size()) {
    for (size_t i = 0; i < pictures.size(); ++i) {
      auto& w = widths[i % widths.size()];
      auto& h = heights[i / widths.size()];
      w = std::max(w, pictures[i].width);
      h = std::max(h, pictures[i].height);
    }
    const i64 line = 7 * text.scale + std::max<i64>(gap / 2, 2);  // a line of text and what keeps it from its picture
    width = gap + (text.rows.empty() ? 0 : line);
    height = gap + (text.columns.empty() ? 0 : line);
    for (const i64 w : widths) {
      x.push_back(width);
      width += w + gap;
    }
    for (const i64 h : heights) {
      y.push_back(height);
      height += h + (text.captions.empty() ? 0 : line) + gap;
    }
  }
};

inline void centered_text(Image& sheet, i64 x, i64 y, i64 width, const std::string& words, const SheetText& text) {
  const auto line = fitted(words, width, text.scale);
  draw_text(sheet, x + (width - bitmap_text_length(line, text.scale)) / 2, y, line, text.ink, text.scale);
}

}  // namespace detail

/// The pictures in rows of `columns`, each in the middle of its column and at the top of its row, with titles of
/// columns and rows and a caption below each. Texts are centred and end in two points where they do not fit. Throws
/// Error(internal) without a picture or a column, and when there are more texts than places for them.
inline Image contact_sheet(const std::vector<Image>& pictures, i64 columns, const SheetText& text, i64 gap = 6) {
  require(columns >= 1 && gap >= 0 && text.scale >= 1 && !pictures.empty(), "contact sheet: {} pictures in {} columns",
          pictures.size(), columns);
  const detail::SheetLayout layout(pictures, columns, text, gap);
  require(text.columns.size() <= layout.x.size() && text.rows.size() <= layout.y.size() &&
              text.captions.size() <= pictures.size(),
          "contact sheet: {} titles for {} columns, {} for {} rows, {} captions for {} pictures", text.columns.size(),
          layout.x.size(), text.rows.size(), layout.y.size(), text.captions.size(), pictures.size());
  Image sheet(layout.width, layout.height);
  fill_rectangle(sheet, 0, 0, sheet.width, sheet.height, text.paper);
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Image& p = pictures[i];
    const size_t column = i % layout.x.size(), row = i / layout.x.size();
    const i64 x = layout.x[column] + (layout.widths[column] - p.width) / 2, y = layout.y[row];
    for (i64 r = 0; r < p.height; ++r) std::copy_n(p.at(0, r), 3 * p.width, sheet.at(x, y + r));
    if (i < text.captions.size()) {
      const i64 below = y + layout.heights[row] + std::max<i64>(gap / 2, 2);
      detail::centered_text(sheet, layout.x[column], below, layout.widths[column], text.captions[i], text);
    }
  }
  for (size_t i = 0; i < text.columns.size(); ++i)
    detail::centered_text(sheet, layout.x[i], gap, layout.widths[i], text.columns[i], text);
  for (size_t i = 0; i < text.rows.size(); ++i) {
    const auto line = detail::fitted(text.rows[i], layout.heights[i], text.scale);
    const i64 up = (layout.heights[i] + bitmap_text_length(line, text.scale)) / 2;
    draw_text(sheet, gap, layout.y[i] + up - 1, line, text.ink, text.scale, TextDirection::up);
  }
  return sheet;
}

}  // namespace dino::inline DINO_ABI
