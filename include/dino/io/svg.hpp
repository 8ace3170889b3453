// Line charts as SVG: no script, no font, no link; light and dark.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/chart.hpp>

namespace dino::inline DINO_ABI {

/// One line. Where y is not finite the line has a gap. low and high (empty, or as long as y) bound a band around it.
struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> low = {}, high = {};
  bool dots = false;  // a mark at each point, for few points
};

/// A horizontal line to compare with, such as ln K.
struct Level {
  double y;
  std::string label;
};

struct LineChart {
  std::string title, x_label, y_label;  // labels with units
  std::vector<Series> series = {};
  std::vector<Level> levels = {};
  bool log_y = false;      // values that are not positive become gaps
  bool from_zero = false;  // the vertical axis starts at 0
};

namespace detail {

/// Draws one chart: finds the ranges, then writes from back to front.
class LinePainter {
 public:
  explicit LinePainter(const LineChart& chart) : chart_(chart), canvas_(chart_width, chart_height, chart.title) {
    find_ranges();
    y_ticks_ = chart.log_y ? log_ticks(std::pow(10, y_.low), std::pow(10, y_.high)) : nice_ticks(y_.low, y_.high, 5);
    x_ticks_ = nice_ticks(x_.low, x_.high, 6);
    double widest = 3 * letter;
    for (size_t i = 0; i < y_ticks_.size(); ++i) widest = std::max(widest, text_width(y_label(i)));
    left_ = widest + 12;
    place_legend();
  }

  std::string draw() {
    if (x_.empty()) {
      canvas_.text(chart_width / 2, chart_height / 2, "no data yet", "middle");
      return canvas_.finish();
    }
    axes();
    for (size_t i = 0; i < chart_.series.size(); ++i) band(i);
    for (const auto& level : chart_.levels) level_line(level);
    for (size_t i = 0; i < chart_.series.size(); ++i) line(i);
    level_labels();
    legend();
    return canvas_.finish();
  }

 private:
  double scaled(double y) const {
    if (!chart_.log_y) return y;
    return y > 0 ? std::log10(y) : std::numeric_limits<double>::quiet_NaN();
  }

  void find_ranges() {
    Range bands;
    for (const auto& s : chart_.series) {
      for (size_t i = 0; i < s.x.size(); ++i) {
        if (!std::isfinite(s.x[i]) || !std::isfinite(scaled(s.y[i]))) continue;
        x_.add(s.x[i]);
        y_.add(scaled(s.y[i]));
        if (i < s.low.size() && std::isfinite(scaled(s.low[i]))) bands.add(scaled(s.low[i]));
        if (i < s.high.size() && std::isfinite(scaled(s.high[i]))) bands.add(scaled(s.high[i]));
      }
    }
    if (x_.empty()) return;
    for (const auto& level : chart_.levels) {
      if (std::isfinite(scaled(level.y))) y_.add(scaled(level.y));
    }
    if (chart_.from_zero && !chart_.log_y) y_.add(0);
    const double room = y_.span() / 4;  // a band with spikes must not flatten the lines
    if (!bands.empty())
      y_ = {std::min(y_.low, std::max(bands.low, y_.low - room)),
            std::max(y_.high, std::min(bands.high, y_.high + room))};
    const double around = y_.span() > 0 ? 0.04 * y_.span() : std::max(0.05 * std::abs(y_.high), 1e-9);
    if (!(chart_.from_zero && y_.low == 0)) y_.low -= around;
    y_.high += around;
    y_.high += room_for_label();
    if (x_.span() <= 0) x_ = {x_.low - 0.5, x_.high + 0.5};
    snap_x();
  }

  /// A level near the upper end needs space for its label above it.
  double room_for_label() const {
    double need = 0;
    for (const auto& level : chart_.levels) {
      if (std::isfinite(scaled(level.y))) need = std::max(need, 0.1 * y_.span() - (y_.high - scaled(level.y)));
    }
    return need;
  }

  /// Moves an end of the horizontal axis that nearly reaches a rounded number onto it: epochs 0.01 to 19.99 are 0
  /// to 20.
  void snap_x() {
    const auto ticks = nice_ticks(x_.low, x_.high, 6);
    if (ticks.size() < 2) return;
    const double step = ticks[1] - ticks[0], near = 0.02 * x_.span();
    if (ticks.front() - step > x_.low - near) x_.low = ticks.front() - step;
    if (ticks.back() + step < x_.high + near) x_.high = ticks.back() + step;
  }

  std::string y_label(size_t i) const {
    const double step = chart_.log_y ? y_ticks_[i] : tick_step(y_ticks_, std::abs(y_ticks_[0]));
    return tick_label(y_ticks_[i], step);
  }

  /// The plot starts under the legend; a single line without a name needs none.
  void place_legend() {
    std::vector<std::string> names;
    for (const auto& s : chart_.series) names.push_back(s.name);
    if (names.size() == 1 && names[0].empty()) names.clear();
    const Legend legend(names, left_);
    legend_ = legend.places;
    top_ = 30 + legend.rows * line_height;
  }

