#include <dino/kernels/cpu/augment.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

#include <cstring>

using namespace dino;
using namespace dino::kernels;

namespace {

PixelsArgs args(Image& image) { return {image.pixels.data(), image.width, image.height}; }

template <class F> Image changed(Image image, F&& f) {
  f(args(image));
  return image;
}

Image blurred(Image image, double sigma) {
  BlurScratch scratch;
  gaussian_blur(args(image), sigma, scratch);
  return image;
}

/// The five pixels of the golden list.
Image five() {
  Image image(5, 1);
  image.pixels = {200, 30, 90, 12, 250, 77, 128, 128, 128, 255, 0, 3, 5, 6, 200};
  return image;
}

Image wave() {
  Image image(8, 8);
  for (i64 y = 0; y < 8; ++y) {
    for (i64 x = 0; x < 8; ++x) std::memset(image.at(x, y), static_cast<int>((37 * x + 91 * y) % 256), 3);
  }
  return image;
}

std::vector<int> row(const Image& image, i64 y) {
  std::vector<int> out;
  for (i64 x = 0; x < image.width; ++x) out.push_back(image.at(x, y)[0]);
  return out;
}

void apply(const std::string& op, const PixelsArgs& a, double factor) {
  BlurScratch scratch;
  const float f = static_cast<float>(factor);
  if (op == "brightness") return adjust_brightness(a, f);
  if (op == "contrast") return adjust_contrast(a, f);
  if (op == "saturation") return adjust_saturation(a, f);
  if (op == "hue") return adjust_hue(a, factor);
  if (op == "gray") return to_grayscale(a);
  if (op == "solarize") return solarize(a);
  if (op == "flip") return flip_horizontally(a);
  REQUIRE(op == "blur");
  gaussian_blur(a, factor, scratch);
}

}  // namespace

TEST_CASE("augment: five pixels as Pillow changes them", "[kernels][golden]") {
  using V = std::vector<u8>;
  CHECK(changed(five(), [](auto a) { to_grayscale(a); }).pixels ==
        V{88, 88, 88, 159, 159, 159, 128, 128, 128, 77, 77, 77, 28, 28, 28});
  CHECK(changed(five(), [](auto a) { adjust_brightness(a, 1.3f); }).pixels ==
        V{255, 39, 116, 15, 255, 100, 166, 166, 166, 255, 0, 3, 6, 7, 255});
  CHECK(changed(five(), [](auto a) { adjust_contrast(a, 0.7f); }).pixels ==
        V{168, 49, 91, 37, 203, 82, 118, 118, 118, 207, 28, 30, 32, 33, 168});
  CHECK(changed(five(), [](auto a) { adjust_saturation(a, 1.2f); }).pixels ==
        V{222, 18, 90, 0, 255, 60, 128, 128, 128, 255, 0, 0, 0, 1, 234});
  CHECK(changed(five(), [](auto a) { adjust_hue(a, 0.08); }).pixels ==
        V{200, 47, 31, 13, 250, 186, 128, 128, 128, 255, 108, 0, 92, 5, 200});
  CHECK(changed(five(), [](auto a) { adjust_hue(a, -0.08); }).pixels ==
        V{200, 31, 170, 63, 250, 13, 128, 128, 128, 255, 0, 126, 5, 102, 200});
  CHECK(changed(five(), [](auto a) { solarize(a); }).pixels ==
        V{55, 30, 90, 12, 5, 77, 127, 127, 127, 0, 0, 3, 5, 6, 55});
}

TEST_CASE("augment: hue, saturation and value of five pixels", "[kernels][golden]") {
  kernels::detail::PixelBlock block;
  kernels::detail::HsvBlock hsv;
  block.read(five().pixels.data(), 5);
  kernels::detail::rgb_to_hsv(block, hsv);
  CHECK(std::vector<i32>(hsv.h, hsv.h + 5) == std::vector<i32>{240, 96, 0, 254, 169});
  CHECK(std::vector<i32>(hsv.s, hsv.s + 5) == std::vector<i32>{216, 242, 0, 255, 248});
  CHECK(std::vector<i32>(hsv.v, hsv.v + 5) == std::vector<i32>{200, 250, 128, 255, 200});
}

