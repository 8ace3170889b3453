#include <dino/eval/feature_rows.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

FeatureSet random_set(HostContext& ctx, i64 rows, i64 dim) {
  FeatureSet set;
  set.dim = dim;
  set.values = to_vector(randn<float>(ctx, {rows, dim}, RngKey(3, 0)));
  for (i64 i = 0; i < rows; ++i) set.labels.push_back(i % 4);
  return set;
}

std::vector<float> part(const FeatureSet& set, i64 first, i64 rows) {
  return {set.values.begin() + first * set.dim, set.values.begin() + (first + rows) * set.dim};
}

std::vector<float> read(const FeatureRows& rows, i64 first, i64 count) {
  std::vector<float> buffer;
  const auto got = rows.read(first, count, buffer);
  return {got.begin(), got.end()};
}

/// The set through a buffer, as rows on disk are.
FeatureRows copied(const FeatureSet& set) {
  return {set.dim, set.labels, [&set](i64 first, i64 rows, std::vector<float>& buffer) {
            buffer = part(set, first, rows);
            return std::span<const float>(buffer);
          }};
}

}  // namespace

TEST_CASE("feature_rows: a set in memory is read where it lies", "[eval]") {
  HostContext ctx(2);
  const auto set = random_set(ctx, 9, 5);
  const auto rows = rows_of(set);
  CHECK(rows.size() == 9);
  CHECK(rows.dim == 5);
  CHECK(rows.labels == set.labels);
  std::vector<float> buffer;
  CHECK(rows.read(2, 3, buffer).data() == set.values.data() + 10);
  CHECK(rows.read(9, 0, buffer).empty());
}

TEST_CASE("feature_rows: unit rows have the bits of normalize_rows, in place and through a buffer", "[eval]") {
  HostContext ctx(2);
  auto set = random_set(ctx, 9, 33);
  auto expected = set;
  normalize_rows(ctx, expected);
  for (const i64 rows : {1, 4, 9}) {
    CHECK(read(unit_rows(ctx, rows_of(set)), 9 - rows, rows) == part(expected, 9 - rows, rows));
    CHECK(read(unit_rows(ctx, copied(set)), 9 - rows, rows) == part(expected, 9 - rows, rows));
  }
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    set.values[40] = bad;
    CHECK_THROWS_WITH(read(unit_rows(ctx, rows_of(set)), 0, 9), "features: row 1 holds values that are not finite");
    CHECK(read(unit_rows(ctx, rows_of(set)), 2, 7) == part(expected, 2, 7));
  }
}

TEST_CASE("feature_rows: selected rows stand in the order asked for", "[eval]") {
  HostContext ctx(2);
  const auto set = random_set(ctx, 11, 7);
  const std::vector<i64> positions{9, 2, 3, 4, 0, 4, 5};
  for (const auto& whole : {rows_of(set), copied(set)}) {
    const auto rows = select_rows(whole, positions);
    REQUIRE(rows.size() == 7);
    for (i64 first = 0; first < 7; ++first) {
      for (i64 count = 0; first + count <= 7; ++count) {
        std::vector<float> expected;
        for (i64 i = first; i < first + count; ++i) {
          const auto row = part(set, positions[static_cast<size_t>(i)], 1);
          expected.insert(expected.end(), row.begin(), row.end());
        }
        CHECK(read(rows, first, count) == expected);
      }
      CHECK(rows.labels[static_cast<size_t>(first)] == positions[static_cast<size_t>(first)] % 4);
    }
  }
  CHECK_THROWS_WITH(select_rows(rows_of(set), {11}), "select_rows: row 11 of 11");
  CHECK_THROWS_WITH(select_rows(rows_of(set), {-1}), "select_rows: row -1 of 11");
}
