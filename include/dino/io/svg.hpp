// Line charts as SVG: no script, no font, no link; light and dark.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/clock.hpp>
#include <dino/io/html.hpp>

#include <limits>

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

/// Rounded positions in [low, high], about `wanted` of them: multiples of 1, 2 or 5 times a power of ten.
inline std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (!(high > low) || !std::isfinite(high - low)) return {};
  const double raw = (high - low) / wanted, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power < 1.5 ? 1 : raw / power < 3 ? 2 : raw / power < 7 ? 5 : 10);
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  if (!(last - first < 100)) return {};
  for (double i = first; i <= last; ++i) ticks.push_back(i * step + 0.0);  // + 0.0: no negative zero
  return ticks;
}

/// Positions for a logarithmic axis: powers of ten, with 2 and 5 between them where there are few.
inline std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  if (!(low > 0 && high > low) || !std::isfinite(high)) return ticks;
  const double decades = std::log10(high / low), every = std::max(1.0, std::ceil(decades / 6));
  for (double e = std::floor(std::log10(low)); e <= std::ceil(std::log10(high)); ++e) {
    for (const double m : {1.0, 2.0, 5.0}) {
      const double tick = m * std::pow(10, e);
      const bool wanted = m == 1 ? std::fmod(e, every) == 0 : decades < 2.5;
      if (wanted && tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

/// "1,200", "0.25", "2e-5": as many digits as tell values that are `step` apart.
inline std::string tick_label(double value, double step) {
  const auto exponent = [](double x) { return static_cast<int>(std::floor(std::log10(std::abs(x)) + 1e-9)); };
  if (value == 0 || !std::isfinite(value) || !(step > 0)) return value == 0 ? "0" : number_text(value);
  char text[64];
  if (std::abs(value) >= 1e7 || step < 1e-4) {
    const int digits = std::clamp(exponent(value) - exponent(step), 0, 6);
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, digits).ptr;
    std::string out(text, end);
    const auto e = out.find('e');
    return out.substr(0, e + 1) + std::to_string(std::atoi(out.c_str() + e + 1));
  }
  if (step >= 1) return format_count(std::llround(value));
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, -exponent(step)).ptr;
  return std::string(text, end);
}

/// The rules for the classes that charts use: once per page, or inside a file. The colours are those of Okabe and Ito,
/// which people with any colour vision tell apart, lighter on dark paper; from the seventh series on lines are dashed.
inline std::string chart_style() {
  return R"(.chart{font:14px system-ui,-apple-system,"Segoe UI",sans-serif;width:100%;max-width:100%;height:auto;
display:block}
.chart text{fill:#333}.chart .paper{fill:#fff}.chart .grid{stroke:#e3e3e3}.chart .axis{stroke:#999}
.chart .level{stroke:#555;stroke-width:1.5;stroke-dasharray:6 4}
.chart .halo{paint-order:stroke;stroke:#fff;stroke-width:4;stroke-linejoin:round}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.chart .band{opacity:.22;stroke:none}
.chart .dash1{stroke-dasharray:7 4}.chart .dash2{stroke-dasharray:2 4}
.chart .s0{stroke:#0072b2;fill:#0072b2}.chart .s1{stroke:#d55e00;fill:#d55e00}.chart .s2{stroke:#009e73;fill:#009e73}
.chart .s3{stroke:#b85c94;fill:#b85c94}.chart .s4{stroke:#c98500;fill:#c98500}.chart .s5{stroke:#3f9fd6;fill:#3f9fd6}
.chart .line{fill:none}.chart .band{stroke:none}
@media (prefers-color-scheme:dark){
.chart text{fill:#d8d8d8}.chart .paper{fill:#17191c}.chart .grid{stroke:#33373d}.chart .axis{stroke:#777}
.chart .level{stroke:#aaa}.chart .halo{stroke:#17191c}
.chart .s0{stroke:#56b4e9;fill:#56b4e9}.chart .s1{stroke:#ff8f4a;fill:#ff8f4a}.chart .s2{stroke:#35c79b;fill:#35c79b}
.chart .s3{stroke:#e79fc7;fill:#e79fc7}.chart .s4{stroke:#f0c84a;fill:#f0c84a}.chart .s5{stroke:#a9c4ff;fill:#a9c4ff}
.chart .line{fill:none}.chart .band{stroke:none}}
)";
}

namespace detail {

inline constexpr double chart_width = 500, chart_height = 300, letter = 7.6, line_height = 18;

inline std::string fixed(double x) {
  char text[64];
  return std::string(
      text, std::to_chars(text, text + sizeof text, std::clamp(x, -1e5, 1e5), std::chars_format::fixed, 1).ptr);
}

/// Columns that the text takes, in characters: UTF-8 continuation bytes do not count.
inline double text_width(const std::string& text) {
  const auto n =
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
  return letter * static_cast<double>(n);
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void add(double x) { low = std::min(low, x), high = std::max(high, x); }
  bool empty() const { return !(low <= high); }
  double span() const { return high - low; }
};

/// Draws one chart: finds the ranges, then writes from back to front.
class ChartPainter {
 public:
  explicit ChartPainter(const LineChart& chart) : chart_(chart) {
    find_ranges();
    y_ticks_ = chart.log_y ? log_ticks(std::pow(10, y_.low), std::pow(10, y_.high)) : nice_ticks(y_.low, y_.high, 5);
    x_ticks_ = nice_ticks(x_.low, x_.high, 6);
    double widest = 3 * letter;
    for (size_t i = 0; i < y_ticks_.size(); ++i) widest = std::max(widest, text_width(y_label(i)));
    left_ = widest + 12;
    place_legend();
  }

  std::string draw() {
    out_ = "<svg class=\"chart\" viewBox=\"0 0 " + fixed(chart_width) + " " + fixed(chart_height) +
           "\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n" + element("title", chart_.title);
    if (x_.empty()) {
      text(chart_width / 2, chart_height / 2, "no data yet", "middle");
      return out_ + "</svg>\n";
    }
    axes();
    for (size_t i = 0; i < chart_.series.size(); ++i) band(i);
    for (const auto& level : chart_.levels) level_line(level);
    for (size_t i = 0; i < chart_.series.size(); ++i) line(i);
    level_labels();
    legend();
    return out_ + "</svg>\n";
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
    const double step = chart_.log_y          ? y_ticks_[i]
                        : y_ticks_.size() > 1 ? y_ticks_[1] - y_ticks_[0]
                                              : std::abs(y_ticks_[0]);
    return tick_label(y_ticks_[i], step);
  }

  /// Rows of names below the label of the vertical axis; the plot starts under them.
  void place_legend() {
    double x = left_, row = 0;
    for (const auto& s : chart_.series) {
      const double width = 40 + text_width(s.name);
      if (x > left_ && x + width > chart_width) x = left_, ++row;
      legend_.push_back({x, 22 + (row + 1) * line_height});
      x += width;
    }
    if (chart_.series.size() < 2 && (chart_.series.empty() || chart_.series[0].name.empty())) legend_.clear();
    top_ = 30 + (legend_.empty() ? 0 : (row + 1) * line_height);
  }

  double px(double x) const { return left_ + (x - x_.low) / x_.span() * (chart_width - right - left_); }
  double py(double y) const {
    const double t = (scaled(y) - y_.low) / y_.span();
    return chart_height - bottom - t * (chart_height - bottom - top_);
  }
  double clamped(double y) const { return std::clamp(py(y), top_, chart_height - bottom); }

  void text(double x, double y, const std::string& words, const char* anchor, const char* css_class = "") {
    out_ += "<text x=\"" + fixed(x) + "\" y=\"" + fixed(y) + "\" text-anchor=\"" + anchor + "\"" +
            (*css_class ? std::string(" class=\"") + css_class + "\"" : "") + ">" + escape(words) + "</text>\n";
  }

  void straight(double x1, double y1, double x2, double y2, const std::string& css_class) {
    out_ += "<line x1=\"" + fixed(x1) + "\" y1=\"" + fixed(y1) + "\" x2=\"" + fixed(x2) + "\" y2=\"" + fixed(y2) +
            "\" class=\"" + css_class + "\"/>\n";
  }

  void axes() {
    const double base = chart_height - bottom;
    for (size_t i = 0; i < y_ticks_.size(); ++i) {
      straight(left_, py(y_ticks_[i]), chart_width - right, py(y_ticks_[i]), "grid");
      text(left_ - 7, py(y_ticks_[i]) + 5, y_label(i), "end");
    }
    const double step = x_ticks_.size() > 1 ? x_ticks_[1] - x_ticks_[0] : 1;
    for (const double tick : x_ticks_) {
      straight(px(tick), base, px(tick), base + 5, "axis");
      text(px(tick), base + 20, tick_label(tick, step), "middle");
    }
    straight(left_, base, chart_width - right, base, "axis");
    text(4, 16, chart_.y_label, "start");
    text((left_ + chart_width - right) / 2, chart_height - 6, chart_.x_label, "middle");
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
      out_ += "<path class=\"" + colour(index) + " band\" d=\"" + path + "Z\"/>\n";
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
    if (!path.empty()) out_ += "<path class=\"" + colour(index) + " line" + dash(index) + "\" d=\"" + path + "\"/>\n";
    out_ += marks;
  }

  void level_line(const Level& level) {
    if (std::isfinite(scaled(level.y))) straight(left_, py(level.y), chart_width - right, py(level.y), "level");
  }

  /// At the right end, or at the left one where the label would cover the one before it.
  void level_labels() {
    double last = -1e9;
    for (const auto& level : chart_.levels) {
      if (!std::isfinite(scaled(level.y))) continue;
      const double y = py(level.y) < top_ + 6 ? py(level.y) + 15 : py(level.y) - 5;
      const bool to_left = std::abs(y - last) < line_height - 2;
      text(to_left ? left_ + 4 : chart_width - right - 4, y, level.label, to_left ? "start" : "end", "halo");
      last = to_left ? last : y;
    }
  }

  void legend() {
    for (size_t i = 0; i < legend_.size(); ++i) {
      const auto [x, y] = legend_[i];
      straight(x, y - 5, x + 20, y - 5, colour(i) + " line" + dash(i));
      text(x + 26, y, chart_.series[i].name, "start");
    }
  }

  static constexpr double right = 14, bottom = 46;

  const LineChart& chart_;
  Range x_, y_;
  std::vector<double> x_ticks_, y_ticks_;
  std::vector<std::pair<double, double>> legend_;
  double left_ = 0, top_ = 0;
  std::string out_;
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
  return detail::ChartPainter(chart).draw();
}

/// The chart as a file of its own.
inline std::string svg_file(const LineChart& chart) {
  std::string text = line_chart(chart);
  const auto at = text.find('\n') + 1;
  return text.insert(at,
                     "<style>" + chart_style() + "</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
}

}  // namespace dino::inline DINO_ABI
