// A matrix as coloured cells in SVG: no script, no font, no link; light and dark.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/chart.hpp>
#include <dino/io/color_map.hpp>
#include <dino/io/image_write.hpp>
#include <dino/io/resized_image.hpp>

namespace dino::inline DINO_ABI {

struct HeatMap {
  std::string title, x_label = "", y_label = "";
  i64 rows = 0, columns = 0;
  std::vector<float> values = {};                              // (rows,columns); not a number: grey
  std::vector<std::string> row_names = {}, column_names = {};  // or empty: numbers from 0
  std::string colors = "viridis";                              // a name for color_map
  std::string value_label = "";                                // of the bar of colours, with units
  double low = std::numeric_limits<double>::quiet_NaN();       // value of the first colour; NaN: the least value
  double high = std::numeric_limits<double>::quiet_NaN();      // and of the last colour
  bool numbers = false;                                        // the values inside the cells, where they fit
};

namespace detail {

class HeatPainter {
 public:
  explicit HeatPainter(const HeatMap& map) : map_(map), colors_(color_map(map.colors)) {
    for (const float x : map.values) {
      if (std::isfinite(x)) range_.add(x);
    }
    any_ = !range_.empty();
    if (std::isfinite(map.low)) range_ = {map.low, std::max(range_.high, map.low)};
    if (std::isfinite(map.high)) range_ = {std::min(range_.low, map.high), map.high};
    if (any_) place();
  }

  std::string draw() {
    if (!any_) {
      SvgCanvas canvas(chart_width, 120, map_.title);
      canvas.text(chart_width / 2, 60, "no data yet", "middle");
      return canvas.finish();
    }
    SvgCanvas canvas(chart_width, box_.bottom + below_ + 6, map_.title);
    canvas.text(4, 16, map_.y_label, "start");
    cells(canvas);
    row_labels(canvas);
    column_labels(canvas);
    if (map_.numbers) numbers(canvas);
    color_bar(canvas);
    return canvas.finish();
  }

 private:
  static constexpr size_t longest_name = 16;
  static constexpr double bar_width = 12;

  double rows() const { return static_cast<double>(map_.rows); }
  double columns() const { return static_cast<double>(map_.columns); }
  double cell_width() const { return (box_.right - box_.left) / columns(); }
  double cell_height() const { return (box_.bottom - box_.top) / rows(); }
  float value(i64 r, i64 c) const { return map_.values[static_cast<size_t>(r * map_.columns + c)]; }
  double share(double x) const { return range_.span() > 0 ? (x - range_.low) / range_.span() : 0; }
  Colour color(float x) const { return std::isnan(x) ? Colour{128, 128, 128} : colors_(share(x)); }

  std::string name(const std::vector<std::string>& names, i64 i) const {
    return names.empty() ? std::to_string(i) : shortened_text(names[static_cast<size_t>(i)], longest_name);
  }

  /// Cells are squares where that leaves the chart between 120 and 1.2 times its width high.
  void place() {
    double names = 0;
    for (i64 r = 0; r < map_.rows; ++r) names = std::max(names, text_width(name(map_.row_names, r)));
    bar_ticks_ = nice_ticks(range_.low, range_.high, 5);
    if (bar_ticks_.empty()) bar_ticks_ = {range_.low};
    double values = 0;
    for (const double tick : bar_ticks_) values = std::max(values, text_width(bar_label(tick)));
    box_.left = names + 12;
    box_.right = std::max(chart_width - bar_width - values - 26, box_.left + 50);
    box_.top = map_.y_label.empty() && map_.value_label.empty() ? 10 : 28;
    box_.bottom = box_.top + std::clamp(rows() * cell_width(), 120.0, 1.2 * chart_width);
    double longest = 0;
    for (i64 c = 0; c < map_.columns; ++c) longest = std::max(longest, text_width(name(map_.column_names, c)));
    upright_ = longest + 8 > cell_width() && !map_.column_names.empty();
    below_ = (upright_ ? longest + 10 : 22) + (map_.x_label.empty() ? 0 : line_height);
  }

  static std::string png_element(const Image& image, const PlotBox& box) {
    return "<image x=\"" + fixed(box.left) + "\" y=\"" + fixed(box.top) + "\" width=\"" + fixed(box.right - box.left) +
           "\" height=\"" + fixed(box.bottom - box.top) +
           "\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64," +
           base64(encode_png(image)) + "\"/>\n";
  }

  void cells(SvgCanvas& canvas) const {
    Image image(map_.columns, map_.rows);
    for (i64 r = 0; r < map_.rows; ++r) {
      for (i64 c = 0; c < map_.columns; ++c) {
        const auto pixel = color(value(r, c));
        std::copy(pixel.begin(), pixel.end(), image.at(c, r));
      }
    }
    const i64 across = std::max<i64>(480 / map_.columns, 1), down = std::max<i64>(480 / map_.rows, 1);
    canvas.add(png_element(enlarged(image, across, down), box_));
  }

