#include <dino/data/synthetic.hpp>

#include "support/catch.hpp"

#include <numeric>

using namespace dino;

namespace {

double mean(const Image& image) {
  return std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / static_cast<double>(image.pixels.size());
}

/// Pixels normalised by the ImageNet mean and deviation, of length 1.
std::vector<float> unit_pixels(const Image& image) {
  const float centre[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
  std::vector<float> v(image.pixels.size());
  float sum = 0.0f;
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] = (static_cast<float>(image.pixels[i]) / 255.0f - centre[i % 3]) / deviation[i % 3];
    sum += v[i] * v[i];
  }
  for (float& x : v) x /= std::sqrt(sum);
  return v;
}

i64 nearest_label(const std::vector<std::vector<float>>& bank, const std::vector<float>& query) {
  std::vector<std::pair<float, i64>> scores;
  for (size_t j = 0; j < bank.size(); ++j) {
    scores.emplace_back(std::inner_product(query.begin(), query.end(), bank[j].begin(), 0.0f),
                        static_cast<i64>(j % 10));
  }
  std::partial_sort(scores.begin(), scores.begin() + 20, scores.end(), std::greater<>());
  std::vector<double> votes(10);
  for (size_t k = 0; k < 20; ++k) votes[static_cast<size_t>(scores[k].second)] += std::exp(scores[k].first / 0.07);
  return std::max_element(votes.begin(), votes.end()) - votes.begin();
}

}  // namespace

TEST_CASE("synthetic: size, labels, names and classes", "[data]") {
  const AnyDataset dataset = Synthetic(0, Split::train, 8000, 32);
  CHECK(dataset.describe() == "synthetic 32x32, 8,000 images, 10 classes");
  CHECK(dataset.kind() == "synthetic");
  CHECK(dataset.label(4567) == 7);
  CHECK(dataset.classes()[4] == "crescent");
  CHECK(dataset.get(7999).name == "synthetic 7999");
  CHECK(dataset.get(13).label == 3);
}

TEST_CASE("synthetic: an image is a function of seed, split and index", "[data]") {
  const Synthetic train(1, Split::train, 100, 32);
  CHECK(train.get(42).image == Synthetic(1, Split::train, 50, 32).get(42).image);
  CHECK(train.get(42).image != train.get(52).image);
  CHECK(train.get(42).image != Synthetic(2, Split::train, 100, 32).get(42).image);
  CHECK(train.get(42).image != Synthetic(1, Split::test, 100, 32).get(42).image);
}

TEST_CASE("synthetic: the first images stay what they are", "[data]") {
  // One grey level of tolerance: compilers may fuse a multiplication and an addition.
  const auto pixel = [](i64 index, i64 x, i64 y) {
    const Image image = Synthetic(42, Split::train, 10, 32).get(index).image;
    return std::vector<int>(image.at(x, y), image.at(x, y) + 3);
  };
  const auto near = [](const std::vector<int>& got, const std::vector<int>& want) {
    for (size_t k = 0; k < 3; ++k) {
      if (std::abs(got[k] - want[k]) > 1) return false;
    }
    return true;
  };
  // clang-format off
  CHECK(near(pixel(0, 16, 16), {63, 46, 72}));
  CHECK(near(pixel(5, 3, 30), {3, 107, 20}));
  CHECK(near(pixel(9, 31, 0), {242, 140, 177}));
  // clang-format on
}

TEST_CASE("synthetic: a picture drawn larger is the same picture", "[data]") {
  for (i64 i = 0; i < 10; ++i) {
    const Image small = Synthetic(3, Split::train, 10, 32).get(i).image;
    const Image large = Synthetic(3, Split::train, 10, 96).get(i).image;
    CAPTURE(i);
    REQUIRE(large.width == 96);
    CHECK(mean(large) == Approx(mean(small)).margin(4.0));  // edges are softer in the small one
    double difference = 0;                                  // against the mean of 3x3 blocks
    for (i64 y = 0; y < 32; ++y) {
      for (i64 x = 0; x < 32; ++x) {
        double block = 0;
        for (i64 k = 0; k < 9; ++k) block += large.at(3 * x + k % 3, 3 * y + k / 3)[1] / 9.0;
        difference += std::abs(block - small.at(x, y)[1]) / 1024.0;
      }
    }
    CHECK(difference < 15.0);  // the noise alone gives about 9
  }
}

TEST_CASE("synthetic: odd and small sizes are drawn", "[data]") {
  for (const i64 side : {i64{8}, i64{33}, i64{57}}) {
    for (i64 i = 0; i < 10; ++i) {
      const Image image = Synthetic(0, Split::test, 10, side).get(i).image;
      CHECK(image.height == side);
      CHECK(image.pixels.size() == static_cast<size_t>(3 * side * side));
      CHECK(mean(image) > 30.0);
      CHECK(mean(image) < 225.0);
    }
  }
}

TEST_CASE("synthetic: raw pixels find the class better than chance and far from always", "[data]") {
  const Synthetic train(0, Split::train, 2000, 32), test(0, Split::test, 200, 32);
  std::vector<std::vector<float>> bank;
  for (i64 i = 0; i < train.size(); ++i) bank.push_back(unit_pixels(train.get(i).image));
  i64 right = 0;
  for (i64 i = 0; i < test.size(); ++i) right += nearest_label(bank, unit_pixels(test.get(i).image)) == i % 10;
  CHECK(right > 60);   // 30 %; 43 % is usual with a bank of 4,000
  CHECK(right < 110);  // 55 %
}

TEST_CASE("synthetic: impossible settings are refused", "[data]") {
  CHECK_THROWS_WITH(Synthetic(0, Split::train, 0, 32), "synthetic data: 0 images asked for, at least 1 is needed");
  CHECK_THROWS_WITH(Synthetic(0, Split::train, 1, 4), "synthetic data: image size 4 is outside 8 to 4096");
  CHECK_THROWS_AS(Synthetic(0, Split::train, 1, 5000), Error);
}
