#include <dino/io/draw.hpp>

#include "support/catch.hpp"

#include <numeric>

using namespace dino;

namespace {

constexpr Colour black{0, 0, 0}, white{255, 255, 255}, red{255, 0, 0};

Image filled(i64 width, i64 height, Colour colour) {
  Image image(width, height);
  fill_rectangle(image, 0, 0, width, height, colour);
  return image;
}

/// How much of the picture is black, in pixels.
double ink(const Image& image) {
  double sum = 0;
  for (const u8 byte : image.pixels) sum += 255 - byte;
  return sum / (3 * 255);
}

int at(const Image& image, i64 x, i64 y) { return *image.at(x, y); }

}  // namespace

TEST_CASE("draw: a line as wide as a pixel along a row fills that row", "[io]") {
  auto image = filled(9, 3, white);
  draw_line(image, 1.5, 1.5, 7.5, 1.5, 1, black);
  for (i64 x = 1; x <= 7; ++x) CHECK(at(image, x, 1) == 0);
  CHECK(at(image, 0, 1) == 255);
  CHECK(at(image, 8, 1) == 255);
  for (i64 x = 0; x < 9; ++x) CHECK(at(image, x, 0) + at(image, x, 2) == 2 * 255);
}

TEST_CASE("draw: a line on the border of two rows darkens both by half", "[io]") {
  auto image = filled(9, 4, white);
  draw_line(image, -5, 2, 20, 2, 1, black);
  for (i64 x = 0; x < 9; ++x) {
    CHECK(at(image, x, 0) == 255);
    CHECK(at(image, x, 1) == 128);
    CHECK(at(image, x, 2) == 128);
    CHECK(at(image, x, 3) == 255);
  }
}

TEST_CASE("draw: the ink of a line is its length times its width, in any direction", "[io]") {
  for (const double angle : {0.0, 0.3, 0.785398, 1.2, 1.570796, 2.5, 4.0}) {
    for (const double width : {0.25, 1.0, 2.0, 5.0}) {
      auto image = filled(100, 100, white);
      const double dx = 40 * std::cos(angle), dy = 40 * std::sin(angle);
      draw_line(image, 50.3 - dx, 49.8 - dy, 50.3 + dx, 49.8 + dy, width, black);
      INFO("angle " << angle << ", width " << width);
      const double cap = std::min(width, 1.0) * 3.14159 / 4 * std::max(width, 1.0) * std::max(width, 1.0);
      // A thin profile is sampled at the centres of pixels only: up to 9 % off on a diagonal.
      CHECK(ink(image) == Approx(80 * width + cap).epsilon(width > 1 ? 0.02 : 0.1));
    }
  }
}

TEST_CASE("draw: a line looks the same from both ends, and mirrored", "[io]") {
  auto there = filled(30, 20, white), back = there, mirrored = there;
  draw_line(there, 3, 2, 25, 14.5, 2.5, black, 0.7);
  draw_line(back, 25, 14.5, 3, 2, 2.5, black, 0.7);
  draw_line(mirrored, 27, 2, 5, 14.5, 2.5, black, 0.7);
  for (i64 y = 0; y < 20; ++y) {
    for (i64 x = 0; x < 30; ++x) {
      REQUIRE(std::abs(at(there, x, y) - at(back, x, y)) <= 1);  // rounding
      REQUIRE(std::abs(at(there, x, y) - at(mirrored, 29 - x, y)) <= 1);
    }
  }
}

TEST_CASE("draw: a circle has its area, its place and soft edges", "[io]") {
  for (const double radius : {1.0, 2.5, 7.0}) {
    auto image = filled(21, 21, white);
    fill_circle(image, 10.5, 10.5, radius, black);
    INFO(radius);
    CHECK(ink(image) == Approx(3.14159 * radius * radius).epsilon(0.1));
    CHECK(at(image, 10, 10) == 0);
    CHECK(at(image, 0, 10) == 255);
    for (i64 y = 0; y < 21; ++y)
      for (i64 x = 0; x < 21; ++x) REQUIRE(at(image, x, y) == at(image, 20 - y, x));
  }
  auto half = filled(3, 3, white);
  fill_circle(half, 1.5, 1.5, 5, red, 0.5);
  CHECK(int(half.at(1, 1)[0]) == 255);
  CHECK(int(half.at(1, 1)[1]) == 128);
}

