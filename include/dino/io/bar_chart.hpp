// Bars with names as SVG: no script, no font, no link; light and dark.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/chart.hpp>

namespace dino::inline DINO_ABI {

/// Horizontal bars, so that names of any length can be read, on a telephone, too.
struct BarChart {
  std::string title, value_label;       // the latter with units
  std::vector<std::string> names = {};  // of the bars, from the top
  std::vector<double> values = {};      // not finite: the name stands without a bar
  std::vector<double> errors = {};      // half lengths of the whiskers, or empty
  double step = 0;                      // what values are rounded to beside their bars; 0: by their range
};

namespace detail {

class BarPainter {
 public:
  explicit BarPainter(const BarChart& chart) : chart_(chart) {
    for (size_t i = 0; i < chart.values.size(); ++i) {
      if (!drawable(i)) continue;
      any_ = true;
      range_.add(chart.values[i] - error(i));
      range_.add(chart.values[i] + error(i));
    }
    range_.add(0);
    if (range_.span() <= 0) range_.high = 1;
    ticks_ = nice_ticks(range_.low, range_.high, 5);
    step_ = chart.step > 0 ? chart.step : tick_step(ticks_, 1) / 100;
    double names = 3 * letter, values = 0;
    for (size_t i = 0; i < chart.values.size(); ++i) {
      names = std::max(names, text_width(shown(chart.names[i])));
      values = std::max(values, text_width(value_label(i)));
    }
    box_ = {names + 12, 26, chart_width - values - 14, 26 + row * static_cast<double>(chart.values.size()) + 4};
    if (range_.low < 0) box_.left += values + 6;  // values of bars to the left stand before them
  }

  std::string draw() {
    SvgCanvas canvas(chart_width, any_ ? box_.bottom + 28 : 120, chart_.title);
    if (!any_) {
      canvas.text(chart_width / 2, 60, "no data yet", "middle");
      return canvas.finish();
    }
    canvas.text(4, 16, chart_.value_label, "start");
    for (const double tick : ticks_) {
      canvas.line(px(tick), box_.top, px(tick), box_.bottom, "grid");
      canvas.text(px(tick), box_.bottom + 20, tick_label(tick, tick_step(ticks_, 1)), "middle");
    }
    for (size_t i = 0; i < chart_.values.size(); ++i) bar(canvas, i);
    canvas.line(px(0), box_.top, px(0), box_.bottom, "axis");
    return canvas.finish();
  }

 private:
  static constexpr double row = 24, thickness = 16, most = 1e300;
  static constexpr size_t longest_name = 24;

  bool drawable(size_t i) const { return std::abs(chart_.values[i]) <= most; }
  double error(size_t i) const {
    return i < chart_.errors.size() && chart_.errors[i] > 0 && chart_.errors[i] <= most ? chart_.errors[i] : 0;
  }
  double px(double value) const { return box_.left + (value - range_.low) / range_.span() * (box_.right - box_.left); }
  std::string value_label(size_t i) const { return drawable(i) ? tick_label(chart_.values[i], step_) : "\xe2\x80\x93"; }

  static std::string shown(const std::string& name) { return shortened_text(name, longest_name); }

  void bar(SvgCanvas& canvas, size_t i) const {
    const double middle = box_.top + row * (static_cast<double>(i) + 0.5) + 2;
    canvas.text(box_.left - (range_.low < 0 ? box_.left - 4 : 7), middle + 5, shown(chart_.names[i]),
                range_.low < 0 ? "start" : "end");
    if (!drawable(i)) return canvas.text(px(0) + 6, middle + 5, value_label(i), "start");
    const double value = chart_.values[i], from = px(std::min(value, 0.0)), to = px(std::max(value, 0.0));
    canvas.add("<rect x=\"" + fixed(from) + "\" y=\"" + fixed(middle - thickness / 2) + "\" width=\"" +
               fixed(to - from) + "\" height=\"" + fixed(thickness) + "\" class=\"s0 bar\"/>\n");
    const double low = px(value - error(i)), high = px(value + error(i));
    if (error(i) > 0) {
      canvas.line(low, middle, high, middle, "whisker");
      for (const double end : {low, high}) canvas.line(end, middle - 4, end, middle + 4, "whisker");
    }
    canvas.text(value < 0 ? low - 6 : high + 6, middle + 5, value_label(i), value < 0 ? "end" : "start", "halo");
  }

  const BarChart& chart_;
  bool any_ = false;
  Range range_;
  std::vector<double> ticks_;
  double step_ = 1;
  PlotBox box_{};
};

}  // namespace detail

/// The chart as an <svg> element for a page that has chart_style() once: 24 units of height for a bar, the axis always
/// with 0. Throws Error(internal) when names, values and errors have different lengths.
inline std::string bar_chart(const BarChart& chart) {
  require(
      chart.names.size() == chart.values.size() && (chart.errors.empty() || chart.errors.size() == chart.values.size()),
      "bar_chart: {} names, {} values, {} errors", chart.names.size(), chart.values.size(), chart.errors.size());
  return detail::BarPainter(chart).draw();
}

/// The chart as a file of its own.
inline std::string svg_file(const BarChart& chart) { return standalone_svg(bar_chart(chart)); }

}  // namespace dino::inline DINO_ABI
