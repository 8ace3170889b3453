// Points of the plane as SVG, coloured by class: no script, no font, no link; light and dark.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/chart.hpp>
#include <dino/io/palette.hpp>

namespace dino::inline DINO_ABI {

struct ScatterChart {
  std::string title, x_label = "", y_label = "";
  std::vector<double> x = {}, y = {};
  std::vector<i64> classes = {};        // of each point, or empty: all of one class; negative: grey, of none
  std::vector<std::string> names = {};  // of the classes, for the legend
  bool equal_aspect = false;            // a unit is as long upwards as to the right: for embeddings
  bool ticks = true;                    // without them a frame stands around the points
  double size = 0;                      // diameter of a point, in 1/500 of the width; 0: by their number
};

namespace detail {

class ScatterPainter {
 public:
  explicit ScatterPainter(const ScatterChart& chart) : chart_(chart) {
    for (size_t i = 0; i < chart.x.size(); ++i) {
      if (!drawable(i)) continue;
      ++points_;
      classes_ = std::max(classes_, class_of(i) + 1);
      x_.add(chart.x[i]);
      y_.add(chart.y[i]);
    }
    classes_ = std::max(classes_, static_cast<i64>(chart.names.size()));
    widen(x_);
    widen(y_);
    place();
  }

  std::string draw() {
    SvgCanvas canvas(chart_width, box_.bottom + (chart_.ticks ? 46 : 8), chart_.title);
    if (points_ == 0) {
      canvas.text(chart_width / 2, (box_.top + box_.bottom) / 2, "no data yet", "middle");
      return canvas.finish();
    }
    const auto colors = class_colors(classes_);
    axes(canvas);
    points(canvas, colors);
    for (size_t i = 0; i < legend_.size(); ++i) {
      const auto [at, y] = legend_[i];
      canvas.add("<circle cx=\"" + fixed(at + 13) + "\" cy=\"" + fixed(y - 5) + "\" r=\"5\" fill=\"" +
                 hex_color(colors[i]) + "\"/>\n");
      canvas.text(at + 26, y, chart_.names[i], "start");
    }
    return canvas.finish();
  }

 private:
  static constexpr double right = 14, most = 1e300;  // beyond that differences overflow
  static constexpr size_t most_names = 100;

  bool drawable(size_t i) const { return std::abs(chart_.x[i]) <= most && std::abs(chart_.y[i]) <= most; }
  i64 class_of(size_t i) const { return chart_.classes.empty() ? 0 : std::max<i64>(chart_.classes[i], -1); }

  static void widen(Range& range) {
    const double around = range.span() > 0 ? 0.04 * range.span() : std::max(0.05 * std::abs(range.high), 1e-9);
    if (!range.empty()) range = {range.low - around, range.high + around};
  }

  /// Finds the box: as wide as the chart, its height 3/5 of that or, for equal aspect, what the ranges ask for within
  /// 1/2 and 6/5 of the width; then the range that would be stretched grows at both ends.
  void place() {
    y_ticks_ = chart_.ticks ? nice_ticks(y_.low, y_.high, 6) : std::vector<double>{};
    double widest = 3 * letter;
    for (const double tick : y_ticks_) widest = std::max(widest, text_width(y_label(tick)));
    box_.left = chart_.ticks ? widest + 12 : 8;
    box_.right = chart_width - (chart_.ticks ? right : 8);
    auto names = chart_.names;
    names.resize(std::min(names.size(), most_names));
    const Legend legend(names, box_.left);
    const double raised = chart_.y_label.empty() ? line_height : 0;  // there is no label above it
    legend_ = legend.places;
    for (auto& [at, y] : legend_) y -= raised;
    box_.top = std::max(30 + legend.rows * line_height - raised, 8.0);
    const double width = box_.right - box_.left;
    double height = 0.6 * width;
    if (chart_.equal_aspect && points_ > 0) {
      height = width * std::clamp(y_.span() / x_.span(), 0.5, 1.2);
      const double unit = std::max(x_.span() / width, y_.span() / height);
      grow(x_, unit * width);
      grow(y_, unit * height);
      if (chart_.ticks) y_ticks_ = nice_ticks(y_.low, y_.high, 6);
    }
    box_.bottom = box_.top + height;
  }

