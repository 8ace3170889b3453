#include <dino/io/color_map.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

const golden::File& reference() {
  static const golden::File file("color_map.safetensors");
  return file;
}

constexpr std::array<std::string_view, 6> names{"viridis", "inferno", "magma", "plasma", "coolwarm", "gray"};
constexpr float gap = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("color_map: every entry and what lies between them are matplotlib's bytes", "[io][golden]") {
  const auto& positions = reference().values("positions");
  REQUIRE(positions.size() > 1500);
  for (const auto name : names) {
    INFO(name);
    const ColorMap& map = color_map(name);
    const auto& expected = reference().values(std::string(name) + ".colours");
    REQUIRE(expected.size() == 3 * positions.size());
    std::array<bool, 256> seen{};
    for (size_t i = 0; i < positions.size(); ++i) {
      INFO("position " << positions[i]);
      const auto color = map(positions[i]);
      for (size_t k = 0; k < 3; ++k) REQUIRE(int(color[k]) == int(expected[3 * i + k]));
      if (positions[i] >= 0 && positions[i] < 1) seen[static_cast<size_t>(positions[i] * 256)] = true;
    }
    CHECK(std::find(seen.begin(), seen.end(), false) == seen.end());
  }
}

TEST_CASE("color_image: the bytes that imsave writes", "[io][golden]") {
  std::vector<float> matrix;
  for (const double x : reference().values("matrix")) matrix.push_back(static_cast<float>(x));
  for (const auto name : names) {
    INFO(name);
    const auto image = color_image(matrix, 31, 23, color_map(name));
    const auto& expected = reference().values(std::string(name) + ".picture");
    REQUIRE(image.pixels.size() == expected.size());
    CHECK(std::equal(expected.begin(), expected.end(), image.pixels.begin()));
  }
}

TEST_CASE("color_image: NaN is black, infinities are the ends, equal values the first colour", "[io]") {
  const ColorMap& map = color_map("viridis");
  const auto pixel = [](const Image& image, i64 x) {
    return std::array<u8, 3>{image.at(x, 0)[0], image.at(x, 0)[1], image.at(x, 0)[2]};
  };
  const auto image = color_image(std::vector{gap, -infinity, infinity, 2.0f, 4.0f, 3.0f}, 6, 1, map);
  CHECK(pixel(image, 0) == std::array<u8, 3>{0, 0, 0});
  CHECK(pixel(image, 1) == map(0));
  CHECK(pixel(image, 2) == map(1));
  CHECK(pixel(image, 3) == map(0));
  CHECK(pixel(image, 4) == map(1));
  CHECK(pixel(image, 5) == map(0.5));
  CHECK(map(0) != map(1));

  const auto flat = color_image(std::vector{5.0f, gap, 5.0f}, 3, 1, map);
  CHECK(pixel(flat, 0) == map(0));
  CHECK(pixel(flat, 1) == std::array<u8, 3>{0, 0, 0});
  CHECK(pixel(color_image(std::vector{gap, infinity}, 2, 1, map), 0) == std::array<u8, 3>{0, 0, 0});
  CHECK(pixel(color_image(std::vector{9.0f}, 1, 1, map, 0, 10), 0) == map(0.9f));
  CHECK(color_image({}, 0, 0, map).pixels.empty());
}

TEST_CASE("color_map: an unknown name and wrong sizes are refused", "[io]") {
  try {
    color_map("jet");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(std::string(e.what()) ==
          "no colour map is called 'jet': choose one of viridis, inferno, magma, plasma, coolwarm, gray");
  }
  CHECK_THROWS_AS(color_map("Viridis"), Error);
  CHECK_THROWS_AS(color_map(""), Error);
  const std::vector<float> three(3);
  CHECK_THROWS_WITH(color_image(three, 2, 2, color_map("gray")), contains("3 values for 2 x 2 pixels"));
  CHECK_THROWS_WITH(color_image(three, 3, 1, color_map("gray"), 1, 0), contains("from 1 to 0"));
  CHECK_THROWS_AS(color_image(three, 3, 1, color_map("gray"), gap, 1), Error);
}