  double px(double x) const { return left_ + (x - x_.low) / x_.span() * (chart_width - right - left_); }
  double py(double y) const {
    const double t = (scaled(y) - y_.low) / y_.span();
    return chart_height - bottom - t * (chart_height - bottom - top_);
  }
  double clamped(double y) const { return std::clamp(py(y), top_, chart_height - bottom); }

  void axes() {
    std::vector<Tick> across, below;
    for (size_t i = 0; i < y_ticks_.size(); ++i) across.push_back({py(y_ticks_[i]), y_label(i)});
    for (const double tick : x_ticks_) below.push_back({px(tick), tick_label(tick, tick_step(x_ticks_, 1))});
    const PlotBox box{left_, top_, chart_width - right, chart_height - bottom};
    draw_axes(canvas_, box, across, below, chart_.y_label, chart_.x_label);
  }

  static std::string colour(size_t i) { return "s" + std::to_string(i % 6); }
  static std::string dash(size_t i) { return i < 6 ? "" : i < 12 ? " dash1" : " dash2"; }

  bool drawable(const Series& s, size_t i) const { return std::isfinite(s.x[i]) && std::isfinite(scaled(s.y[i])); }

  /// Calls visit(begin, end) for each run of points without a gap.
  template <class Visit> void runs(const Series& s, Visit visit) const {
    for (size_t begin = 0; begin < s.x.size();) {
      size_t end = begin;
      while (end < s.x.size() && drawable(s, end)) ++end;
      if (end > begin) visit(begin, end);
      begin = std::max(end, begin + 1);
    }
  }

  std::string point(double x, double y) const { return fixed(px(x)) + " " + fixed(clamped(y)); }

  void band(size_t index) {
    const Series& s = chart_.series[index];
    if (s.low.size() != s.y.size() || s.high.size() != s.y.size()) return;
    runs(s, [&](size_t begin, size_t end) {
      if (end - begin < 2) return;
      std::string path;
      const auto edge = [&](double bound, size_t i) {
        path += (path.empty() ? "M" : "L") + point(s.x[i], std::isfinite(scaled(bound)) ? bound : s.y[i]);
      };
      for (size_t i = begin; i < end; ++i) edge(s.high[i], i);
      for (size_t i = end; i-- > begin;) edge(s.low[i], i);
      canvas_.add("<path class=\"" + colour(index) + " band\" d=\"" + path + "Z\"/>\n");
    });
  }

  void line(size_t index) {
    const Series& s = chart_.series[index];
    std::string path, marks;
    runs(s, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        path += (i == begin ? "M" : "L") + point(s.x[i], s.y[i]);
        if (!s.dots && end - begin > 1) continue;
        marks += "<circle class=\"" + colour(index) + "\" cx=\"" + fixed(px(s.x[i])) + "\" cy=\"" +
                 fixed(clamped(s.y[i])) + "\" r=\"3\"/>\n";
      }
    });
    if (!path.empty())
      canvas_.add("<path class=\"" + colour(index) + " line" + dash(index) + "\" d=\"" + path + "\"/>\n");
    canvas_.add(marks);
  }

  void level_line(const Level& level) {
    if (std::isfinite(scaled(level.y))) canvas_.line(left_, py(level.y), chart_width - right, py(level.y), "level");
  }

  /// At the right end, or at the left one where the label would cover the one before it.
  void level_labels() {
    double last = -1e9;
    for (const auto& level : chart_.levels) {
      if (!std::isfinite(scaled(level.y))) continue;
      const double y = py(level.y) < top_ + 6 ? py(level.y) + 15 : py(level.y) - 5;
      const bool to_left = std::abs(y - last) < line_height - 2;
      canvas_.text(to_left ? left_ + 4 : chart_width - right - 4, y, level.label, to_left ? "start" : "end", "halo");
      last = to_left ? last : y;
    }
  }

  void legend() {
    for (size_t i = 0; i < legend_.size(); ++i) {
      const auto [x, y] = legend_[i];
      canvas_.line(x, y - 5, x + 20, y - 5, colour(i) + " line" + dash(i));
      canvas_.text(x + 26, y, chart_.series[i].name, "start");
    }
  }

  static constexpr double right = 14, bottom = 46;

  const LineChart& chart_;
  Range x_, y_;
  std::vector<double> x_ticks_, y_ticks_;
  std::vector<std::pair<double, double>> legend_;
  double left_ = 0, top_ = 0;
  SvgCanvas canvas_;
};

}  // namespace detail

/// The chart as an <svg> element for a page that has chart_style() once. It scales to the width it is given; its
/// letters are large enough to read on a telephone. All text is escaped. Throws when a series has x and y of different
/// lengths.
inline std::string line_chart(const LineChart& chart) {
  for (const auto& s : chart.series) {
    if (s.x.size() != s.y.size()) {
      fail(ErrorKind::internal, "line_chart: series {} has {} x and {} y", s.name, s.x.size(), s.y.size());
    }
  }
  return detail::LinePainter(chart).draw();
}

/// The chart as a file of its own.
inline std::string svg_file(const LineChart& chart) { return standalone_svg(line_chart(chart)); }

}  // namespace dino::inline DINO_ABI
