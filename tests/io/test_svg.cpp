#include <dino/io/svg.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;

namespace {

constexpr double gap = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("svg: a chart has axes, a line, a level and a legend", "[io]") {
  const LineChart chart{
      .title = "Loss",
      .x_label = "epoch",
      .y_label = "loss, nats",
      .series = {{.name = "loss", .x = {0, 1, 2}, .y = {9, 8, 7}}, {.name = "kl", .x = {0, 2}, .y = {1, 2}}},
      .levels = {{11.09, "ln K = 11.09"}}};
  const std::string svg = line_chart(chart);
  CHECK(unbalanced(svg).empty());
  CHECK(svg.starts_with("<svg class=\"chart\" viewBox=\"0 0 500.0 300.0\""));
  CHECK(has(svg, "<title>Loss</title>"));
  CHECK(has(svg, ">loss, nats</text>"));
  CHECK(has(svg, ">epoch</text>"));
  CHECK(has(svg, ">ln K = 11.09</text>"));
  CHECK(has(svg, "class=\"level\""));
  CHECK(count(svg, " line\" d=\"M") == 2);
  CHECK(count(svg, ">kl</text>") == 1);
  CHECK(has(svg, ">10</text>"));
}

TEST_CASE("svg: a line has a gap where a value is missing, and a lone point is a dot", "[io]") {
  const LineChart chart{.title = "t",
                        .x_label = "x",
                        .y_label = "y",
                        .series = {{.name = "a", .x = {0, 1, 2, 3, 4, 5, 6}, .y = {1, 2, gap, 3, 1.0 / 0.0, 4, 5}}}};
  const std::string svg = line_chart(chart);
  const auto at = svg.find("d=\"M");
  REQUIRE(at != std::string::npos);
  const std::string path = svg.substr(at, svg.find("\"/>", at) - at);
  CHECK(count(path, "M") == 3);
  CHECK(count(path, "L") == 2);
  CHECK(count(svg, "<circle") == 1);
  CHECK_FALSE(has(svg, "nan"));
  CHECK_FALSE(has(svg, "inf"));
}

TEST_CASE("svg: text is escaped", "[io]") {
  const LineChart chart{.title = "</title><script>alert(1)</script>",
                        .x_label = "a & b",
                        .y_label = "\"y\" < 'z'",
                        .series = {{.name = "<b>", .x = {0, 1}, .y = {0, 1}}},
                        .levels = {{0.5, "<i>\x01"}}};
  const std::string svg = svg_file(chart);
  CHECK_FALSE(has(svg, "<script"));
  CHECK_FALSE(has(svg, "<b>"));
  CHECK_FALSE(has(svg, "<i>"));
  CHECK(has(svg, "&lt;b&gt;"));
  CHECK(has(svg, "&quot;y&quot; &lt; &#39;z&#39;"));
  CHECK(unbalanced(svg).empty());
}

TEST_CASE("svg: without a finite point the chart says so", "[io]") {
  for (const auto& y : {std::vector<double>{}, std::vector<double>{gap, gap}}) {
    const LineChart chart{.title = "t",
                          .x_label = "x",
                          .y_label = "y",
                          .series = {{.name = "a", .x = std::vector<double>(y.size(), 1), .y = y}},
                          .levels = {{1, "l"}}};
    const std::string svg = line_chart(chart);
    CHECK(has(svg, "no data yet"));
    CHECK(unbalanced(svg).empty());
  }
  const LineChart negative{
      .title = "t", .x_label = "x", .y_label = "y", .series = {{.name = "a", .x = {1}, .y = {-1}}}, .log_y = true};
  CHECK(has(line_chart(negative), "no data yet"));
}

TEST_CASE("svg: one point, equal values and huge values stay inside the picture", "[io]") {
  const std::vector<std::vector<double>> ys{{3, 3},           {0, 0},   {1e300, -1e300},
                                            {1e-300, 2e-300}, {-5, -5}, {1e9, 1e9 + 1}};
  for (const auto& y : ys) {
    const LineChart chart{.title = "t", .x_label = "x", .y_label = "y", .series = {{.name = "a", .x = {0, 1}, .y = y}}};
    const std::string svg = line_chart(chart);
    CHECK(unbalanced(svg).empty());
    CHECK_FALSE(has(svg, "nan"));
    CHECK_FALSE(has(svg, "inf"));
  }
  const LineChart single{.title = "t", .x_label = "x", .y_label = "y", .series = {{.name = "a", .x = {4}, .y = {7}}}};
  CHECK(count(line_chart(single), "<circle") == 1);
}

TEST_CASE("svg: a logarithmic axis has powers of ten and gaps at zero", "[io]") {
  const LineChart chart{.title = "t",
                        .x_label = "x",
                        .y_label = "y",
                        .series = {{.name = "a", .x = {0, 1, 2, 3}, .y = {1e-6, 1e-3, 0, 1}}},
                        .log_y = true};
  const std::string svg = line_chart(chart);
  CHECK(has(svg, ">1e-6</text>"));
  CHECK(has(svg, ">0.01</text>"));
  CHECK(has(svg, ">1</text>"));
  CHECK(count(svg, "<circle") == 1);
}

TEST_CASE("svg: a band is one closed path", "[io]") {
  const LineChart chart{
      .title = "t",
      .x_label = "x",
      .y_label = "y",
      .series = {{.name = "a", .x = {0, 1, 2}, .y = {1, 2, 3}, .low = {0, 1, 2}, .high = {2, 3, 1e9}}}};
  const std::string svg = line_chart(chart);
  CHECK(count(svg, " band\" d=\"M") == 1);
  CHECK(has(svg, "Z\"/>"));
  CHECK(has(svg, ">3.0</text>"));  // the spike of the band did not stretch the axis
}

TEST_CASE("svg: many series get colours and dashes of their own", "[io]") {
  LineChart chart{.title = "t", .x_label = "x", .y_label = "y"};
  for (int i = 0; i < 13; ++i)
    chart.series.push_back({.name = "series " + std::to_string(i), .x = {0, 1}, .y = {0, 1.0 * i}});
  const std::string svg = line_chart(chart);
  CHECK(has(svg, "class=\"s0 line dash1\""));
  CHECK(has(svg, "class=\"s0 line dash2\""));
  CHECK(count(svg, ">series ") == 13);
  CHECK(unbalanced(svg).empty());
}

TEST_CASE("svg: a file has its style, both schemes and nothing from elsewhere", "[io]") {
  const std::string svg =
      svg_file({.title = "t", .x_label = "x", .y_label = "y", .series = {{.name = "a", .x = {0, 1}, .y = {0, 1}}}});
  CHECK(has(svg, "prefers-color-scheme:dark"));
  CHECK(has(svg, "class=\"paper\""));
  CHECK_FALSE(has(svg, "href"));
  CHECK_FALSE(has(svg, "url("));
  CHECK(count(svg, "://") == 1);  // the name space
}

TEST_CASE("svg: ticks stand at rounded numbers", "[io]") {
  CHECK(nice_ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  const auto ticks = nice_ticks(-0.31, 0.52, 5);
  REQUIRE(ticks.size() == 4);
  CHECK(ticks[0] == Approx(-0.2));
  CHECK(tick_label(ticks[1], 0.2) == "0");
  CHECK(ticks[3] == Approx(0.4));
  CHECK(nice_ticks(1, 1, 5).empty());
  CHECK(nice_ticks(gap, 1, 5).empty());
  CHECK(nice_ticks(1e300, 1e300 * (1 + 1e-15), 5).size() < 100);
  CHECK(log_ticks(1, 100) == std::vector<double>{1, 2, 5, 10, 20, 50, 100});
  CHECK(log_ticks(0, 1).empty());
}

TEST_CASE("svg: tick labels are short", "[io]") {
  CHECK(tick_label(1200, 200) == "1,200");
  CHECK(tick_label(0.25, 0.05) == "0.25");
  CHECK(tick_label(2e-5, 1e-5) == "2e-5");
  CHECK(tick_label(-1.5e9, 5e8) == "-1.5e9");
  CHECK(tick_label(0, 1e-9) == "0");
  CHECK(tick_label(0.0005, 0.0001) == "0.0005");
}
