#include <dino/io/neighbours_sheet.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

Image plain(i64 side, u8 value) {
  Image image(side, side);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

bool has_color(const Image& image, Colour colour) {
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3)
    if (std::equal(colour.begin(), colour.end(), image.pixels.begin() + static_cast<i64>(i))) return true;
  return false;
}

/// Changes of colour along the upper edge.
i64 changes(const Image& image) {
  i64 n = 0;
  for (i64 x = 1; x < image.width; ++x) n += !std::equal(image.at(x, 0), image.at(x, 0) + 3, image.at(x - 1, 0));
  return n;
}

}  // namespace

TEST_CASE("neighbours_sheet: right and wrong ones differ by more than the colour of their frames", "[io]") {
  const Image right = detail::framed({plain(40, 7), "", Verdict::right}),
              wrong = detail::framed({plain(40, 7), "", Verdict::wrong}), none = detail::framed({plain(40, 7), ""});
  CHECK(has_color(right, detail::right_colour));
  CHECK(has_color(wrong, detail::wrong_colour));
  CHECK_FALSE(has_color(none, detail::right_colour));
  CHECK_FALSE(has_color(none, detail::wrong_colour));
  CHECK(changes(right) == 0);
  CHECK(changes(wrong) >= 4);
  CHECK(changes(none) == 0);
  for (const auto& image : {right, wrong, none}) {
    CHECK(image.width == 48);
    CHECK(image.at(4, 4)[0] == 7);
    CHECK(image.at(43, 43)[2] == 7);
  }
}

TEST_CASE("neighbours_sheet: a row for each query, as wide as the longest", "[io]") {
  const SheetTile query{plain(60, 1), "cat"}, near{plain(40, 2), "0.50", Verdict::right};
  const auto one = neighbours_sheet({{query, near, near}}), two = neighbours_sheet({{query, near, near}, {query}});
  CHECK(one.width == two.width);
  CHECK(two.height > one.height);
  CHECK(one.width >= 68 + 2 * 48);
  const SheetTile named{plain(60, 1), "automobile and more"};
  CHECK(neighbours_sheet({{named, near, near}}).width == one.width + 118 - 68);  // ten letters
  CHECK(has_color(one, detail::sheet_ink));  // the words
  CHECK_THROWS_AS(neighbours_sheet({}), Error);
  CHECK_THROWS_AS(neighbours_sheet({{}, {}}), Error);
}

TEST_CASE("neighbours_sheet: similarities have two digits", "[io]") {
  CHECK(similarity_text(0.874) == "0.87");
  CHECK(similarity_text(-0.05) == "-0.05");
  CHECK(similarity_text(1) == "1.00");
  CHECK(similarity_text(1e300).empty());
}
