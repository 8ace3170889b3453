#include <dino/io/bitmap_text.hpp>

#include "support/golden.hpp"

#include <map>

using namespace dino;

namespace {

constexpr Colour black{0, 0, 0};

Image white(i64 width, i64 height) {
  Image image(width, height);
  std::fill(image.pixels.begin(), image.pixels.end(), u8{255});
  return image;
}

/// '#' where a pixel is black.
std::string art(const Image& image) {
  std::string out;
  for (i64 y = 0; y < image.height; ++y) {
    for (i64 x = 0; x < image.width; ++x) out += *image.at(x, y) == 0 ? '#' : '.';
    out += '\n';
  }
  return out;
}

std::string drawn(std::string_view text, i64 width = 5, i64 height = 7) {
  auto image = white(width, height);
  draw_text(image, 0, 0, text, black);
  return art(image);
}

}  // namespace

TEST_CASE("bitmap text: every printable character has its own picture", "[io]") {
  CHECK(detail::glyph_rows.size() == 7 * 95);
  std::map<std::string, char> seen;
  for (char c = 32; c < 127; ++c) {
    const auto picture = drawn(std::string(1, c));
    INFO(c);
    CHECK(seen.emplace(picture, c).second);
    CHECK((picture.find('#') == picture.npos) == (c == ' '));
  }
  CHECK(drawn("L") == "#....\n#....\n#....\n#....\n#....\n#....\n#####\n");
  CHECK(drawn("7") == "#####\n....#\n...#.\n..#..\n.#...\n.#...\n.#...\n");
  CHECK(drawn("~z", 11) ==
        "...........\n...........\n.#....#####\n#.#.#....#.\n...#....#..\n.......#...\n......#####\n");
}

TEST_CASE("bitmap text: a character beyond ASCII is one box", "[io]") {
  CHECK(bitmap_text_length("") == 0);
  CHECK(bitmap_text_length("ab") == 11);
  CHECK(bitmap_text_length("ab", 2) == 22);
  CHECK(bitmap_text_length("\xc3\xa9") == 5);
  CHECK(drawn("\xc3\xa9") == "#####\n#...#\n#...#\n#...#\n#...#\n#...#\n#####\n");
  CHECK(drawn("\x7f") == drawn("\n"));
}

TEST_CASE("bitmap text: upward is the same, turned; scale doubles every pixel", "[io]") {
  auto right = white(23, 14), up = white(14, 23);
  draw_text(right, 0, 0, "Fj", black, 2);
  draw_text(up, 0, 22, "Fj", black, 2, TextDirection::up);
  for (i64 y = 0; y < 14; ++y)
    for (i64 x = 0; x < 23; ++x) REQUIRE(*right.at(x, y) == *up.at(y, 22 - x));
  for (i64 y = 0; y < 14; y += 2)
    for (i64 x = 0; x < 22; x += 2) REQUIRE(*right.at(x, y) == *right.at(x + 1, y + 1));
}

TEST_CASE("bitmap text: what lies outside is left out", "[io]") {
  auto image = white(3, 3);
  draw_text(image, -2, -2, "HHH", black);
  CHECK(art(image) == "..#\n###\n..#\n");
  fill_rectangle(image, -5, 2, 100, 100, black);
  CHECK(art(image) == "..#\n###\n###\n");
}
