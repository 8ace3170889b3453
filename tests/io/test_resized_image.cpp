#include <dino/io/resized_image.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("resized_image: pixels become rectangles", "[io]") {
  Image image(2, 1);
  image.pixels = {1, 2, 3, 4, 5, 6};
  const auto out = enlarged(image, 3, 2);
  REQUIRE(out.width == 6);
  REQUIRE(out.height == 2);
  for (i64 y = 0; y < 2; ++y)
    for (i64 x = 0; x < 6; ++x) CHECK(out.at(x, y)[1] == (x < 3 ? 2 : 5));
  CHECK(enlarged(image, 1, 1) == image);
  CHECK(enlarged(Image(), 3, 3).pixels.empty());
}

TEST_CASE("resized_image: the whole picture is kept, whatever the shape", "[io]") {
  Image image(8, 4);  // dark on the left, bright on the right
  for (i64 y = 0; y < 4; ++y)
    for (i64 x = 0; x < 8; ++x) std::fill_n(image.at(x, y), 3, x < 4 ? u8{20} : u8{220});
  CHECK(resized(image, 8, 4) == image);
  const auto out = resized(image, 30, 50);
  REQUIRE(out.width == 30);
  REQUIRE(out.height == 50);
  for (i64 y = 0; y < 50; ++y) {
    CHECK(out.at(0, y)[0] == 20);
    CHECK(out.at(29, y)[2] == 220);
  }
  CHECK(resized(image, 1, 1).at(0, 0)[0] == 120);
  CHECK_THROWS_AS(resized(Image(), 3, 3), Error);
  CHECK_THROWS_AS(resized(image, 0, 3), Error);
}
