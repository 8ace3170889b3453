#include <dino/data/crop_plan.hpp>

#include "support/catch.hpp"

#include <map>

using namespace dino;

namespace {

constexpr i64 many = 20000;

/// Share of the plans of one crop number for which f holds.
template <class F> double share(const CropSettings& s, i64 crop, F&& f) {
  i64 count = 0;
  for (i64 i = 0; i < many; ++i) count += f(plan_crop(s, 1, 0, i, crop, 500, 375)) ? 1 : 0;
  return static_cast<double>(count) / static_cast<double>(many);
}

template <class F> std::pair<double, double> extent(i64 crop, F&& f) {
  double low = 1e30, high = -1e30;
  for (i64 i = 0; i < many; ++i) {
    const double v = static_cast<double>(f(plan_crop({}, 1, 0, i, crop, 500, 375)));
    low = std::min(low, v);
    high = std::max(high, v);
  }
  return {low, high};
}

}  // namespace

TEST_CASE("crop_plan: a plan depends on seed, epoch, sample and crop, and on nothing else", "[data]") {
  const auto plan = plan_crop({}, 7, 3, 41, 5, 500, 375);
  CHECK(plan_crop({}, 7, 3, 41, 5, 500, 375) == plan);
  CHECK_FALSE(plan_crop({}, 8, 3, 41, 5, 500, 375) == plan);
  CHECK_FALSE(plan_crop({}, 7, 4, 41, 5, 500, 375) == plan);
  CHECK_FALSE(plan_crop({}, 7, 3, 42, 5, 500, 375) == plan);
  CHECK_FALSE(plan_crop({}, 7, 3, 41, 6, 500, 375) == plan);
}

TEST_CASE("crop_plan: the draws stay what they are", "[data]") {
  const auto plan = plan_crop({}, 1, 2, 3, 4, 500, 375);
  CHECK(plan.box == kernels::PixelBox{269, 36, 180, 152});
  CHECK(plan.brightness == Approx(0.936759f).epsilon(1e-5));
  CHECK(plan.hue == Approx(-0.0796234).epsilon(1e-5));
  CHECK(plan.blur_radius == Approx(1.93555).epsilon(1e-5));
}

TEST_CASE("crop_plan: options act as often as the recipe says", "[data]") {
  // Four standard deviations of 20,000 draws are at most 0.0142.
  const auto near = [](double p) { return Approx(p).margin(0.0142); };
  CHECK(share({}, 0, [](const CropPlan& p) { return p.flip; }) == near(0.5));
  CHECK(share({}, 3, [](const CropPlan& p) { return p.jitter; }) == near(0.8));
  CHECK(share({}, 1, [](const CropPlan& p) { return p.gray; }) == near(0.2));
  CHECK(share({}, 0, [](const CropPlan& p) { return p.blur; }) == 1.0);
  CHECK(share({}, 1, [](const CropPlan& p) { return p.blur; }) == near(0.1));
  CHECK(share({}, 2, [](const CropPlan& p) { return p.blur; }) == near(0.5));
  CHECK(share({}, 9, [](const CropPlan& p) { return p.blur; }) == near(0.5));
  CHECK(share({}, 0, [](const CropPlan& p) { return p.solarize; }) == 0.0);
  CHECK(share({}, 1, [](const CropPlan& p) { return p.solarize; }) == near(0.2));
  CHECK(share({}, 2, [](const CropPlan& p) { return p.solarize; }) == 0.0);
}

TEST_CASE("crop_plan: probability 0 is never and 1 is always", "[data]") {
  CropSettings s;
  s.flip_prob = s.jitter_prob = s.gray_prob = s.solarize_prob = 0;
  s.blur_prob = {0, 0, 0};
  CHECK(share(s, 1, [](const CropPlan& p) { return p.flip || p.jitter || p.gray || p.blur || p.solarize; }) == 0.0);
  s.flip_prob = s.jitter_prob = s.gray_prob = s.solarize_prob = 1;
  s.blur_prob = {1, 1, 1};
  CHECK(share(s, 1, [](const CropPlan& p) { return p.flip && p.jitter && p.gray && p.blur && p.solarize; }) == 1.0);
}

TEST_CASE("crop_plan: factors fill their ranges", "[data]") {
  const auto fills = [](std::pair<double, double> got, double low, double high) {
    const double slack = 0.002 * (high - low);
    return got.first >= low && got.first < low + slack && got.second <= high && got.second > high - slack;
  };
  const double float_edge = 1e-7;  // the factors are floats
  CHECK(fills(extent(0, [](const CropPlan& p) { return p.brightness; }), 0.6 - float_edge, 1.4 + float_edge));
  CHECK(fills(extent(0, [](const CropPlan& p) { return p.contrast; }), 0.6 - float_edge, 1.4 + float_edge));
  CHECK(fills(extent(0, [](const CropPlan& p) { return p.saturation; }), 0.8 - float_edge, 1.2 + float_edge));
  CHECK(fills(extent(0, [](const CropPlan& p) { return p.hue; }), -0.1, 0.1));
  CHECK(fills(extent(2, [](const CropPlan& p) { return p.blur_radius; }), 0.1, 2.0));
}

