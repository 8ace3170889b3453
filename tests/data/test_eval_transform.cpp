#include <dino/data/eval_transform.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

#include <algorithm>

using namespace dino;

TEST_CASE("eval_transform: equals Pillow's resize and centre crop bit for bit", "[data][golden]") {
  for (const auto& c : augment_golden::cases("evaluation")) {
    INFO(c.dump().substr(0, 200));
    const EvalTransform transform{.size = c["out"].get<i64>()};
    CHECK(augment_golden::matches(c, transform.crop_image(augment_golden::picture_of(c)).pixels));
  }
}

TEST_CASE("eval_transform: the short side is round(size 256 / 224)", "[data]") {
  CHECK(EvalTransform{.size = 224}.short_side() == 256);
  CHECK(EvalTransform{.size = 32}.short_side() == 37);
  CHECK(EvalTransform{.size = 96}.short_side() == 110);
  CHECK(EvalTransform{.size = 1}.short_side() == 1);
}

TEST_CASE("eval_transform: a picture of the right size is only normalised", "[data]") {
  const auto image = augment_golden::picture(5, 32, 32);
  const EvalTransform transform{.size = 32, .mean = {0.5f, 0.25f, 0.125f}, .deviation = {0.5f, 0.2f, 0.1f}};
  CHECK(transform.crop_image(image) == image);
  std::vector<float> out(3 * 32 * 32);
  transform.write(image, out.data());
  for (size_t c = 0; c < 3; ++c) {
    for (const size_t i : {size_t{0}, size_t{517}, size_t{1023}}) {
      const float v = static_cast<float>(image.pixels[3 * i + c]) / 255.0f;
      CHECK(out[c * 1024 + i] == (v - transform.mean[c]) / transform.deviation[c]);
    }
  }
}

TEST_CASE("eval_transform: what is written is the normalised crop", "[data]") {
  const auto image = augment_golden::picture(6, 50, 41);
  const EvalTransform transform{.size = 24};
  std::vector<float> out(3 * 24 * 24), again(out.size());
  transform.write(image, out.data());
  transform.write(transform.crop_image(image), again.data());
  CHECK(out == again);
}

TEST_CASE("eval_transform: the longest pictures cost no more memory than others", "[data]") {
  Image line(1, 16384);
  std::fill(line.pixels.begin(), line.pixels.end(), u8{77});
  const auto out = EvalTransform{.size = 224}.crop_image(line);
  CHECK(std::all_of(out.pixels.begin(), out.pixels.end(), [](u8 v) { return v == 77; }));
}

TEST_CASE("eval_transform: an empty picture is refused", "[data]") {
  CHECK_THROWS_WITH(EvalTransform{}.crop_image(Image()), contains("picture 0 x 0"));
}
