#include <dino/data/multicrop.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

#include <thread>

using namespace dino;

namespace {

CropSettings small() {
  CropSettings s;
  s.global_size = 33;
  s.local_size = 14;
  s.num_local_crops = 3;
  return s;
}

std::vector<float> written(const MultiCrop& crops, const Image& image, i64 sample, i64 crop) {
  std::vector<float> out(static_cast<size_t>(3 * crops.size(crop) * crops.size(crop)));
  crops.write(image, 2, sample, crop, out.data());
  return out;
}

}  // namespace

TEST_CASE("multicrop: two global crops come first, then the local ones", "[data]") {
  const MultiCrop recipe({}, 1);
  CHECK(recipe.groups() == std::vector<CropGroup>{{2, 224, 224}, {8, 96, 96}});
  CHECK(recipe.crops() == 10);
  CHECK(recipe.size(1) == 224);
  CHECK(recipe.size(2) == 96);
  auto s = small();
  s.num_local_crops = 0;
  CHECK(MultiCrop(s, 1).groups() == std::vector<CropGroup>{{2, 33, 33}});
  CHECK(MultiCrop(s, 1).crops() == 2);
}

TEST_CASE("multicrop: a written crop is the normalised picture of the same crop", "[data]") {
  const MultiCrop crops(small(), 17);
  const auto image = augment_golden::picture(1, 51, 40);
  for (i64 crop = 0; crop < crops.crops(); ++crop) {
    const Image picture = crops.crop_image(image, 2, 5, crop);
    REQUIRE(picture.width == crops.size(crop));
    const auto values = written(crops, image, 5, crop);
    const auto count = static_cast<size_t>(picture.width * picture.height);
    bool equal = true;
    for (size_t c = 0; c < 3; ++c) {
      for (size_t i = 0; i < count; ++i) {
        const float v = static_cast<float>(picture.pixels[3 * i + c]) / 255.0f;
        equal = equal && values[c * count + i] == (v - crops.settings().mean[c]) / crops.settings().deviation[c];
      }
    }
    CHECK(equal);
  }
}

TEST_CASE("multicrop: the stages follow the plan in the order of the recipe", "[data]") {
  auto s = small();
  s.flip_prob = s.jitter_prob = s.gray_prob = s.solarize_prob = 1;
  s.blur_prob = {1, 1, 1};
  const MultiCrop crops(s, 3);
  const auto image = augment_golden::picture(2, 47, 62);
  const auto plan = crops.plan(image, 2, 9, 1);
  Image expected(33, 33);
  kernels::ResampleImageScratch resample;
  kernels::resample_image({image.pixels.data(),
                           3 * 47,
                           plan.box,
                           33,
                           33,
                           {0, 0, 33, 33},
                           kernels::ImageFilter::bicubic,
                           expected.pixels.data()},
                          resample);
  const kernels::PixelsArgs a{expected.pixels.data(), 33, 33};
  kernels::flip_horizontally(a);
  for (const ColorOp op : plan.order) {
    if (op == ColorOp::brightness) kernels::adjust_brightness(a, plan.brightness);
    if (op == ColorOp::contrast) kernels::adjust_contrast(a, plan.contrast);
    if (op == ColorOp::saturation) kernels::adjust_saturation(a, plan.saturation);
    if (op == ColorOp::hue) kernels::adjust_hue(a, plan.hue);
  }
  kernels::to_grayscale(a);
  kernels::BlurScratch blur;
  kernels::gaussian_blur(a, plan.blur_radius, blur);
  kernels::solarize(a);
  CHECK(crops.crop_image(image, 2, 9, 1) == expected);
}

TEST_CASE("multicrop: without options a crop of the whole picture is a resize", "[data]") {
  auto s = small();
  s.flip_prob = s.jitter_prob = s.gray_prob = s.solarize_prob = 0;
  s.blur_prob = {0, 0, 0};
  s.global_scale_min = s.global_scale_max = s.ratio_min = s.ratio_max = 1;
  const auto image = augment_golden::picture(3, 33, 33);
  CHECK(MultiCrop(s, 1).crop_image(image, 0, 0, 0) == image);
}

TEST_CASE("multicrop: crops do not depend on threads or on what was made before", "[data]") {
  const MultiCrop crops(small(), 23);
  std::vector<Image> images;
  for (u32 i = 0; i < 6; ++i) images.push_back(augment_golden::picture(i, 20 + 9 * i, 70 - 7 * i));
  std::vector<std::vector<float>> one, three(6 * 5);
  for (i64 i = 0; i < 30; ++i) one.push_back(written(crops, images[static_cast<size_t>(i / 5)], i / 5, i % 5));
  std::vector<std::thread> threads;
  for (i64 t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (i64 i = 29 - t; i >= 0; i -= 3) {
        three[static_cast<size_t>(i)] = written(crops, images[static_cast<size_t>(i / 5)], i / 5, i % 5);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(one == three);
}

TEST_CASE("multicrop: wrong settings, crops and plans are refused", "[data]") {
  auto s = small();
  s.local_size = 0;
  try {
    const MultiCrop crops(s, 1);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(std::string(error.what()) == "local_size = 0 must be in [1, 16384]");
  }
  const MultiCrop crops(small(), 1);
  const auto image = augment_golden::picture(4, 20, 20);
  CHECK_THROWS_WITH(crops.crop_image(image, 0, 0, 5), contains("crop 5 of 5"));
  CHECK_THROWS_WITH(crops.crop_image(Image(), 0, 0, 0), contains("the picture is 0 x 0"));
  auto plan = crops.plan(image, 0, 0, 0);
  plan.box = {10, 10, 20, 5};
  CropScratch scratch;
  Image out(33, 33);
  CHECK_THROWS_WITH(apply_crop_plan(image, plan, scratch, out.pixels.data()), contains("the box is 20 x 5 at (10,10)"));
}
