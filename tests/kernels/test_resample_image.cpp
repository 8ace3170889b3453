#include <dino/kernels/cpu/resample_image.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

#include <cstring>

using namespace dino;
using kernels::ImageFilter;
using kernels::PixelBox;

namespace {

Image resample(const Image& image, PixelBox box, i64 width, i64 height, ImageFilter filter, PixelBox window) {
  Image out(window.width, window.height);
  kernels::ResampleImageScratch scratch;
  kernels::resample_image({image.pixels.data(), 3 * image.width, box, width, height, window, filter, out.pixels.data()},
                          scratch);
  return out;
}

Image resample(const Image& image, i64 width, i64 height, ImageFilter filter) {
  return resample(image, {0, 0, image.width, image.height}, width, height, filter, {0, 0, width, height});
}

/// The 8 x 8 gray picture of the golden rows: (37 x + 91 y) mod 256.
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

}  // namespace

TEST_CASE("resample_image: golden rows of Pillow, bicubic", "[kernels][golden]") {
  const auto five = resample(wave(), 5, 5, ImageFilter::bicubic);
  CHECK(row(five, 0) == std::vector<int>{47, 108, 171, 141, 82});
  CHECK(row(five, 2) == std::vector<int>{81, 134, 120, 124, 111});
  const std::vector<int> sixteen = {0, 0, 18, 38, 57, 75, 94, 111, 129, 154, 186, 217, 248, 186, 41, 0};
  CHECK(row(resample(wave(), 16, 16, ImageFilter::bicubic), 0) == sixteen);
  CHECK(row(resample(wave(), 3, 3, ImageFilter::bicubic), 0) == std::vector<int>{96, 134, 117});
}

TEST_CASE("resample_image: golden rows of Pillow, bilinear", "[kernels][golden]") {
  CHECK(row(resample(wave(), 5, 5, ImageFilter::bilinear), 0) == std::vector<int>{52, 108, 163, 140, 87});
  const std::vector<int> sixteen = {0, 9, 28, 46, 65, 83, 102, 120, 139, 157, 176, 194, 213, 167, 58, 3};
  CHECK(row(resample(wave(), 16, 16, ImageFilter::bilinear), 0) == sixteen);
}

TEST_CASE("resample_image: equals Pillow bit for bit on random boxes", "[kernels][golden]") {
  for (const auto& c : augment_golden::cases("resample")) {
    INFO(c.dump().substr(0, 200));
    const auto image = augment_golden::picture_of(c);
    const auto b = c["box"].get<std::vector<i64>>();
    const auto out = c["out"].get<std::vector<i64>>();
    const auto filter = c["filter"] == "bicubic" ? ImageFilter::bicubic : ImageFilter::bilinear;
    const auto got = resample(image, {b[0], b[1], b[2], b[3]}, out[0], out[1], filter, {0, 0, out[0], out[1]});
    CHECK(augment_golden::matches(c, got.pixels));
  }
}

TEST_CASE("resample_image: the same size is the same picture", "[kernels]") {
  const auto image = augment_golden::picture(3, 37, 19);
  CHECK(resample(image, 37, 19, ImageFilter::bicubic) == image);
  CHECK(resample(image, 37, 19, ImageFilter::bilinear) == image);
}

TEST_CASE("resample_image: a window is that part of the whole", "[kernels]") {
  const auto image = augment_golden::picture(4, 61, 83);
  const auto whole = resample(image, 40, 130, ImageFilter::bicubic);
  const PixelBox windows[] = {{0, 0, 1, 1}, {39, 129, 1, 1}, {7, 90, 22, 33}, {3, 0, 37, 130}};
  for (const PixelBox& w : windows) {
    const auto part = resample(image, {0, 0, 61, 83}, 40, 130, ImageFilter::bicubic, w);
    bool equal = true;
    for (i64 y = 0; y < w.height; ++y) {
      equal = equal && std::memcmp(part.at(0, y), whole.at(w.x, w.y + y), static_cast<size_t>(3 * w.width)) == 0;
    }
    CHECK(equal);
  }
}

TEST_CASE("resample_image: nothing outside the box matters", "[kernels]") {
  auto image = augment_golden::picture(5, 30, 30);
  const PixelBox box{4, 6, 11, 13};
  const auto before = resample(image, box, 17, 9, ImageFilter::bicubic, {0, 0, 17, 9});
  for (i64 y = 0; y < 30; ++y) {
    for (i64 x = 0; x < 30; ++x) {
      const bool inside = x >= 4 && x < 15 && y >= 6 && y < 19;
      if (!inside) std::memset(image.at(x, y), 255, 3);
    }
  }
  CHECK(resample(image, box, 17, 9, ImageFilter::bicubic, {0, 0, 17, 9}) == before);
}

TEST_CASE("resample_image: used memory changes nothing", "[kernels]") {
  const auto large = augment_golden::picture(6, 90, 70), small = augment_golden::picture(7, 9, 5);
  kernels::ResampleImageScratch scratch;
  Image out(64, 64);
  kernels::resample_image(
      {large.pixels.data(), 270, {0, 0, 90, 70}, 64, 64, {0, 0, 64, 64}, ImageFilter::bicubic, out.pixels.data()},
      scratch);
  Image after(12, 4);
  kernels::resample_image(
      {small.pixels.data(), 27, {0, 0, 9, 5}, 12, 4, {0, 0, 12, 4}, ImageFilter::bicubic, after.pixels.data()},
      scratch);
  CHECK(after == resample(small, 12, 4, ImageFilter::bicubic));
}

TEST_CASE("resample_image: empty boxes and stray windows are refused", "[kernels]") {
  const auto image = augment_golden::picture(8, 4, 4);
  CHECK_THROWS_WITH(resample(image, {0, 0, 0, 4}, 2, 2, ImageFilter::bicubic, {0, 0, 2, 2}),
                    contains("the box is 0 x 4 at (0,0)"));
  CHECK_THROWS_WITH(resample(image, {0, 0, 4, 4}, 2, 2, ImageFilter::bicubic, {1, 0, 2, 2}),
                    contains("the window is 2 x 2 at (1,0), the output is 2 x 2"));
}
