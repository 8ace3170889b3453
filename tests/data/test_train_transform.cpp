#include <dino/data/loader.hpp>
#include <dino/data/train_transform.hpp>

#include "support/augment_golden.hpp"
#include "support/catch.hpp"

using namespace dino;

namespace {

TrainSettings plain(i64 size) {
  TrainSettings s;
  s.size = size;
  s.erase_prob = s.rand_augment = 0;
  return s;
}

std::vector<float> written(const TrainTransform& t, const Image& image, i64 sample) {
  std::vector<float> out(static_cast<size_t>(3 * t.settings().size * t.settings().size));
  t.write(image, 2, sample, 0, out.data());
  return out;
}

}  // namespace

TEST_CASE("train_transform: what is written is the normalised picture", "[data]") {
  auto s = plain(24);
  s.rand_augment = 9;
  const TrainTransform transform(s, 5);
  CHECK(transform.groups() == std::vector<CropGroup>{{1, 24, 24}});
  const auto image = augment_golden::picture(1, 51, 40);
  for (i64 sample = 0; sample < 20; ++sample) {
    const auto picture = transform.train_image(image, 2, sample);
    const auto values = written(transform, image, sample);
    bool equal = true;
    for (size_t i = 0; i < 24 * 24; ++i) {
      for (size_t c = 0; c < 3; ++c) {
        const float v = static_cast<float>(picture.pixels[3 * i + c]) / 255.0f;
        equal = equal && values[c * 24 * 24 + i] == (v - s.mean[c]) / s.deviation[c];
      }
    }
    CHECK(equal);
  }
}

TEST_CASE("train_transform: the stages follow the plan", "[data]") {
  auto s = plain(17);
  s.flip_prob = 1;
  s.rand_augment = 9;
  const TrainTransform transform(s, 5);
  const auto image = augment_golden::picture(2, 40, 30);
  for (i64 sample = 0; sample < 30; ++sample) {
    const auto plan = transform.plan(image, 0, sample);
    Image expected(17, 17);
    kernels::ResampleImageScratch resample;
    kernels::resample_image(
        {image.pixels.data(), 3 * 40, plan.box, 17, 17, {0, 0, 17, 17}, s.filter, expected.pixels.data()}, resample);
    const kernels::PixelsArgs a{expected.pixels.data(), 17, 17};
    kernels::flip_horizontally(a);
    std::vector<u8> scratch;
    for (i64 k = 0; k < plan.augment.count; ++k) {
      apply_augment(a, plan.augment.steps[static_cast<size_t>(k)], {124, 116, 104}, scratch);  // 255 mean, rounded
    }
    CHECK(transform.train_image(image, 0, sample) == expected);
  }
}

TEST_CASE("train_transform: noise of deviation 1 fills the erased box, and nothing else changes", "[data]") {
  auto s = plain(64);
  s.erase_prob = 1;
  const TrainTransform erasing(s, 5), whole(plain(64), 5);
  const auto image = augment_golden::picture(3, 64, 64);
  double sum = 0, square = 0, n = 0;
  for (i64 sample = 0; sample < 40; ++sample) {
    const auto plan = erasing.plan(image, 2, sample);
    REQUIRE(plan.erase);
    const auto with = written(erasing, image, sample), without = written(whole, image, sample);
    i64 outside = 0;
    for (i64 i = 0; i < 3 * 64 * 64; ++i) {
      const i64 x = i % 64 - plan.erased.x, y = i / 64 % 64 - plan.erased.y;
      const auto at = static_cast<size_t>(i);
      if (x >= 0 && x < plan.erased.width && y >= 0 && y < plan.erased.height) {
        sum += static_cast<double>(with[at]);
        square += static_cast<double>(with[at]) * static_cast<double>(with[at]);
        n += 1;
      } else {
        outside += with[at] == without[at] ? 0 : 1;
      }
    }
    CHECK(outside == 0);
  }
  CHECK(sum / n == Approx(0).margin(4 / std::sqrt(n)));
  CHECK(square / n == Approx(1).margin(4 * std::sqrt(2 / n)));
}

TEST_CASE("train_transform: batches do not depend on the workers", "[data]") {
  struct Pictures {
    i64 size() const { return 30; }
    Sample get(i64 i) const { return {augment_golden::picture(static_cast<u32>(i), 20, 20), i % 3, ""}; }
  };
  TrainSettings s;
  s.size = 16;
  const auto batches = [&](i64 workers) {
    LoaderOptions options;
    options.batch = 7;
    options.workers = workers;
    Loader loader(AnyDataset(Pictures{}), TrainTransform(s, 4), options);
    std::vector<float> all;
    for (int k = 0; k < 6; ++k) {
      const auto& values = loader.next().groups[0];
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  CHECK(batches(0) == batches(3));
}
