#include <dino/io/contact_sheet.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

Image filled(i64 width, i64 height, u8 value) {
  Image image(width, height);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

}  // namespace

TEST_CASE("contact_sheet: pictures stand in rows with white gaps around", "[io]") {
  const auto sheet = contact_sheet({filled(3, 2, 10), filled(3, 2, 20), filled(3, 2, 30)}, 2, 1);
  CHECK(sheet.width == 1 + 2 * 4);
  CHECK(sheet.height == 1 + 2 * 3);
  CHECK(int(*sheet.at(0, 0)) == 255);
  CHECK(int(*sheet.at(1, 1)) == 10);
  CHECK(int(*sheet.at(3, 2)) == 10);
  CHECK(int(*sheet.at(4, 1)) == 255);
  CHECK(int(*sheet.at(5, 1)) == 20);
  CHECK(int(*sheet.at(1, 4)) == 30);
  CHECK(int(*sheet.at(5, 4)) == 255);  // the last row is not full
}

TEST_CASE("contact_sheet: cells are as large as the largest picture", "[io]") {
  const auto sheet = contact_sheet({filled(1, 5, 1), filled(4, 1, 2)}, 2, 0);
  CHECK(sheet.width == 8);
  CHECK(sheet.height == 5);
  CHECK(int(*sheet.at(0, 4)) == 1);
  CHECK(int(*sheet.at(1, 0)) == 255);
  CHECK(int(*sheet.at(7, 0)) == 2);
  CHECK(int(*sheet.at(7, 1)) == 255);
}

TEST_CASE("contact_sheet: fewer pictures than columns leave the cells white", "[io]") {
  const auto sheet = contact_sheet({filled(2, 2, 7)}, 3, 0);
  CHECK(sheet.width == 6);
  CHECK(sheet.height == 2);
  CHECK(int(*sheet.at(2, 0)) == 255);
}

TEST_CASE("contact_sheet: no pictures and no columns are refused", "[io]") {
  CHECK_THROWS_WITH(contact_sheet({}, 3), contains("0 pictures"));
  CHECK_THROWS_WITH(contact_sheet({filled(1, 1, 0)}, 0), contains("0 columns"));
}
