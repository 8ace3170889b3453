#include <dino/eval/attention_image.hpp>

#include "support/catch.hpp"

#include <set>

using namespace dino;

namespace {

Colour pixel(const Image& image, i64 x, i64 y) {
  const u8* const p = image.at(x, y);
  return {p[0], p[1], p[2]};
}

Image plain(i64 width, i64 height, Colour color) {
  Image image(width, height);
  fill_rectangle(image, 0, 0, width, height, color);
  return image;
}

constexpr Colour white{255, 255, 255}, black{0, 0, 0}, red{200, 0, 0}, blue{0, 0, 200};

}  // namespace

TEST_CASE("attention image: a map is squares of the colours of its values", "[eval]") {
  const std::vector<float> map{0, 1, 2, 4, 3, 1};
  const PatchLayout at{2, 3, 4};
  const auto& viridis = color_map("viridis");
  const auto image = map_image(map, at, viridis, value_range(map));
  REQUIRE(at.covers(image));
  for (i64 y = 0; y < 8; ++y)
    for (i64 x = 0; x < 12; ++x) {
      const float value = map[static_cast<size_t>(y / 4 * 3 + x / 4)];
      CHECK(pixel(image, x, y) == viridis(value / 4));
    }
  const auto steady = map_image(map, at, viridis, {0, 8});
  CHECK(pixel(steady, 0, 4) == viridis(0.5));
  const std::vector<float> flat(6, 3.0f);
  CHECK(map_image(flat, at, viridis, value_range(flat)).pixels == plain(12, 8, viridis(0)).pixels);
}

TEST_CASE("attention image: an overlay shows the picture where there is little attention", "[eval]") {
  std::vector<float> map(25, 0.0f);
  map[12] = 1;  // in the middle
  const PatchLayout at{5, 5, 8};
  const auto& inferno = color_map("inferno");
  const auto overlay = overlay_image(plain(40, 40, {100, 200, 40}), map, at, inferno, value_range(map));
  const auto corner = pixel(overlay, 1, 1), middle = pixel(overlay, 20, 20);
  CHECK(corner[1] > 2 * corner[0]);  // still the green of the picture
  CHECK(corner[1] < 200);            // darker
  CHECK(middle[0] > 150);            // the bright end of inferno
  CHECK(pixel(overlay, 19, 19) == middle);
  const auto between = pixel(overlay, 13, 20);  // smooth, no squares
  CHECK(between[0] > corner[0]);
  CHECK(between[0] < middle[0]);
  CHECK_THROWS(overlay_image(plain(40, 39, red), map, at, inferno, {0, 1}));
  CHECK_THROWS(overlay_image(plain(40, 40, red), std::vector<float>(24), at, inferno, {0, 1}));
}

TEST_CASE("attention image: masks are half transparent, with an outline, later ones above", "[eval]") {
  const PatchLayout at{3, 3, 8};
  const std::vector<ColoredMask> masks{{{1, 1, 0, 1, 1, 0, 0, 0, 0}, red}, {{0, 0, 0, 0, 1, 0, 0, 0, 0}, blue}};
  const auto image = mask_image(plain(24, 24, white), masks, at);
  CHECK(pixel(image, 20, 20) == white);
  CHECK(pixel(image, 4, 4) == Colour{228, 128, 128});
  CHECK(pixel(image, 7, 4) == Colour{228, 128, 128});  // no line between two patches of a mask
  CHECK(pixel(image, 0, 4) == red);
  CHECK(pixel(image, 15, 4) == red);
  CHECK(pixel(image, 4, 15) == red);
  CHECK(pixel(image, 12, 12) == Colour{114, 64, 164});  // blue over red over white
  CHECK(pixel(image, 8, 12) == blue);
  CHECK(pixel(image, 16, 4) == white);
  CHECK(mask_image(plain(24, 24, white), {}, at).pixels == plain(24, 24, white).pixels);
  CHECK_THROWS(mask_image(plain(16, 24, white), masks, at));
}

TEST_CASE("attention image: patch colours and their background", "[eval]") {
  PatchColors colors{1, 3, {0, 0.5f, 1, 1, 1, 1, 0.2f, 0.2f, 0.2f}, {1, 0, 1}};
  const auto image = patch_color_image(colors, 2, blue);
  CHECK(image.width == 6);
  CHECK(image.height == 2);
  CHECK(pixel(image, 1, 1) == Colour{0, 128, 255});
  CHECK(pixel(image, 2, 0) == blue);
  CHECK(pixel(image, 5, 1) == Colour{51, 51, 51});
}

TEST_CASE("attention image: matches are lines between two pictures of any sizes", "[eval]") {
  const PatchLayout small{2, 3, 10}, tall{6, 2, 10};
  const Image a = plain(30, 20, black), b = plain(20, 60, black);
  const std::vector<PatchMatch> matches{{0, 3, 0.9f}, {5, 10, 0.8f}};
  const auto image = match_image(a, small, b, tall, matches);
  CHECK(image.width == 30 + 16 + 20);
  CHECK(image.height == 60);
  CHECK(pixel(image, 2, 5) == white);  // above the smaller picture, which stands in the middle
  CHECK(pixel(image, 1, 38) == black);
  CHECK(pixel(image, 38, 1) == white);                                  // between them
  const auto first = pixel(image, 5, 25), last = pixel(image, 25, 35);  // middles of patches 0 and 5
  CHECK(first != black);
  CHECK(first != last);
  CHECK(pixel(image, 46 + 15, 15) == first);
  CHECK(pixel(image, 46 + 5, 55) == last);
  CHECK(match_image(a, small, b, tall, {}).width == 66);
  CHECK_THROWS(match_image(a, tall, b, small, matches));
  std::set<Colour> hues;
  for (int i = 0; i < 12; ++i) hues.insert(detail::hue_colour(i / 12.0));
  CHECK(hues.size() == 12);
  CHECK(detail::hue_colour(0) == Colour{255, 60, 60});
  CHECK(detail::hue_colour(1.0 / 3) == Colour{60, 255, 60});
  CHECK(detail::hue_colour(2.0 / 3) == Colour{60, 60, 255});
}
