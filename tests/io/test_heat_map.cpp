#include <dino/io/heat_map.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;

namespace {

constexpr float gap = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

/// Whether the chart holds exactly this picture of cells.
bool has_cells(const std::string& svg, const Image& cells) {
  const auto picture =
      enlarged(cells, std::max<i64>(480 / cells.width, 1), std::max<i64>(480 / cells.height, 1));
  return has(svg, "data:image/png;base64," + base64(encode_png(picture)) + "\"");
}

Image of(i64 width, i64 height, const std::vector<Colour>& colors) {
  Image image(width, height);
  for (size_t i = 0; i < colors.size(); ++i)
    std::copy(colors[i].begin(), colors[i].end(), image.pixels.begin() + 3 * static_cast<i64>(i));
  return image;
}

}  // namespace

TEST_CASE("heat_map: cells have the colours of their values, rows from the top", "[io]") {
  const HeatMap map{.title = "t",
                    .x_label = "right",
                    .y_label = "down",
                    .rows = 2,
                    .columns = 3,
                    .values = {0, 1, 2, 3, 4, gap},
                    .colors = "inferno",
                    .value_label = "share"};
  const auto svg = heat_map(map);
  const ColorMap& c = color_map("inferno");
  CHECK(has_cells(svg, of(3, 2, {c(0), c(0.25), c(0.5), c(0.75), c(1), {128, 128, 128}})));
  for (const char* text : {"right", "down", "share", "0", "1", "2", "4"})
    CHECK(has(svg, ">" + std::string(text) + "</text>"));
  CHECK(count(svg, "<image ") == 2);  // cells and bar
  CHECK(unbalanced(svg).empty());
}

TEST_CASE("heat_map: a picture is enlarged by whole squares", "[io]") {
  const auto big = enlarged(of(2, 1, {{1, 2, 3}, {4, 5, 6}}), 2, 3);
  CHECK(big.width == 4);
  CHECK(big.height == 3);
  for (i64 y = 0; y < 3; ++y)
    CHECK(std::vector<int>(big.at(0, y), big.at(0, y) + 12) == std::vector<int>{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
}

TEST_CASE("heat_map: limits of the colours can be given", "[io]") {
  const ColorMap& c = color_map("viridis");
  HeatMap map{.title = "t", .rows = 1, .columns = 3, .values = {-5, 0.5, 9}, .low = 0, .high = 1};
  CHECK(has_cells(heat_map(map), of(3, 1, {c(0), c(0.5), c(1)})));
  map.high = std::nan("");
  CHECK(has_cells(heat_map(map), of(3, 1, {c(0), c(0.5 / 9), c(1)})));
  map.low = 20;  // above all values
  CHECK(has_cells(heat_map(map), of(3, 1, {c(0), c(0), c(0)})));
  map.low = 2, map.high = 1;
  CHECK_THROWS_WITH(heat_map(map), contains("colours from 2 to 1"));
}

TEST_CASE("heat_map: equal, infinite and missing values", "[io]") {
  const ColorMap& c = color_map("viridis");
  const auto svg = heat_map({.title = "t", .rows = 1, .columns = 2, .values = {7, 7}});
  CHECK(has_cells(svg, of(2, 1, {c(0), c(0)})));
  CHECK(has(svg, ">7</text>"));
  const auto ends = heat_map({.title = "t", .rows = 2, .columns = 2, .values = {-infinity, 0, 1, infinity}});
  CHECK(has_cells(ends, of(2, 2, {c(0), c(0), c(1), c(1)})));
  CHECK_FALSE(has(ends, "inf"));
  for (const auto& none : {HeatMap{.title = "t"}, HeatMap{.title = "t", .rows = 0, .columns = 5},
                           HeatMap{.title = "t", .rows = 1, .columns = 2, .values = {gap, infinity}}}) {
    CHECK(has(heat_map(none), "no data yet"));
    CHECK(unbalanced(heat_map(none)).empty());
  }
  const auto huge = heat_map({.title = "t", .rows = 1, .columns = 2, .values = {-3e38f, 3e38f}, .numbers = true});
  CHECK(has_cells(huge, of(2, 1, {c(0), c(1)})));
}

TEST_CASE("heat_map: numbers stand in cells that have room for them", "[io]") {
  HeatMap map{.title = "t", .rows = 2, .columns = 2, .values = {10, 90, gap, 55}, .numbers = true};
  const auto svg = heat_map(map);
  CHECK(count(svg, "style=\"fill:#fff\">10</text>") == 1);  // dark cell
  CHECK(count(svg, "style=\"fill:#000\">90</text>") == 1);  // bright cell
  CHECK(count(svg, "style=\"fill:") == 3);
  map.rows = 1, map.columns = 100;
  map.values.assign(100, 5);
  map.values[3] = 1;
  CHECK(count(heat_map(map), "style=\"fill:") == 0);
}

TEST_CASE("heat_map: names that are wider than cells stand upright, numbers are thinned", "[io]") {
  HeatMap map{.title = "t", .rows = 1, .columns = 12, .values = std::vector<float>(12, 1)};
  for (int i = 0; i < 12; ++i) map.column_names.push_back("category " + std::to_string(i));
  const auto svg = heat_map(map);
  CHECK(count(svg, "rotate(-90)") == 12);
  map.column_names.assign(12, "a");
  CHECK(count(heat_map(map), "rotate(-90)") == 0);
  const HeatMap wide{
      .title = "t", .rows = 1, .columns = 120, .values = std::vector<float>(120, 1), .row_names = {"row"}};
  const auto thinned = heat_map(wide);
  CHECK(has(thinned, ">110</text>"));
  CHECK_FALSE(has(thinned, ">115</text>"));
  CHECK(has(thinned, ">row</text>"));
}

TEST_CASE("heat_map: text is escaped, the file has both schemes and nothing from elsewhere", "[io]") {
  const auto svg = svg_file(HeatMap{.title = "<script>",
                                    .x_label = "a & b",
                                    .y_label = "<i>",
                                    .rows = 1,
                                    .columns = 1,
                                    .values = {1},
                                    .row_names = {"</text><script>"},
                                    .column_names = {"<script>"},
                                    .value_label = "<b>"});
  CHECK_FALSE(has(svg, "<script"));
  CHECK_FALSE(has(svg, "<i>"));
  CHECK_FALSE(has(svg, "<b>"));
  CHECK(unbalanced(svg).empty());
  CHECK(has(svg, "prefers-color-scheme:dark"));
  CHECK(count(svg, "href=\"") == count(svg, "href=\"data:image/png;base64,"));
  CHECK(count(svg, "://") == 1);  // the name space
}

TEST_CASE("heat_map: wrong sizes and unknown colours are refused", "[io]") {
  CHECK_THROWS_WITH(heat_map({.title = "t", .rows = 2, .columns = 2, .values = {1}}), contains("1 values for 2 x 2"));
  CHECK_THROWS_AS(heat_map({.title = "t", .rows = -1, .columns = -1, .values = {1}}), Error);
  CHECK_THROWS_WITH(heat_map({.title = "t", .rows = 1, .columns = 1, .values = {1}, .row_names = {"a", "b"}}),
                    contains("2 and 0 names"));
  CHECK_THROWS_AS(heat_map({.title = "t", .rows = 1, .columns = 5000, .values = std::vector<float>(5000)}), Error);
  CHECK_THROWS_WITH(heat_map({.title = "t", .rows = 1, .columns = 1, .values = {1}, .colors = "jet"}),
                    contains("'jet'"));
}
