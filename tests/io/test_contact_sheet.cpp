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

namespace {

/// Whether anything in the rectangle differs from white.
bool marked(const Image& image, i64 x, i64 y, i64 width, i64 height) {
  for (i64 row = y; row < y + height; ++row)
    for (i64 col = x; col < x + width; ++col)
      if (*image.at(col, row) != 255) return true;
  return false;
}

}  // namespace

TEST_CASE("contact_sheet: titles and captions stand at their pictures", "[io]") {
  const SheetText text{.columns = {"ab", "cd"}, .rows = {"r1", "r2"}, .captions = {"1", "", "3"}};
  const auto sheet = contact_sheet({filled(20, 16, 1), filled(30, 10, 2), filled(20, 12, 3)}, 2, text, 4);
  const i64 line = 7 + 2;
  REQUIRE(sheet.width == 4 + line + 20 + 4 + 30 + 4);
  REQUIRE(sheet.height == 4 + line + (16 + line + 4) + (12 + line + 4));
  const i64 x0 = 4 + line, x1 = x0 + 24, y0 = 4 + line, y1 = y0 + 16 + line + 4;
  CHECK(int(*sheet.at(x0, y0)) == 1);
  CHECK(int(*sheet.at(x1 + 29, y0 + 9)) == 2);
  CHECK(int(*sheet.at(x1, y0 + 10)) == 255);  // the second picture is lower than its row
  CHECK(int(*sheet.at(x0 + 19, y1 + 11)) == 3);
  CHECK(marked(sheet, x0, 4, 20, 7));
  CHECK(marked(sheet, x1, 4, 30, 7));
  CHECK(marked(sheet, 4, y0, 7, 16));
  CHECK(marked(sheet, 4, y1, 7, 12));
  CHECK(marked(sheet, x0, y0 + 16 + 2, 20, 7));
  CHECK_FALSE(marked(sheet, x1, y0 + 16, 30, line));
  CHECK(marked(sheet, x0, y1 + 12 + 2, 20, 7));
  CHECK_FALSE(marked(sheet, x0, y0 + 16, 20, 2));    // between picture and caption
  CHECK_FALSE(marked(sheet, 0, 0, sheet.width, 4));  // the margin
  CHECK_FALSE(marked(sheet, 0, 0, 4, sheet.height));
}

TEST_CASE("contact_sheet: without words only the gap and the cells differ from the plain sheet", "[io]") {
  const std::vector<Image> pictures{filled(3, 2, 10), filled(3, 2, 20), filled(3, 2, 30)};
  CHECK(contact_sheet(pictures, 2, SheetText{}, 3) == contact_sheet(pictures, 2, 3));
}

TEST_CASE("contact_sheet: words that do not fit are cut, whole characters at a time", "[io]") {
  CHECK(detail::fitted("abcdef", 35, 1) == "abcdef");
  CHECK(detail::fitted("abcdef", 34, 1) == "abc..");
  CHECK(detail::fitted("abcdef", 70, 2) == "abcdef");
  CHECK(detail::fitted("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 17, 1) == "\xc3\xa9..");
  CHECK(detail::fitted("abcdef", 11, 1).empty());
  CHECK(detail::fitted("", 0, 1).empty());
  const SheetText text{.columns = {"a title far too long"}, .rows = {"and so is this"}, .captions = {"and this one"}};
  const auto sheet = contact_sheet({filled(24, 24, 9)}, 1, text, 4);
  CHECK(sheet.width == 4 + 9 + 24 + 4);
  CHECK_FALSE(marked(sheet, 37, 0, 4, sheet.height));
}

TEST_CASE("contact_sheet: colours of paper and ink", "[io]") {
  const SheetText text{.columns = {"X"}, .ink = {250, 0, 0}, .paper = {0, 0, 50}};
  const auto sheet = contact_sheet({filled(9, 9, 7)}, 1, text, 2);
  CHECK(std::vector<int>(sheet.at(0, 0), sheet.at(0, 0) + 3) == std::vector<int>{0, 0, 50});
  CHECK(std::vector<int>(sheet.at(4, 2), sheet.at(4, 2) + 3) == std::vector<int>{250, 0, 0});
}

TEST_CASE("contact_sheet: more words than places are refused", "[io]") {
  const std::vector<Image> one{filled(9, 9, 0)};
  CHECK_THROWS_WITH(contact_sheet(one, 1, SheetText{.columns = {"a", "b"}}), contains("2 titles for 1 columns"));
  CHECK_THROWS_AS(contact_sheet(one, 1, SheetText{.rows = {"a", "b"}}), Error);
  CHECK_THROWS_AS(contact_sheet(one, 1, SheetText{.captions = {"a", "b"}}), Error);
  CHECK_THROWS_AS(contact_sheet({}, 1, SheetText{}), Error);
  CHECK_THROWS_AS(contact_sheet(one, 0, SheetText{}), Error);
}
