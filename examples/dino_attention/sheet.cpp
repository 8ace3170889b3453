#include "sheet.hpp"

#include <dino/io/contact_sheet.hpp>
#include <dino/io/draw.hpp>
#include <dino/kernels/cpu/resample_image.hpp>

#include <algorithm>

namespace programs {

using dino::i64;

namespace {
constexpr size_t most_columns = 8;  // of maps, in one line
}

dino::Image fitted_picture(const dino::Image& image, i64 cell, bool smooth) {
  const i64 longest = std::max(image.width, image.height);
  if (longest <= cell && !smooth) {
    const i64 factor = cell / longest;
    dino::Image out(image.width * factor, image.height * factor);
    for (i64 y = 0; y < out.height; ++y)
      for (i64 x = 0; x < out.width; ++x) std::copy_n(image.at(x / factor, y / factor), 3, out.at(x, y));
    return out;
  }
  if (longest == cell) return image;
  const i64 side = longest < cell ? cell / longest * longest : cell;  // as large as its maps
  const auto scaled = [&](i64 length) { return std::max<i64>(1, (length * side + longest / 2) / longest); };
  dino::Image out(scaled(image.width), scaled(image.height));
  dino::kernels::ResampleImageScratch scratch;
  dino::kernels::resample_image({.in = image.pixels.data(),
                                 .in_stride = 3 * image.width,
                                 .box = {0, 0, image.width, image.height},
                                 .out_width = out.width,
                                 .out_height = out.height,
                                 .window = {0, 0, out.width, out.height},
                                 .filter = dino::kernels::ImageFilter::bicubic,
                                 .out = out.pixels.data()},
                                scratch);
  return out;
}

Sheet::Sheet(std::vector<std::string> maps)
    : maps_(std::move(maps)),
      lines_((maps_.size() + most_columns - 1) / most_columns),
      columns_(1 + (maps_.size() + lines_ - 1) / lines_),
      cell_(std::clamp<i64>(1800 / static_cast<i64>(columns_), 200, 260)) {}

void Sheet::add_row(const std::string& title, dino::Image first, const std::vector<dino::Image>& pictures) {
  for (size_t line = 0, at = 0; line < lines_; ++line) {
    rows_.push_back(line == 0 ? title : "");
    pictures_.push_back(line == 0 ? std::move(first) : dino::Image{});
    captions_.push_back(line == 0 && rows_.size() == 1 ? "picture" : "");
    for (size_t k = 1; k < columns_; ++k, ++at) {
      pictures_.push_back(at < pictures.size() ? pictures[at] : dino::Image{});
      captions_.push_back(at < pictures.size() ? maps_[at] : "");
    }
  }
}

dino::Image Sheet::draw() const {
  dino::SheetText text{.rows = rows_, .scale = 2, .ink = {70, 70, 70}};
  if (lines_ == 1) {
    text.columns = maps_;
    text.columns.insert(text.columns.begin(), "picture");
  } else {
    text.captions = captions_;
  }
  return dino::contact_sheet(pictures_, static_cast<i64>(columns_), text, 10);
}

dino::Image color_legend(const dino::ColorMap& colors, i64 width) {
  const i64 bar = 14, scale = width >= 140 ? 2 : 1;
  dino::Image out(width, 2 * bar + 24 * scale);
  dino::fill_rectangle(out, 0, 0, out.width, out.height, {255, 255, 255});
  for (i64 x = 0; x < width; ++x)
    dino::fill_rectangle(out, x, bar, 1, bar, colors(static_cast<double>(x) / static_cast<double>(width)));
  const std::string_view least = "least", most = "most";
  dino::draw_text(out, 0, 2 * bar + 6, least, {70, 70, 70}, scale);
  dino::draw_text(out, width - dino::bitmap_text_length(most, scale), 2 * bar + 6, most, {70, 70, 70}, scale);
  return out;
}

}  // namespace programs
