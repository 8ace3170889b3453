// One sheet of a picture: the photo, its heads, their mean, masks.
#pragma once

#include <dino/base/image.hpp>
#include <dino/io/color_map.hpp>

#include <string>
#include <vector>

namespace programs {

/// The picture within cell x cell pixels: made smaller smoothly, or larger - smoothly, or each pixel a square.
dino::Image fitted_picture(const dino::Image& image, dino::i64 cell, bool smooth = true);

/// Rows of pictures of the same maps: a first one, and one for each map. Many maps take several lines.
class Sheet {
 public:
  /// maps: their names, which stand above the columns or, with several lines, below the pictures.
  explicit Sheet(std::vector<std::string> maps);

  dino::i64 cell() const { return cell_; }  // pixels
  void add_row(const std::string& title, dino::Image first, const std::vector<dino::Image>& pictures);
  dino::Image draw() const;

 private:
  std::vector<std::string> maps_, rows_, captions_;
  std::vector<dino::Image> pictures_;
  size_t lines_, columns_;  // of a row; of the sheet, the first one included
  dino::i64 cell_;
};

/// What the colours of the maps mean, from the least to the most attention.
dino::Image color_legend(const dino::ColorMap& colors, dino::i64 width);

}  // namespace programs