TEST_CASE("draw: what lies outside is left out, also very far outside", "[io]") {
  auto image = filled(8, 8, white);
  const auto before = image;
  draw_line(image, -1e300, 4.5, -1e299, 4.5, 3, black);
  fill_circle(image, 1e18, -1e18, 5, black);
  fill_circle(image, -3, 4, 2, black);
  fill_rectangle(image, 8, 0, 5, 5, black, 1.0);
  fill_rectangle(image, 0, 0, 0, 5, black, 1.0);
  paste(image, filled(2, 2, black), -2, 0);
  paste(image, filled(2, 2, black), 8, 8);
  CHECK(image == before);
  draw_line(image, -1e9, 4.5, 1e9, 4.5, 1, black);
  for (i64 x = 0; x < 8; ++x) CHECK(at(image, x, 4) == 0);
  Image none;
  draw_line(none, 0, 0, 1, 1, 1, black);
  fill_circle(none, 0, 0, 1, black);
}

TEST_CASE("draw: bad numbers are refused", "[io]") {
  auto image = filled(2, 2, white);
  const double gap = std::nan("");
  CHECK_THROWS_WITH(draw_line(image, gap, 0, 1, 1, 1, black), contains("draw_line: (nan,0) to (1,1), width 1"));
  CHECK_THROWS_AS(draw_line(image, 0, 0, 1, 1, -1, black), Error);
  CHECK_THROWS_WITH(draw_line(image, 0, 0, 1, 1, 1, black, 1.5), contains("alpha is 1.5"));
  CHECK_THROWS_AS(fill_circle(image, 0, 0, 1, black, gap), Error);
  CHECK_THROWS_AS(fill_rectangle(image, 0, 0, 1, 1, black, -0.1), Error);
  CHECK_THROWS_AS(blend(image, image, 0, 0, 2), Error);
  CHECK_THROWS_WITH(blend(image, filled(2, 1, black), std::vector<float>(2)), contains("2 x 1 over 2 x 2 with 2"));
  CHECK_THROWS_AS(blend(image, filled(2, 2, black), std::vector<float>(3)), Error);
}

TEST_CASE("draw: a frame lies inside its rectangle", "[io]") {
  auto image = filled(7, 6, white);
  draw_frame(image, 1, 1, 5, 4, 1, black);
  CHECK(ink(image) == 2 * 5 + 2 * 2);
  CHECK(at(image, 1, 1) + at(image, 5, 1) + at(image, 1, 4) + at(image, 5, 4) == 0);
  CHECK(at(image, 2, 2) == 255);
  auto thick = filled(7, 6, white);
  draw_frame(thick, 1, 1, 5, 4, 9, black);
  CHECK(ink(thick) == 5 * 4);
}

TEST_CASE("draw: blending mixes, pasting copies, shares are taken pixel by pixel", "[io]") {
  auto image = filled(3, 2, {100, 200, 0});
  blend(image, filled(2, 2, {200, 100, 255}), 2, -1, 0.25);
  CHECK(std::vector<int>(image.at(2, 0), image.at(2, 0) + 3) == std::vector<int>{125, 175, 64});
  CHECK(std::vector<int>(image.at(1, 0), image.at(1, 0) + 3) == std::vector<int>{100, 200, 0});
  CHECK(std::vector<int>(image.at(2, 1), image.at(2, 1) + 3) == std::vector<int>{100, 200, 0});

  Image over(2, 2);
  std::iota(over.pixels.begin(), over.pixels.end(), u8{1});
  paste(image, over, 0, 0);
  CHECK(std::equal(over.at(0, 1), over.at(0, 1) + 6, image.at(0, 1)));

  auto below = filled(5, 1, black);
  blend(below, filled(5, 1, white), std::vector{0.0f, 0.5f, 1.0f, 7.0f, std::nanf("")});
  std::vector<int> row;
  for (i64 x = 0; x < 5; ++x) row.push_back(at(below, x, 0));
  CHECK(row == std::vector<int>{0, 128, 255, 255, 0});
}

TEST_CASE("draw: a label has a ground one pixel wider than its letters", "[io]") {
  auto image = filled(20, 12, red);
  draw_label(image, 2, 1, "HI", black, white);
  CHECK(std::vector<int>(image.at(1, 1), image.at(1, 1) + 3) == std::vector<int>{255, 0, 0});
  CHECK(std::vector<int>(image.at(2, 1), image.at(2, 1) + 3) == std::vector<int>{255, 255, 255});
  CHECK(at(image, 3, 2) == 0);  // the left stroke of H
  CHECK(std::vector<int>(image.at(14, 9), image.at(14, 9) + 3) == std::vector<int>{255, 255, 255});
  CHECK(std::vector<int>(image.at(15, 9), image.at(15, 9) + 3) == std::vector<int>{255, 0, 0});
  CHECK(std::vector<int>(image.at(14, 10), image.at(14, 10) + 3) == std::vector<int>{255, 0, 0});
}
