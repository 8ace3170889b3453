// Queries with their nearest images as a picture.
#pragma once

#include <dino/io/contact_sheet.hpp>
#include <dino/io/draw.hpp>

#include <charconv>

namespace dino::inline DINO_ABI {

enum class Verdict { none, right, wrong };

/// A picture on the sheet and the words below it.
struct SheetTile {
  Image image;
  std::string caption;
  Verdict verdict = Verdict::none;
};

namespace detail {

inline constexpr i64 tile_frame = 4;  // pixels
inline constexpr Colour sheet_paper{32, 36, 41}, sheet_ink{228, 228, 228}, right_colour{53, 199, 155},
    wrong_colour{255, 143, 74}, plain_colour{90, 96, 104};

/// The picture in a frame: right ones in a closed green one, wrong ones in a broken orange one, so that the colour is
/// not all that tells them apart.
inline Image framed(const SheetTile& tile) {
  const i64 f = tile_frame, w = tile.image.width + 2 * f, h = tile.image.height + 2 * f;
  Image out(w, h);
  fill_rectangle(out, 0, 0, w, h, sheet_paper);
  const bool right = tile.verdict == Verdict::right, wrong = tile.verdict == Verdict::wrong;
  draw_frame(out, 0, 0, w, h, f - 1, right ? right_colour : wrong ? wrong_colour : plain_colour);
  for (i64 at = 2 * f; wrong && at < std::max(w, h); at += 4 * f) {
    fill_rectangle(out, at, 0, 2 * f, h, sheet_paper);
    fill_rectangle(out, 0, at, w, 2 * f, sheet_paper);
  }
  paste(out, tile.image, f, f);
  return out;
}

}  // namespace detail

namespace detail {

/// The picture in the middle of at least this width.
inline Image centered(const Image& image, i64 width) {
  Image out(std::max(width, image.width), image.height);
  fill_rectangle(out, 0, 0, out.width, out.height, sheet_paper);
  paste(out, image, (out.width - image.width) / 2, 0);
  return out;
}

}  // namespace detail

/// "0.87", or "-0.05".
inline std::string similarity_text(double similarity) {
  char text[32];
  const auto [end, code] = std::to_chars(text, text + sizeof text, similarity, std::chars_format::fixed, 2);
  return code == std::errc() ? std::string(text, end) : "";
}

/// A row for each query: the query, with room for ten letters below it, then its nearest images. Right images stand in
/// a closed green frame, wrong ones in a broken orange one. Dark paper, which is at home on light and dark pages.
/// Throws Error(internal) when there is no picture.
inline Image neighbours_sheet(const std::vector<std::vector<SheetTile>>& rows) {
  SheetText text{.scale = 2, .ink = detail::sheet_ink, .paper = detail::sheet_paper};
  size_t columns = 0;
  i64 first_width = 0;  // of the queries
  for (const auto& row : rows) {
    columns = std::max(columns, row.size());
    if (!row.empty()) first_width = std::max(first_width, bitmap_text_length(row[0].caption, text.scale));
  }
  first_width = std::min(first_width, bitmap_text_length("ten letter", text.scale));
  require(columns >= 1, "neighbours sheet: {} rows without a picture", rows.size());
  std::vector<Image> tiles;
  for (const auto& row : rows) {
    for (size_t i = 0; i < columns; ++i) {
      Image tile = i < row.size() && row[i].image.width > 0 ? detail::framed(row[i]) : Image();
      tiles.push_back(i == 0 ? detail::centered(tile, first_width) : std::move(tile));
      text.captions.push_back(i < row.size() ? row[i].caption : "");
    }
  }
  return contact_sheet(tiles, static_cast<i64>(columns), text);
}

}  // namespace dino::inline DINO_ABI
