#include <dino/data/whole_transform.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

using namespace dino;

namespace {

/// The rectangle at the upper left.
Image corner(const Image& image, i64 width, i64 height) {
  Image out(width, height);
  for (i64 y = 0; y < height; ++y) std::copy_n(image.at(0, y), 3 * width, out.at(0, y));
  return out;
}

Image resized(const Image& image, i64 width, i64 height) {
  Image out(width, height);
  kernels::ResampleImageScratch scratch;
  kernels::resample_image({.in = image.pixels.data(),
                           .in_stride = 3 * image.width,
                           .box = {0, 0, image.width, image.height},
                           .out_width = width,
                           .out_height = height,
                           .window = {0, 0, width, height},
                           .filter = kernels::ImageFilter::bicubic,
                           .out = out.pixels.data()},
                          scratch);
  return out;
}

}  // namespace

TEST_CASE("whole_transform: edges are cut at the right and at the bottom until patches fit", "[data]") {
  const auto image = augment_golden::picture(3, 23, 14);
  CHECK(WholeTransform{.patch = 4}.cut_image(image, "a") == corner(image, 20, 12));
  CHECK(WholeTransform{.patch = 1}.cut_image(image, "a") == image);
  CHECK(WholeTransform{.patch = 14}.cut_image(image, "a") == corner(image, 14, 14));
}

TEST_CASE("whole_transform: the short side is resized, the long one in proportion and rounded down", "[data]") {
  const auto wide = augment_golden::picture(4, 50, 33), tall = augment_golden::picture(5, 33, 50);
  const WholeTransform transform{.short_side = 21, .patch = 4};  // 21 * 50 / 33 = 31.8
  CHECK(transform.cut_image(wide, "a") == corner(resized(wide, 31, 21), 28, 20));
  CHECK(transform.cut_image(tall, "a") == corner(resized(tall, 21, 31), 20, 28));
  CHECK(WholeTransform{.short_side = 66, .patch = 11}.cut_image(wide, "a") == corner(resized(wide, 100, 66), 99, 66));
  CHECK(WholeTransform{.short_side = 33, .patch = 1}.cut_image(wide, "a") == wide);  // as it is
}

TEST_CASE("whole_transform: what comes out is normalised planes", "[data]") {
  const auto image = augment_golden::picture(6, 9, 7);
  const WholeTransform transform{.patch = 2, .mean = {0.5f, 0.25f, 0.125f}, .deviation = {0.5f, 0.2f, 0.1f}};
  const auto out = transform(image, "a");
  CHECK(out.height == 6);
  CHECK(out.width == 8);
  REQUIRE(out.values.size() == 3 * 6 * 8);
  for (i64 c = 0; c < 3; ++c) {
    for (i64 y = 0; y < 6; ++y) {
      for (i64 x = 0; x < 8; ++x) {
        const auto at = static_cast<size_t>(c);
        const float v = static_cast<float>(image.at(x, y)[c]) / 255.0f;
        CHECK(out.values[static_cast<size_t>((c * 6 + y) * 8 + x)] ==
              (v - transform.mean[at]) / transform.deviation[at]);
      }
    }
  }
}

TEST_CASE("whole_transform: pictures of less than a patch, and those that would become huge, are named", "[data]") {
  const WholeTransform transform{.patch = 8};
  CHECK_THROWS_WITH(transform.cut_image(Image(7, 100), "thin.png"),
                    "thin.png: 7 x 100 pixels are less than a patch of 8 x 8");
  CHECK_THROWS_WITH(transform.cut_image(Image(100, 7), "flat.png"), contains("100 x 7 pixels are less"));
  CHECK(transform.cut_image(Image(8, 8), "small.png").width == 8);
  const WholeTransform large{.short_side = 480, .patch = 8};
  CHECK_THROWS_WITH(large.cut_image(Image(2, 1000), "line.png"),
                    "line.png: 2 x 1000 pixels become 480 x 240000, at most 80 million are used");
  try {
    large.cut_image(Image(2, 1000), "line.png");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::data);
  }
  CHECK_THROWS_WITH(transform.cut_image(Image(), "none"), contains("picture 0 x 0"));
}

TEST_CASE("whole_transform: an evaluation crop is prepared with its size", "[data]") {
  const auto image = augment_golden::picture(7, 40, 31);
  const EvalTransform transform{.size = 24};
  std::vector<float> expected(3 * 24 * 24);
  transform.write(image, expected.data());
  const auto out = prepare(transform, image);
  CHECK(out.height == 24);
  CHECK(out.width == 24);
  CHECK(out.values == expected);
}
