// What all charts share: their style, their place on the page, their words and lines.
#pragma once

#include <dino/io/axis.hpp>
#include <dino/io/html.hpp>

#include <utility>

namespace dino::inline DINO_ABI {

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
.chart .line{fill:none}.chart .band{stroke:none}.chart .bar{stroke:none}.chart .whisker{stroke:#333;stroke-width:1.5}
@media (prefers-color-scheme:dark){
.chart text{fill:#d8d8d8}.chart .paper{fill:#17191c}.chart .grid{stroke:#33373d}.chart .axis{stroke:#777}
.chart .level{stroke:#aaa}.chart .halo{stroke:#17191c}
.chart .s0{stroke:#56b4e9;fill:#56b4e9}.chart .s1{stroke:#ff8f4a;fill:#ff8f4a}.chart .s2{stroke:#35c79b;fill:#35c79b}
.chart .s3{stroke:#e79fc7;fill:#e79fc7}.chart .s4{stroke:#f0c84a;fill:#f0c84a}.chart .s5{stroke:#a9c4ff;fill:#a9c4ff}
.chart .line{fill:none}.chart .band{stroke:none}.chart .bar{stroke:none}.chart .whisker{stroke:#eee}}
)";
}

/// The text of a chart as a file of its own: with the style, and paper behind it. svg: what one of the charts returned.
inline std::string standalone_svg(std::string svg) {
  const auto at = svg.find('\n') + 1;
  return svg.insert(at,
                    "<style>" + chart_style() + "</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
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

/// The text, or its beginning and an ellipsis: at most `limit` characters.
inline std::string shortened_text(const std::string& text, size_t limit) {
  size_t count = 0, cut = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;  // goes on with the character before it
    if (++count == limit) cut = i;
    if (count > limit) return text.substr(0, cut) + "\xe2\x80\xa6";
  }
  return text;
}

/// An <svg> element that grows: what is added later lies in front.
class SvgCanvas {
 public:
  SvgCanvas(double width, double height, const std::string& title)
      : out_("<svg class=\"chart\" viewBox=\"0 0 " + fixed(width) + " " + fixed(height) +
             "\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n" + element("title", title)) {}

  void add(const std::string& markup) { out_ += markup; }

  void text(double x, double y, const std::string& words, const char* anchor, const char* css_class = "") {
    out_ += "<text x=\"" + fixed(x) + "\" y=\"" + fixed(y) + "\" text-anchor=\"" + anchor + "\"" +
            (*css_class ? std::string(" class=\"") + css_class + "\"" : "") + ">" + escape(words) + "</text>\n";
  }

  void line(double x1, double y1, double x2, double y2, const std::string& css_class) {
    out_ += "<line x1=\"" + fixed(x1) + "\" y1=\"" + fixed(y1) + "\" x2=\"" + fixed(x2) + "\" y2=\"" + fixed(y2) +
            "\" class=\"" + css_class + "\"/>\n";
  }

  std::string finish() { return std::move(out_) + "</svg>\n"; }

 private:
  std::string out_;
};

/// Rows of names: where each stands, and how many rows there are.
struct Legend {
  std::vector<std::pair<double, double>> places;
  double rows = 0;

  /// From `left` to the right edge, below the label of the vertical axis; a name has 26 units before it for its mark.
  Legend(const std::vector<std::string>& names, double left) {
    double x = left, row = 0;
    for (const auto& name : names) {
      const double width = 40 + text_width(name);
      if (x > left && x + width > chart_width) x = left, ++row;
      places.push_back({x, 22 + (row + 1) * line_height});
      x += width;
    }
    rows = names.empty() ? 0 : row + 1;
  }
};

/// The edges of the part of the canvas in which values are drawn.
struct PlotBox {
  double left, top, right, bottom;
};

/// A tick of an axis: its place on the canvas and its label.
struct Tick {
  double at;
  std::string label;
};

/// Grid lines across the box with labels to their left, ticks with labels below it, and the labels of both axes.
inline void draw_axes(SvgCanvas& canvas, const PlotBox& box, const std::vector<Tick>& across,
                      const std::vector<Tick>& below, const std::string& y_label, const std::string& x_label) {
  for (const auto& [y, label] : across) {
    canvas.line(box.left, y, box.right, y, "grid");
    canvas.text(box.left - 7, y + 5, label, "end");
  }
  for (const auto& [x, label] : below) {
    canvas.line(x, box.bottom, x, box.bottom + 5, "axis");
    canvas.text(x, box.bottom + 20, label, "middle");
  }
  canvas.line(box.left, box.bottom, box.right, box.bottom, "axis");
  canvas.text(4, 16, y_label, "start");
  canvas.text((box.left + box.right) / 2, box.bottom + 40, x_label, "middle");
}

}  // namespace detail

}  // namespace dino::inline DINO_ABI
