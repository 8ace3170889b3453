#include <dino/eval/features.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

constexpr EvalTransform transform{.size = 4, .mean = {0, 0, 0}, .deviation = {1, 1, 1}};

/// Pictures of one grey each; some cannot be read.
struct Greys {
  i64 count = 10;
  std::vector<i64> bad{};
  bool crash = false;

  i64 size() const { return count; }
  Sample get(i64 i) const {
    require(!crash, "a fault of the program");
    if (std::find(bad.begin(), bad.end(), i) != bad.end()) fail(ErrorKind::data, "grey_{}.png: not a PNG", i);
    Sample sample;
    sample.image = Image(4, 4);
    std::fill(sample.image.pixels.begin(), sample.image.pixels.end(), static_cast<u8>(10 * i));
    sample.label = i % 3;
    return sample;
  }
};

/// The mean of all pixels and the number 2.
HostTensor<float> mean_pixel(const HostTensor<float>& x) {
  const i64 each = x.numel() / x.shape()[0];
  return generate<float>(x.ctx(), {x.shape()[0], 2}, [&](i64 i) {
    double total = 0;
    for (i64 k = 0; k < each; ++k) total += static_cast<double>(x[i / 2 * each + k]);
    return i % 2 ? 2.0 : total / static_cast<double>(each);
  });
}

FeatureSet extract(HostContext& ctx, const Greys& greys, i64 batch) {
  return extract_features<float>(ctx, ctx, mean_pixel, AnyDataset(greys), transform, batch);
}

}  // namespace

TEST_CASE("features: one row per image in the order of the data set, for any batch", "[eval]") {
  HostContext ctx(2);
  const auto set = extract(ctx, {}, 64);
  REQUIRE(set.size() == 10);
  CHECK(set.dim == 2);
  for (i64 i = 0; i < 10; ++i) {
    CHECK(set.values[static_cast<size_t>(2 * i)] == Approx(static_cast<double>(i) * 10 / 255));
    CHECK(set.values[static_cast<size_t>(2 * i + 1)] == 2);
    CHECK(set.labels[static_cast<size_t>(i)] == i % 3);
    CHECK(set.index[static_cast<size_t>(i)] == i);
  }
  CHECK(set.skipped.empty());
  for (const i64 batch : {1, 3, 10}) CHECK(extract(ctx, {}, batch).values == set.values);
}

TEST_CASE("features: unreadable images are left out and named", "[eval]") {
  HostContext ctx(2);
  const auto set = extract(ctx, {.count = 10, .bad = {0, 4, 5, 9}}, 3);  // a whole batch among them: 9
  CHECK(set.index == std::vector<i64>{1, 2, 3, 6, 7, 8});
  CHECK(set.labels == std::vector<i64>{1, 2, 0, 0, 1, 2});
  CHECK(set.values.size() == 12);
  CHECK(set.values[6] == Approx(60.0 / 255));
  REQUIRE(set.skipped.size() == 4);
  CHECK_THAT(set.skipped[1], contains("grey_4.png: not a PNG"));
}

TEST_CASE("features: a fault of the program is not an unreadable image", "[eval]") {
  HostContext ctx(2);
  CHECK_THROWS_WITH(extract(ctx, {.count = 3, .bad = {}, .crash = true}, 2), contains("a fault of the program"));
}

TEST_CASE("features: progress is reported after each batch", "[eval]") {
  HostContext ctx(1);
  std::vector<i64> done;
  extract_features<float>(ctx, ctx, mean_pixel, AnyDataset(Greys{}), transform, 4, [&](i64 n) { done.push_back(n); });
  CHECK(done == std::vector<i64>{4, 8, 10});
}

TEST_CASE("features: the network may compute in double", "[eval]") {
  HostContext ctx(1);
  const auto first = [](const HostTensor<double>& x) {
    return generate<double>(x.ctx(), {x.shape()[0], 1}, [&](i64 i) { return x[i * 48]; });
  };
  const auto set = extract_features<double>(ctx, ctx, first, AnyDataset(Greys{}), transform);
  CHECK(set.values[3] == Approx(30.0 / 255));
}

TEST_CASE("features: rows are scaled to unit length, zero rows stay zero", "[eval]") {
  HostContext ctx(1);
  FeatureSet set;
  normalize_rows(ctx, set);
  CHECK(set.values.empty());
  set.dim = 2;
  set.values = {3, 4, 0, 0, 0, -2};
  set.labels = {0, 0, 0};
  normalize_rows(ctx, set);
  CHECK(golden::relative_error(set.values, std::vector<float>{0.6f, 0.8f, 0, 0, 0, -1}) <= 1e-7);
  CHECK(set.values[2] == 0);
  CHECK(set.values[3] == 0);
}

TEST_CASE("features: pixel features are the normalised pixels, flattened", "[eval]") {
  HostContext ctx(2);
  const EvalTransform normalised{.size = 4, .mean = {0.5f, 0, 0}, .deviation = {0.5f, 1, 1}};
  const auto set = pixel_features(ctx, AnyDataset(Greys{.count = 3, .bad = {1}}), normalised);
  CHECK(set.dim == 48);
  REQUIRE(set.size() == 2);
  CHECK(set.values[0] == -1);
  CHECK(set.values[16] == 0);
  CHECK(set.values[48] == Approx((20.0 / 255 - 0.5) / 0.5));
  CHECK(set.values[95] == Approx(20.0 / 255));
  CHECK(set.skipped.size() == 1);
}