TEST_CASE("crop_plan: the strength of the jitter scales its ranges, and no factor is negative", "[data]") {
  CropSettings s;
  s.color_jitter = 0;
  CHECK(share(s, 0, [](const CropPlan& p) { return p.brightness == 1 && p.saturation == 1 && p.hue == 0; }) == 1.0);
  s.color_jitter = 10;
  CHECK(share(s, 0, [](const CropPlan& p) { return p.contrast < 0 || std::abs(p.hue) > 0.5; }) == 0.0);
  CHECK(share(s, 0, [](const CropPlan& p) { return p.contrast > 1.4f; }) > 0.5);
}

TEST_CASE("crop_plan: all 24 orders of the colour operations are equally likely", "[data]") {
  std::map<std::array<ColorOp, 4>, i64> seen;
  for (i64 i = 0; i < many; ++i) ++seen[plan_crop({}, 1, 0, i, 0, 64, 64).order];
  REQUIRE(seen.size() == 24);
  const double expected = static_cast<double>(many) / 24.0;
  double chi2 = 0;
  for (const auto& [order, count] : seen) {
    chi2 += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
  }
  CHECK(chi2 < 49.7);  // 99.9 % point with 23 degrees of freedom
}

TEST_CASE("crop_plan: boxes lie inside the picture and have the area and ratio asked for", "[data]") {
  for (const i64 crop : {0, 1, 2, 9}) {
    const double low = crop < 2 ? 0.4 : 0.05, high = crop < 2 ? 1.0 : 0.4;
    double smallest = 1, largest = 0;
    bool good = true;
    for (i64 i = 0; i < 3000; ++i) {
      const auto plan = plan_crop({}, 5, 1, i, crop, 500, 375);
      const auto& b = plan.box;
      good = good && plan.size == (crop < 2 ? 224 : 96);
      good = good && b.x >= 0 && b.y >= 0 && b.width >= 1 && b.height >= 1;
      good = good && b.x + b.width <= 500 && b.y + b.height <= 375;
      const double area = static_cast<double>(b.width * b.height) / (500.0 * 375.0);
      const double ratio = static_cast<double>(b.width) / static_cast<double>(b.height);
      good = good && ratio > 0.73 && ratio < 1.36;  // sides are rounded
      smallest = std::min(smallest, area);
      largest = std::max(largest, area);
    }
    CHECK(good);
    CHECK(smallest > low - 0.004);
    CHECK(smallest < low + 0.01);
    CHECK(largest < high + 0.004);
    CHECK(largest > high - 0.03);
  }
}

TEST_CASE("crop_plan: a box that cannot be had becomes the centred part of the allowed ratio", "[data]") {
  CropSettings s;
  s.global_scale_min = s.global_scale_max = 1.0;  // the whole area, which only a ratio of 10 could give
  CHECK(plan_crop(s, 1, 0, 0, 0, 1000, 100).box == kernels::PixelBox{433, 0, 133, 100});
  CHECK(plan_crop(s, 1, 0, 0, 0, 90, 1000).box == kernels::PixelBox{0, 440, 90, 120});
  CHECK(plan_crop(s, 1, 0, 0, 0, 1, 1).box == kernels::PixelBox{0, 0, 1, 1});
  CHECK(plan_crop({}, 1, 0, 0, 5, 1, 16384).box.width == 1);
}

TEST_CASE("crop_plan: a changed probability moves no other decision", "[data]") {
  CropSettings s;
  s.gray_prob = 1;
  s.flip_prob = 0;
  s.blur_prob = {0, 0, 0};
  for (i64 i = 0; i < 50; ++i) {
    auto plan = plan_crop({}, 9, 0, i, 1, 80, 60);
    const auto other = plan_crop(s, 9, 0, i, 1, 80, 60);
    plan.gray = true;
    plan.flip = plan.blur = false;
    CHECK(other == plan);
  }
}

TEST_CASE("crop_plan: settings out of range are named", "[data]") {
  const auto message = [](auto&& change) {
    CropSettings s;
    change(s);
    check_crop_settings(s);
  };
  CHECK_NOTHROW(check_crop_settings({}));
  CHECK_THROWS_WITH(message([](auto& s) { s.global_size = 0; }), "global_size = 0 must be in [1, 16384]");
  CHECK_THROWS_WITH(message([](auto& s) { s.flip_prob = 1.5; }), "flip_prob = 1.5 must be in [0, 1]");
  CHECK_THROWS_WITH(message([](auto& s) { s.local_scale_min = 0.5; }), contains("local_scale = 0.5 to 0.4"));
  CHECK_THROWS_WITH(message([](auto& s) { s.blur_prob[2] = -1; }), contains("blur_prob = -1"));
  CHECK_THROWS_WITH(message([](auto& s) { s.hue = 0.6; }), contains("hue = 0.6"));
  CHECK_THROWS_WITH(message([](auto& s) { s.deviation[1] = 0; }), contains("deviation = 0"));
  CHECK_THROWS_WITH(plan_crop({}, 1, 0, 0, 0, 0, 5), contains("the picture is 0 x 5"));
  CHECK_THROWS_WITH(plan_crop({}, 1, 0, -1, 0, 5, 5), contains("sample -1"));
}
