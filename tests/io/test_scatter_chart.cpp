#include <dino/io/scatter_chart.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

#include <random>

using namespace dino;

namespace {

constexpr double gap = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

/// The points of the picture in their order, as they are drawn.
std::vector<std::pair<double, double>> points(const std::string& svg) {
  std::vector<std::pair<double, double>> out;
  for (size_t path = svg.find("stroke-linecap=\"round\""); path != svg.npos; path = svg.find("<path", path + 1)) {
    const size_t end = svg.find("/>", path);
    for (size_t at = svg.find("M", path); at < end; at = svg.find("M", at + 1)) {
      char* next = nullptr;
      const double x = std::strtod(svg.c_str() + at + 1, &next);
      out.push_back({x, std::strtod(next, nullptr)});
    }
  }
  return out;
}

}  // namespace

TEST_CASE("scatter_chart: a small chart, byte for byte", "[io]") {
  const auto svg =
      scatter_chart({.title = "t", .x = {0, 1}, .y = {0, 2}, .classes = {1, 0}, .ticks = false, .size = 4});
  CHECK(svg ==
        "<svg class=\"chart\" viewBox=\"0 0 500.0 310.4\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n"
        "<title>t</title>"
        "<rect x=\"8.0\" y=\"12.0\" width=\"484.0\" height=\"290.4\" fill=\"none\" class=\"grid\"/>\n"
        "<path fill=\"none\" stroke=\"#d55e00\" stroke-width=\"4.0\" stroke-linecap=\"round\" stroke-opacity=\".9\" "
        "d=\"M25.9 291.6h0\"/>\n"
        "<path fill=\"none\" stroke=\"#0072b2\" stroke-width=\"4.0\" stroke-linecap=\"round\" stroke-opacity=\".9\" "
        "d=\"M474.1 22.8h0\"/>\n"
        "</svg>\n");
}

TEST_CASE("scatter_chart: classes have a path, a colour and a name each", "[io]") {
  const ScatterChart chart{.title = "PCA",
                           .x_label = "first",
                           .y_label = "second",
                           .x = {0, 1, 2, 3},
                           .y = {0, 1, 0, 1},
                           .classes = {0, 2, 2, -7},
                           .names = {"cat", "dog", "frog"}};
  const auto svg = scatter_chart(chart);
  CHECK(unbalanced(svg).empty());
  CHECK(count(svg, "<path") == 3);  // two classes and none
  CHECK(count(svg, "stroke=\"#888888\"") == 1);
  CHECK(svg.find("#888888") < svg.find("stroke=\"#0072b2\""));  // behind
  CHECK(count(svg, "<circle") == 3);
  for (const char* name : {"cat", "dog", "frog", "first", "second"})
    CHECK(has(svg, ">" + std::string(name) + "</text>"));
  CHECK(points(svg).size() == 4);
}

TEST_CASE("scatter_chart: points lie inside the axes, in their order", "[io]") {
  const ScatterChart chart{.title = "t", .x_label = "x", .y_label = "y", .x = {0, 5, 10}, .y = {-1, 0, 1}};
  const auto at = points(scatter_chart(chart));
  REQUIRE(at.size() == 3);
  CHECK(at[0].first < at[1].first);
  CHECK(at[2].second < at[1].second);  // upwards
  CHECK(at[1].first - at[0].first == Approx(at[2].first - at[1].first).margin(0.11));
  CHECK(at[0].first > 30);
  CHECK(at[2].first < 486);
}

TEST_CASE("scatter_chart: with equal aspect a unit is the same in both directions", "[io]") {
  for (const double height : {0.01, 0.7, 1.0, 1.1, 500.0}) {
    for (const bool ticks : {false, true}) {
      const ScatterChart chart{.title = "t",
                               .x = {0, 1, 0.5, 0.5},
                               .y = {0, 0, -height / 2, height / 2},
                               .equal_aspect = true,
                               .ticks = ticks};
      const auto at = points(scatter_chart(chart));
      REQUIRE(at.size() == 4);
      INFO("height " << height);
      CHECK((at[2].second - at[3].second) ==
            Approx(height * (at[1].first - at[0].first)).epsilon(0.01).margin(0.2 + 0.1 * height));
      for (const auto& [x, y] : at) {
        CHECK(x >= 8);
        CHECK(x <= 492);
        CHECK(y >= 8);
        CHECK(y <= 650);
      }
    }
  }
}