TEST_CASE("gaussian_blur: golden rows of Pillow", "[kernels][golden]") {
  using V = std::vector<int>;
  CHECK(row(blurred(wave(), 0.5), 0) == V{15, 48, 84, 121, 155, 168, 178, 36});
  CHECK(row(blurred(wave(), 0.5), 3) == V{49, 79, 94, 125, 140, 173, 190, 66});
  CHECK(row(blurred(wave(), 1.0), 0) == V{51, 71, 100, 130, 147, 144, 123, 84});
  CHECK(row(blurred(wave(), 1.0), 3) == V{102, 108, 109, 113, 117, 128, 131, 116});
  CHECK(row(blurred(wave(), 2.0), 0) == V{86, 93, 104, 114, 121, 121, 116, 111});
  CHECK(blurred(wave(), 0.1) == wave());
}

TEST_CASE("augment: every operation equals Pillow bit for bit", "[kernels][golden]") {
  for (const auto& c : augment_golden::cases("operations")) {
    INFO(c.dump().substr(0, 200));
    auto image = augment_golden::picture_of(c);
    apply(c["op"].get<std::string>(), args(image), c["factor"].get<double>());
    CHECK(augment_golden::matches(c, image.pixels));
  }
}

TEST_CASE("augment: factors that change nothing", "[kernels]") {
  const auto image = augment_golden::picture(11, 67, 3);
  CHECK(changed(image, [](auto a) { adjust_brightness(a, 1.0f); }) == image);
  CHECK(changed(image, [](auto a) { adjust_contrast(a, 1.0f); }) == image);
  CHECK(changed(image, [](auto a) { adjust_saturation(a, 1.0f); }) == image);
  CHECK(blurred(image, 0.0) == image);
}

TEST_CASE("augment: flipping twice is nothing, solarizing twice is solarizing once", "[kernels]") {
  for (const i64 width : {1, 2, 7, 64}) {
    const auto image = augment_golden::picture(12, width, 5);
    const auto once = changed(image, [](auto a) { flip_horizontally(a); });
    CHECK(std::memcmp(once.at(0, 3), image.at(width - 1, 3), 3) == 0);
    CHECK(changed(once, [](auto a) { flip_horizontally(a); }) == image);
  }
  // Solarizing maps 128..255 to 0..127, which a second pass leaves alone.
  const auto once = changed(augment_golden::picture(13, 9, 9), [](auto a) { solarize(a); });
  CHECK(changed(once, [](auto a) { solarize(a); }) == once);
}

TEST_CASE("gaussian_blur: a flat picture stays flat, whatever the memory held before", "[kernels]") {
  Image flat(70, 23);
  std::fill(flat.pixels.begin(), flat.pixels.end(), u8{201});
  auto image = augment_golden::picture(14, 130, 90);
  BlurScratch scratch;
  gaussian_blur(args(image), 3.0, scratch);
  auto after = flat;
  gaussian_blur(args(after), 1.7, scratch);
  CHECK(after == flat);
}

TEST_CASE("normalize_pixels: planes of (v / 255 - mean) / deviation", "[kernels]") {
  const NormalizeTable table({0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f});
  std::vector<float> out(15);
  normalize_pixels(five().pixels.data(), 5, table, out.data());
  CHECK(out[0] == (200.0f / 255.0f - 0.485f) / 0.229f);
  CHECK(out[6] == (250.0f / 255.0f - 0.456f) / 0.224f);
  CHECK(out[14] == (200.0f / 255.0f - 0.406f) / 0.225f);
}

TEST_CASE("augment: impossible arguments are refused", "[kernels]") {
  auto image = five();
  CHECK_THROWS_WITH(adjust_hue(args(image), 0.6), contains("adjust_hue: factor 0.6"));
  CHECK_THROWS_WITH(blurred(image, -1.0), contains("gaussian_blur: sigma -1"));
  CHECK_THROWS_WITH(NormalizeTable({0, 0, 0}, {1, 0, 1}), contains("standard deviation 0"));
}
