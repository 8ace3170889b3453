#include <dino/io/bar_chart.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;

namespace {

constexpr double gap = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

struct Bar {
  double left, top, width;
};

std::vector<Bar> bars(const std::string& svg) {
  std::vector<Bar> out;
  for (size_t at = svg.find("<rect x=\""); at != svg.npos; at = svg.find("<rect x=\"", at + 1)) {
    const auto number = [&](const char* name) {
      return std::strtod(svg.c_str() + svg.find(name, at) + std::string(name).size(), nullptr);
    };
    out.push_back({number(" x=\""), number(" y=\""), number(" width=\"")});
  }
  return out;
}

}  // namespace

TEST_CASE("bar_chart: bars are as long as their values, from the top", "[io]") {
  const auto svg =
      bar_chart({.title = "t", .value_label = "top-1, %", .names = {"a", "b", "c"}, .values = {50, 100, 25}});
  const auto drawn = bars(svg);
  REQUIRE(drawn.size() == 3);
  CHECK(drawn[1].width == Approx(2 * drawn[0].width).margin(0.2));
  CHECK(drawn[0].width == Approx(2 * drawn[2].width).margin(0.2));
  CHECK(drawn[0].left == drawn[1].left);
  CHECK(drawn[0].top < drawn[1].top);
  CHECK(drawn[1].top < drawn[2].top);
  CHECK(drawn[1].left + drawn[1].width < 500);
  CHECK(has(svg, ">top-1, %</text>"));
  CHECK(has(svg, ">b</text>"));
  CHECK(has(svg, ">100.0</text>"));
  CHECK(unbalanced(svg).empty());
}

TEST_CASE("bar_chart: values below zero go to the left of it", "[io]") {
  const auto drawn = bars(bar_chart({.title = "t", .value_label = "v", .names = {"a", "b"}, .values = {-2, 4}}));
  REQUIRE(drawn.size() == 2);
  CHECK(drawn[0].left + drawn[0].width == Approx(drawn[1].left).margin(0.2));
  CHECK(drawn[1].width == Approx(2 * drawn[0].width).margin(0.2));
}

TEST_CASE("bar_chart: an error is a whisker of three lines", "[io]") {
  const BarChart chart{.title = "t",
                       .value_label = "v",
                       .names = {"a", "b", "c", "d"},
                       .values = {10, 10, 10, 10},
                       .errors = {2, 0, gap, infinity}};
  const auto svg = bar_chart(chart);
  CHECK(count(svg, "class=\"whisker\"") == 3);
  CHECK(bars(svg).size() == 4);
  const size_t at = svg.find("class=\"whisker\"");
  const size_t line = svg.rfind("<line x1=\"", at);
  const double low = std::strtod(svg.c_str() + line + 10, nullptr);
  const double high = std::strtod(svg.c_str() + svg.find("x2=\"", line) + 4, nullptr);
  const auto bar = bars(svg)[0];
  CHECK((low + high) / 2 == Approx(bar.left + bar.width).margin(0.2));
  CHECK(high - low == Approx(bar.width * 0.4).margin(0.2));
  CHECK(high < 500);
}

TEST_CASE("bar_chart: what is not finite has a name without a bar, nothing at all says so", "[io]") {
  const auto svg =
      bar_chart({.title = "t", .value_label = "v", .names = {"a", "b", "c"}, .values = {gap, 1, -infinity}});
  CHECK(bars(svg).size() == 1);
  CHECK(count(svg, ">\xe2\x80\x93</text>") == 2);
  CHECK_FALSE(has(svg, "nan"));
  CHECK_FALSE(has(svg, "inf"));
  CHECK(has(bar_chart({.title = "t", .value_label = "v"}), "no data yet"));
  CHECK(has(bar_chart({.title = "t", .value_label = "v", .names = {"a"}, .values = {gap}}), "no data yet"));
  const auto zeros = bar_chart({.title = "t", .value_label = "v", .names = {"a", "b"}, .values = {0, 0}});
  REQUIRE(bars(zeros).size() == 2);
  CHECK(bars(zeros)[0].width == 0);
  for (const double value : {1e300, -1e300, 1e-300}) {
    const auto extreme = bar_chart({.title = "t", .value_label = "v", .names = {"a"}, .values = {value}});
    CHECK(bars(extreme).size() == 1);
    CHECK_FALSE(has(extreme, "nan"));
    CHECK_FALSE(has(extreme, "inf"));
  }
}

TEST_CASE("bar_chart: text is escaped, long names are cut", "[io]") {
  const auto svg = svg_file(BarChart{.title = "<script>",
                                     .value_label = "\"a\" & b",
                                     .names = {"</text><script>", std::string(30, 'n')},
                                     .values = {1, 2}});
  CHECK_FALSE(has(svg, "<script"));
  CHECK(has(svg, "&quot;a&quot; &amp; b"));
  CHECK(has(svg, ">" + std::string(23, 'n') + "\xe2\x80\xa6</text>"));
  CHECK(unbalanced(svg).empty());
  CHECK_FALSE(has(svg, "href"));
  CHECK(count(svg, "://") == 1);  // the name space
  CHECK(has(svg, "prefers-color-scheme:dark"));
}

TEST_CASE("bar_chart: the step says how values are rounded", "[io]") {
  const auto label = [](double step) {
    return bar_chart({.title = "t", .value_label = "v", .names = {"a"}, .values = {12.3456}, .step = step});
  };
  CHECK(has(label(1), ">12</text>"));
  CHECK(has(label(0.01), ">12.35</text>"));
}

TEST_CASE("bar_chart: a hundred bars make the chart longer", "[io]") {
  BarChart chart{.title = "t", .value_label = "v"};
  for (int i = 0; i < 100; ++i) {
    chart.names.push_back("class " + std::to_string(i));
    chart.values.push_back(i);
  }
  const auto svg = bar_chart(chart);
  CHECK(bars(svg).size() == 100);
  CHECK(has(svg, "viewBox=\"0 0 500.0 2458.0\""));
}

TEST_CASE("bar_chart: lists of different lengths are refused", "[io]") {
  CHECK_THROWS_WITH(bar_chart({.title = "t", .value_label = "v", .names = {"a"}, .values = {}}),
                    contains("1 names, 0 values"));
  CHECK_THROWS_AS(bar_chart({.title = "t", .value_label = "v", .names = {"a"}, .values = {1}, .errors = {1, 2}}),
                  Error);
}