  static void grow(Range& range, double span) {
    const double more = (span - range.span()) / 2;
    range = {range.low - more, range.high + more};
  }

  std::string y_label(double tick) const { return tick_label(tick, tick_step(y_ticks_, std::abs(tick))); }
  double px(double x) const { return box_.left + (x - x_.low) / x_.span() * (box_.right - box_.left); }
  double py(double y) const { return box_.bottom - (y - y_.low) / y_.span() * (box_.bottom - box_.top); }

  void axes(SvgCanvas& canvas) const {
    std::vector<Tick> across, below;
    for (const double tick : y_ticks_) across.push_back({py(tick), y_label(tick)});
    if (chart_.ticks) {
      const auto x_ticks = nice_ticks(x_.low, x_.high, 6);
      for (const double tick : x_ticks)
        below.push_back({px(tick), tick_label(tick, tick_step(x_ticks, std::abs(tick)))});
      draw_axes(canvas, box_, across, below, chart_.y_label, chart_.x_label);
    } else {
      canvas.add("<rect x=\"" + fixed(box_.left) + "\" y=\"" + fixed(box_.top) + "\" width=\"" +
                 fixed(box_.right - box_.left) + "\" height=\"" + fixed(box_.bottom - box_.top) +
                 "\" fill=\"none\" class=\"grid\"/>\n");
    }
  }

  /// A path for each class, in which a point is a line of no length with round ends: about 13 bytes per point.
  void points(SvgCanvas& canvas, const std::vector<Colour>& colors) const {
    std::vector<std::string> paths(static_cast<size_t>(classes_) + 1);  // the last one for points of no class
    for (size_t i = 0; i < chart_.x.size(); ++i) {
      if (!drawable(i)) continue;
      const i64 index = class_of(i);
      paths[static_cast<size_t>(index < 0 ? classes_ : index)] +=
          "M" + fixed(px(chart_.x[i])) + " " + fixed(py(chart_.y[i])) + "h0";
    }
    const double by_number = std::clamp(160 / std::sqrt(static_cast<double>(points_)), 2.5, 8.0);
    const std::string size = fixed(chart_.size > 0 ? chart_.size : by_number);
    for (size_t k = paths.size(); k-- > 0;) {  // those of no class lie behind
      if (paths[k].empty()) continue;
      const auto color = k < colors.size() ? hex_color(colors[k]) : "#888888";
      canvas.add("<path fill=\"none\" stroke=\"" + color + "\" stroke-width=\"" + size +
                 "\" stroke-linecap=\"round\" stroke-opacity=\".9\" d=\"" + paths[k] + "\"/>\n");
    }
  }

  const ScatterChart& chart_;
  Range x_, y_;
  i64 points_ = 0, classes_ = 0;
  std::vector<double> y_ticks_;
  std::vector<std::pair<double, double>> legend_;
  PlotBox box_{};
};

}  // namespace detail

/// The chart as an <svg> element for a page that has chart_style() once. A point that is not finite is left out. The
/// legend has the first 100 names, and the chart grows with it. 10,000 points take about 150 KB. Throws Error(internal)
/// when x, y and classes have different lengths, or a class is 100,000 or more.
inline std::string scatter_chart(const ScatterChart& chart) {
  require(chart.x.size() == chart.y.size() && (chart.classes.empty() || chart.classes.size() == chart.x.size()),
          "scatter_chart: {} x, {} y, {} classes", chart.x.size(), chart.y.size(), chart.classes.size());
  for (const i64 index : chart.classes) require(index < 100000, "scatter_chart: class {}", index);
  return detail::ScatterPainter(chart).draw();
}

/// The chart as a file of its own.
inline std::string svg_file(const ScatterChart& chart) { return standalone_svg(scatter_chart(chart)); }

}  // namespace dino::inline DINO_ABI