  /// Every how many-th label has room: any number for names, 1, 2, 5, 10 .. for numbers.
  static i64 every(double cell, double label, bool named) {
    const i64 least = std::max<i64>(1, std::llround(std::ceil(label / cell)));
    if (named) return least;
    for (i64 power = 1;; power *= 10)
      for (const i64 step : {1, 2, 5})
        if (step * power >= least) return step * power;
  }

  void row_labels(SvgCanvas& canvas) const {
    for (i64 r = 0; r < map_.rows; r += every(cell_height(), 15, !map_.row_names.empty())) {
      const double y = box_.top + (static_cast<double>(r) + 0.5) * cell_height();
      canvas.text(box_.left - 6, y + 5, name(map_.row_names, r), "end");
    }
  }

  void column_labels(SvgCanvas& canvas) const {
    const double room = upright_ ? 15 : text_width(name(map_.column_names, map_.columns - 1)) + 8;
    for (i64 c = 0; c < map_.columns; c += every(cell_width(), room, !map_.column_names.empty())) {
      const double x = box_.left + (static_cast<double>(c) + 0.5) * cell_width();
      const auto words = name(map_.column_names, c);
      if (upright_) {
        canvas.add("<text transform=\"translate(" + fixed(x + 5) + " " + fixed(box_.bottom + 6) +
                   ") rotate(-90)\" text-anchor=\"end\">" + escape(words) + "</text>\n");
      } else {
        canvas.text(x, box_.bottom + 17, words, "middle");
      }
    }
    if (!map_.x_label.empty()) canvas.text((box_.left + box_.right) / 2, box_.bottom + below_, map_.x_label, "middle");
  }

  /// Black or white, whichever stands out from the cell.
  void numbers(SvgCanvas& canvas) const {
    const double step = bar_step() / 10;
    double widest = 0;
    for (const float x : map_.values) widest = std::max(widest, text_width(tick_label(x, step)));
    if (widest + 4 > cell_width() || cell_height() < 16) return;
    for (i64 r = 0; r < map_.rows; ++r) {
      for (i64 c = 0; c < map_.columns; ++c) {
        if (!std::isfinite(value(r, c))) continue;
        const auto [red, green, blue] = color(value(r, c));
        const bool bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140;
        canvas.add("<text x=\"" + fixed(box_.left + (static_cast<double>(c) + 0.5) * cell_width()) + "\" y=\"" +
                   fixed(box_.top + (static_cast<double>(r) + 0.5) * cell_height() + 5) +
                   "\" text-anchor=\"middle\" style=\"fill:" + (bright ? "#000" : "#fff") + "\">" +
                   tick_label(value(r, c), step) + "</text>\n");
      }
    }
  }

  double bar_step() const { return tick_step(bar_ticks_, std::abs(bar_ticks_[0])); }
  std::string bar_label(double tick) const { return tick_label(tick, bar_step()); }

  void color_bar(SvgCanvas& canvas) const {
    Image image(1, 256);
    for (i64 y = 0; y < 256; ++y) {
      const auto& pixel = colors_.colors[static_cast<size_t>(255 - y)];
      std::copy(pixel.begin(), pixel.end(), image.at(0, y));
    }
    const PlotBox bar{box_.right + 12, box_.top, box_.right + 12 + bar_width, box_.bottom};
    canvas.add(png_element(image, bar));
    for (const double tick : bar_ticks_) {
      const double y = bar.bottom - share(tick) * (bar.bottom - bar.top);
      canvas.line(bar.right, y, bar.right + 4, y, "axis");
      canvas.text(bar.right + 7, y + 5, bar_label(tick), "start");
    }
    canvas.text(chart_width - 4, 16, map_.value_label, "end");
  }

  const HeatMap& map_;
  const ColorMap& colors_;
  Range range_;
  bool any_ = false, upright_ = false;
  std::vector<double> bar_ticks_;
  double below_ = 0;
  PlotBox box_{};
};

}  // namespace detail

/// The map as an <svg> element for a page that has chart_style() once. The cells are one picture inside it. Values
/// outside [low, high] have the colour of the nearer end. Throws Error(internal) when the sizes do not fit or a side is
/// above 4096, Error(usage) for an unknown map of colours.
inline std::string heat_map(const HeatMap& map) {
  require(map.rows >= 0 && map.columns >= 0 && map.rows <= 4096 && map.columns <= 4096 &&
              static_cast<i64>(map.values.size()) == map.rows * map.columns,
          "heat_map: {} values for {} x {} cells", map.values.size(), map.rows, map.columns);
  require(!(map.low > map.high), "heat_map: colours from {} to {}", map.low, map.high);
  const auto fits = [](const std::vector<std::string>& names, i64 n) {
    return names.empty() || static_cast<i64>(names.size()) == n;
  };
  require(fits(map.row_names, map.rows) && fits(map.column_names, map.columns),
          "heat_map: {} and {} names for {} x {} cells", map.row_names.size(), map.column_names.size(), map.rows,
          map.columns);
  return detail::HeatPainter(map).draw();
}

/// The map as a file of its own.
inline std::string svg_file(const HeatMap& map) { return standalone_svg(heat_map(map)); }

}  // namespace dino::inline DINO_ABI
