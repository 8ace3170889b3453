#include <dino/io/chart.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;
using namespace dino::detail;

TEST_CASE("chart: numbers have one decimal place and stay within bounds", "[io]") {
  CHECK(fixed(1) == "1.0");
  CHECK(fixed(-2.25) == "-2.2");
  CHECK(fixed(1e300) == "100000.0");
  CHECK(fixed(-1e300) == "-100000.0");
  CHECK(text_width("ab") == 2 * letter);
  CHECK(text_width("\xc3\xa9") == letter);
}

TEST_CASE("chart: a text is shortened by whole characters", "[io]") {
  CHECK(shortened_text("abcde", 5) == "abcde");
  CHECK(shortened_text("abcdef", 5) == "abcd\xe2\x80\xa6");
  CHECK(shortened_text("\xc3\xa9\xc3\xa9\xc3\xa9", 3) == "\xc3\xa9\xc3\xa9\xc3\xa9");
  CHECK(shortened_text("\xc3\xa9\xc3\xa9\xc3\xa9", 2) == "\xc3\xa9\xe2\x80\xa6");
  CHECK(shortened_text("", 5).empty());
}

TEST_CASE("chart: a canvas is one element with what was added, in order", "[io]") {
  SvgCanvas canvas(100, 50, "a < b");
  canvas.line(0, 1, 2, 3, "grid");
  canvas.text(4, 5, "x & y", "end", "halo");
  canvas.add("<circle r=\"3\"/>\n");
  const std::string expected =
      "<svg class=\"chart\" viewBox=\"0 0 100.0 50.0\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n"
      "<title>a &lt; b</title>"
      "<line x1=\"0.0\" y1=\"1.0\" x2=\"2.0\" y2=\"3.0\" class=\"grid\"/>\n"
      "<text x=\"4.0\" y=\"5.0\" text-anchor=\"end\" class=\"halo\">x &amp; y</text>\n"
      "<circle r=\"3\"/>\n</svg>\n";
  CHECK(canvas.finish() == expected);
}

TEST_CASE("chart: a legend fills rows and breaks before the right edge", "[io]") {
  const Legend none({}, 40);
  CHECK(none.places.empty());
  CHECK(none.rows == 0);
  const std::string name(20, 'n');  // 192 units with its mark
  const Legend legend({name, name, name, "b"}, 40);
  REQUIRE(legend.places.size() == 4);
  CHECK(legend.rows == 2);
  CHECK(legend.places[0].first == 40);
  CHECK(legend.places[1].first == 40 + 40 + 20 * letter);
  CHECK(legend.places[2].first == 40);
  CHECK(legend.places[2].second == legend.places[1].second + line_height);
  CHECK(legend.places[3].second == legend.places[2].second);
  CHECK(Legend({std::string(200, 'n')}, 40).rows == 1);  // too wide for any row: it stays in the first
}

TEST_CASE("chart: axes have a label and a line for every tick", "[io]") {
  SvgCanvas canvas(100, 100, "t");
  draw_axes(canvas, {20, 10, 90, 60}, {{50, "1"}, {30, "2"}}, {{40, "a"}}, "up", "right");
  const auto svg = canvas.finish();
  CHECK(count(svg, "class=\"grid\"") == 2);
  CHECK(count(svg, "class=\"axis\"") == 2);  // one tick and the axis
  CHECK(has(svg, "<line x1=\"20.0\" y1=\"50.0\" x2=\"90.0\" y2=\"50.0\" class=\"grid\"/>"));
  CHECK(has(svg, "<text x=\"13.0\" y=\"35.0\" text-anchor=\"end\">2</text>"));
  CHECK(has(svg, "<text x=\"40.0\" y=\"80.0\" text-anchor=\"middle\">a</text>"));
  CHECK(has(svg, "<text x=\"55.0\" y=\"100.0\" text-anchor=\"middle\">right</text>"));
  CHECK(unbalanced(svg).empty());
}

TEST_CASE("chart: a file has the style and paper behind everything", "[io]") {
  SvgCanvas canvas(10, 10, "t");
  canvas.add("<circle r=\"3\"/>\n");
  const auto svg = standalone_svg(canvas.finish());
  CHECK(has(svg, "<style>" + chart_style() + "</style>"));
  CHECK(svg.find("class=\"paper\"") < svg.find("<circle"));
  CHECK(unbalanced(svg).empty());
}
