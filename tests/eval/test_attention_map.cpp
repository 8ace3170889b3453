#include <dino/eval/attention_map.hpp>

#include "support/golden.hpp"

#include <numeric>

using namespace dino;

namespace {

const golden::File& file() {
  static const golden::File f("attention.safetensors");
  return f;
}

std::vector<float> floats(const std::string& name) {
  const auto& values = file().values(name);
  return {values.begin(), values.end()};
}

std::vector<double> doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

}  // namespace

TEST_CASE("attention map: the patches' part of the class token's row, without class token and registers", "[eval]") {
  std::vector<float> row(2 * 9);  // 2 heads, class token, 2 registers, 2 x 3 patches
  std::iota(row.begin(), row.end(), 0.0f);
  const auto maps = class_attention_maps(row, 2, 9, 2, 3);
  CHECK(maps.values == std::vector<float>{3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17});
  CHECK(maps.heads == 2);
  CHECK(maps.patches() == 6);
  CHECK(std::vector<float>(maps.map(1).begin(), maps.map(1).end()) == std::vector<float>{12, 13, 14, 15, 16, 17});
  CHECK(mean_map(maps) == std::vector<float>{7.5f, 8.5f, 9.5f, 10.5f, 11.5f, 12.5f});

  std::vector<float> all(2 * 9 * 9);  // the same rows first, behind them those of the other tokens
  for (size_t i = 0; i < all.size(); ++i) all[i] = i % 81 < 9 ? row[i / 81 * 9 + i % 81] : -1.0f;
  CHECK(class_attention_maps(all, 2, 9, 2, 3).values == maps.values);

  CHECK_THROWS_WITH(class_attention_maps(row, 2, 8, 2, 3),
                    "class_attention_maps: 18 values for 2 heads, 8 tokens, 2 x 3 patches");
  CHECK_THROWS(class_attention_maps(row, 2, 9, 3, 3));  // no class token left
  CHECK_THROWS(class_attention_maps(row, 0, 9, 2, 3));
}

TEST_CASE("attention map: masks by mass are those of the reference", "[eval][golden]") {
  const std::vector<float> published{.05f, .2f, .1f, .3f, .02f, .33f};
  CHECK(mask_by_mass(published, 0.6) == std::vector<u8>{0, 0, 0, 1, 0, 1});
  const auto maps = floats("mask.maps");
  for (const auto* keep : {"0.1", "0.6", "0.95", "1.0"}) {
    INFO(keep);
    const auto& expected = file().values(str("mask.{}", keep));
    std::vector<double> got;
    for (size_t h = 0; h < 4; ++h)
      for (const u8 x : mask_by_mass(std::span(maps).subspan(35 * h, 35), std::stod(keep))) got.push_back(x);
    CHECK(got == expected);
  }
  CHECK(mask_by_mass(std::vector<float>{1, 1, 1, 1}, 0.5) == std::vector<u8>{0, 0, 1, 1});  // of equal ones the later
  CHECK(mask_by_mass(std::vector<float>{0.5f}, 0.1) == std::vector<u8>{1});
  CHECK(mask_by_mass({}, 0.5).empty());
  for (const double keep : {0.0, -1.0, 1.01, std::nan("")})
    CHECK_THROWS_WITH(mask_by_mass(published, keep), Catch::Matchers::Contains("must be above 0 and at most 1"));
}

TEST_CASE("attention map: values between 0 and 1", "[eval]") {
  const std::vector<float> x{2, 4, 3, 6};
  const auto range = value_range(x);
  CHECK(range.low == 2);
  CHECK(range.high == 6);
  CHECK(scaled_to(x, range) == std::vector<float>{0, 0.5f, 0.25f, 1});
  CHECK(scaled_to(x, {3, 4}) == std::vector<float>{-1, 1, 0, 3});
  CHECK(scaled_to(x, {3, 3}) == std::vector<float>(4, 0.0f));
  CHECK_THROWS(value_range({}));
  std::vector<float> many(1001);
  std::iota(many.rbegin(), many.rend(), 0.0f);
  many[500] = 1e9f;
  const auto middle = quantile_range(many, 0.01);
  CHECK(middle.low == 10);
  CHECK(middle.high == 991);  // 500 is gone
  CHECK(quantile_range(many, 0).high == 1e9f);
  CHECK_THROWS(quantile_range(many, 0.5));
  CHECK_THROWS(quantile_range({}, 0.1));
}

TEST_CASE("attention map: up-sampling equals PyTorch", "[eval][golden]") {
  const auto map = floats("up.map");
  CHECK(doubles(upsample_nearest(std::span<const float>(map), 3, 5, 4)) == file().values("up.nearest"));
  const auto smooth = [&](Smoothing s) { return doubles(upsample_smooth(map, 3, 5, 4, s)); };
  golden::check_close("bilinear", smooth(Smoothing::bilinear), file().values("up.bilinear"), 1e-6);  // in float
  golden::check_close("bicubic", smooth(Smoothing::bicubic), file().values("up.bicubic"), 1e-6);
  for (const auto s : {Smoothing::bilinear, Smoothing::bicubic}) {
    CHECK(upsample_smooth(std::vector<float>{3}, 1, 1, 2, s) == std::vector<float>(4, 3.0f));
    CHECK(golden::relative_error(upsample_smooth(map, 3, 5, 1, s), map) <= 1e-6);
  }
  CHECK_THROWS(upsample_smooth(map, 3, 4, 2));
  CHECK_THROWS(upsample_nearest(std::span<const float>(map), 3, 5, 0));
}

TEST_CASE("attention map: rollout is row 0 of the product of all blocks", "[eval][golden]") {
  const auto blocks = floats("rollout.attention");
  const auto got = attention_rollout(blocks, 3, 2, 9);
  golden::check_close("rollout", doubles(got), file().values("rollout"), 1e-7);  // rounded once
  CHECK(std::accumulate(got.begin(), got.end(), 0.0) == Approx(1));
  CHECK_THROWS(attention_rollout(blocks, 2, 2, 9));

  ClassRollout parts(9);  // rows in two parts, in any order
  for (size_t l = 3; l-- > 0; parts.next_block()) {
    for (const auto& [first, count] : {std::pair<i64, i64>{4, 5}, {0, 4}}) {
      std::vector<float> rows;
      for (i64 h = 0; h < 2; ++h) {
        const auto from = blocks.begin() + ((static_cast<i64>(l) * 2 + h) * 9 + first) * 9;
        rows.insert(rows.end(), from, from + count * 9);
      }
      parts.rows(rows, 2, first, count);
    }
  }
  CHECK(golden::relative_error(parts.values(), got) <= 1e-7);
  CHECK_THROWS(parts.rows(blocks, 2, 5, 5));
}
