#include <dino/eval/bad_images.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("bad_images: ten are allowed, then a fraction of the set", "[eval]") {
  BadImages few(24, 0.001);
  CHECK(few.allowed() == 10);
  for (int i = 0; i < 10; ++i) few.add("a.png: no picture");
  CHECK(few.count() == 10);
  CHECK_THROWS_WITH(
      few.add("b.png: no picture"),
      "11 of 24 images cannot be used, 10 are allowed. The last one: b.png: no picture. Repair the data, or "
      "raise max_bad_fraction (now 0.001)");
  CHECK(BadImages(1281167, 0.001).allowed() == 1281);
  CHECK(BadImages(100, 1).allowed() == 100);
  CHECK(BadImages(100, 0).allowed() == 10);
}