TEST_CASE("scatter_chart: what is not finite is left out, nothing at all says so", "[io]") {
  const ScatterChart some{.title = "t", .x = {0, gap, 2, infinity, 1e301}, .y = {0, 1, -infinity, 0, 0}};
  CHECK(points(scatter_chart(some)).size() == 1);
  for (const auto& x : {std::vector<double>{}, std::vector<double>{gap, infinity}}) {
    const ScatterChart none{.title = "t", .x_label = "x", .x = x, .y = x, .names = {"a"}};
    const auto svg = scatter_chart(none);
    CHECK(has(svg, "no data yet"));
    CHECK(unbalanced(svg).empty());
    CHECK_FALSE(has(svg, "nan"));
  }
  for (const double huge : {1e300, 1e-300, 0.0}) {
    const ScatterChart wide{.title = "t", .x = {-huge, huge}, .y = {huge, -huge}, .equal_aspect = true};
    const auto svg = scatter_chart(wide);
    CHECK(points(svg).size() == 2);
    CHECK_FALSE(has(svg, "nan"));
    CHECK_FALSE(has(svg, "inf"));
  }
}

TEST_CASE("scatter_chart: text is escaped", "[io]") {
  const auto svg = svg_file(ScatterChart{.title = "</title><script>",
                                         .x_label = "a & b",
                                         .y_label = "<i>",
                                         .x = {1},
                                         .y = {1},
                                         .names = {"<script>alert(1)</script>"}});
  CHECK_FALSE(has(svg, "<script"));
  CHECK_FALSE(has(svg, "<i>"));
  CHECK(has(svg, "a &amp; b"));
  CHECK(unbalanced(svg).empty());
}

TEST_CASE("scatter_chart: 10,000 points of ten classes take less than 160 KB", "[io]") {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  ScatterChart chart{.title = "t-SNE", .equal_aspect = true, .ticks = false};
  for (int i = 0; i < 10000; ++i) {
    chart.x.push_back(normal(random));
    chart.y.push_back(normal(random));
    chart.classes.push_back(i % 10);
  }
  const auto svg = svg_file(chart);
  CHECK(svg.size() < 160000);
  CHECK(points(svg).size() == 10000);
  CHECK(count(svg, "<path") == 10);
}

TEST_CASE("scatter_chart: many names make the chart longer, the first hundred are shown", "[io]") {
  ScatterChart chart{.title = "t", .x = {0, 1}, .y = {0, 1}, .classes = {0, 999}};
  for (int i = 0; i < 1000; ++i) chart.names.push_back("class " + std::to_string(i));
  const auto svg = scatter_chart(chart);
  CHECK(count(svg, ">class ") == 100);
  CHECK(unbalanced(svg).empty());
  const auto at = points(svg);
  REQUIRE(at.size() == 2);
  for (const auto& [x, y] : at) CHECK(y > 22 + 24 * 18);  // below the names
  const auto few = points(scatter_chart({.title = "t", .x = {0, 1}, .y = {0, 1}, .classes = {0, 999}}));
  CHECK(at[0].second - at[1].second == Approx(few[0].second - few[1].second).margin(0.2));  // the plot is as high
}

TEST_CASE("scatter_chart: a file has its style, both schemes and nothing from elsewhere", "[io]") {
  const auto svg = svg_file(ScatterChart{.title = "t", .x = {1}, .y = {1}});
  CHECK(has(svg, "prefers-color-scheme:dark"));
  CHECK(has(svg, "class=\"paper\""));
  CHECK_FALSE(has(svg, "href"));
  CHECK(count(svg, "://") == 1);  // the name space
}

TEST_CASE("scatter_chart: lists of different lengths and wild classes are refused", "[io]") {
  CHECK_THROWS_WITH(scatter_chart({.title = "t", .x = {1, 2}, .y = {1}}), contains("2 x, 1 y"));
  CHECK_THROWS_AS(scatter_chart({.title = "t", .x = {1}, .y = {1}, .classes = {1, 2}}), Error);
  CHECK_THROWS_WITH(scatter_chart({.title = "t", .x = {1}, .y = {1}, .classes = {1000000}}), contains("class 1000000"));
}
