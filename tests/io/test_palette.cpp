#include <dino/io/palette.hpp>
#include <dino/io/svg.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

#include <set>

using namespace dino;

TEST_CASE("palette: the first colours are those of the lines of a chart", "[io]") {
  const auto colors = class_colors(6);
  REQUIRE(colors.size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    INFO(hex_color(colors[i]));
    CHECK(has(chart_style(), ".s" + std::to_string(i) + "{stroke:" + hex_color(colors[i]) + ";"));
  }
  CHECK(hex_color({0, 0x0f, 0xa9}) == "#000fa9");
  CHECK(hex_color({255, 255, 255}) == "#ffffff");
}

TEST_CASE("palette: more classes keep the colours of fewer", "[io]") {
  const auto many = class_colors(100);
  for (const i64 n : {0, 1, 6, 7, 23}) {
    const auto few = class_colors(n);
    REQUIRE(static_cast<i64>(few.size()) == n);
    CHECK(std::equal(few.begin(), few.end(), many.begin()));
  }
  CHECK(class_colors(-3).empty());
  // Chosen by a program of its own in double precision, with the same rule.
  CHECK(hex_color(many[6]) == "#8855ff");
  CHECK(hex_color(many[7]) == "#ff66ee");
  CHECK(hex_color(many[9]) == "#ff7788");
}

TEST_CASE("palette: colours are distinct, and readable on white and on dark paper", "[io]") {
  const auto colors = class_colors(1000);
  CHECK(std::set<Colour>(colors.begin(), colors.end()).size() == 1000);
  const double dark = detail::luminance({0x17, 0x19, 0x1c});
  for (const Colour& colour : colors) {
    INFO(hex_color(colour));
    const double light = detail::luminance(colour);
    REQUIRE(1.05 / (light + 0.05) >= 2.4);
    REQUIRE((light + 0.05) / (dark + 0.05) >= 2.9);
  }
  const auto least = [&](size_t n) {  // of those that the rule chose
    double nearest = 1;
    for (size_t i = 6; i < n; ++i)
      for (size_t j = 0; j < i; ++j)
        nearest = std::min(nearest, detail::squared_distance(detail::oklab(colors[i]), detail::oklab(colors[j])));
    return std::sqrt(nearest);
  };
  CHECK(least(10) > 0.14);
  CHECK(least(20) > 0.11);
  CHECK(least(100) > 0.054);
}

TEST_CASE("palette: when the grid is used up, colours repeat from the first", "[io]") {
  const auto colors = class_colors(5000);
  REQUIRE(colors.size() == 5000);
  const size_t distinct = std::set<Colour>(colors.begin(), colors.end()).size();
  CHECK(distinct > 1000);
  CHECK(colors[distinct] == colors[0]);
  CHECK(colors[distinct + 1] == colors[1]);
}

TEST_CASE("palette: OKLab has white at 1 and grey without hue", "[io]") {
  const auto white = detail::oklab({255, 255, 255}), red = detail::oklab({255, 0, 0});
  CHECK(white[0] == Approx(1).epsilon(1e-6));
  CHECK(std::abs(white[1]) < 1e-6);
  CHECK(std::abs(white[2]) < 1e-6);
  CHECK(red[0] == Approx(0.62796).epsilon(1e-4));  // values that the source gives for sRGB red
  CHECK(red[1] == Approx(0.22486).epsilon(1e-3));
  CHECK(red[2] == Approx(0.12585).epsilon(1e-3));
}
