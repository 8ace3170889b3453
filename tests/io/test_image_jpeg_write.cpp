#include <dino/io/image_jpeg.hpp>
#include <dino/io/image_jpeg_write.hpp>

#include "support/catch.hpp"

using namespace dino;

#if DINO_HAS_TURBOJPEG

namespace {

/// Smooth colours: what JPEG keeps.
Image gradient(i64 width, i64 height) {
  Image image(width, height);
  for (i64 y = 0; y < height; ++y) {
    for (i64 x = 0; x < width; ++x) {
      u8* const pixel = image.at(x, y);
      pixel[0] = static_cast<u8>(x * 255 / width);
      pixel[1] = static_cast<u8>(y * 255 / height);
      pixel[2] = 128;
    }
  }
  return image;
}

}  // namespace

TEST_CASE("image_jpeg_write: what is written is read again, for sizes that no block divides", "[io]") {
  for (const auto& [width, height] : {std::pair<i64, i64>{64, 48}, {33, 17}, {1, 1}, {1, 40}}) {
    const auto image = gradient(width, height);
    const auto file = encode_jpeg(image, 90);
    CHECK(file[0] == 0xff);
    CHECK(file[1] == 0xd8);
    const auto again = detail::decode_jpeg(file, "memory", JpegWarnings::skip);
    CHECK(again.warning.empty());
    REQUIRE(again.image.width == width);
    REQUIRE(again.image.height == height);
    int worst = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i)
      worst = std::max(worst, std::abs(int{image.pixels[i]} - int{again.image.pixels[i]}));
    CHECK(worst <= 16);  // of 255, by quality 90 and halved colours
  }
}

TEST_CASE("image_jpeg_write: a lower quality takes fewer bytes", "[io]") {
  const auto image = gradient(320, 320);
  CHECK(encode_jpeg(image, 30).size() < encode_jpeg(image, 95).size());
}

TEST_CASE("image_jpeg_write: an empty picture and an impossible quality are refused", "[io]") {
  CHECK_THROWS_WITH(encode_jpeg(Image(), 75), contains("encode_jpeg: picture of 0 x 0, quality 75"));
  CHECK_THROWS_WITH(encode_jpeg(gradient(4, 4), 101), contains("quality 101"));
}

#else

TEST_CASE("image_jpeg_write: needs TurboJPEG", "[io]") { SUCCEED("built without it"); }

#endif
