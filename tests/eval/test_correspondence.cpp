#include <dino/eval/correspondence.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> draw(HostContext& ctx, i64 rows, i64 dim, u64 stream) {
  return to_vector(randn<float>(ctx, {rows, dim}, RngKey(3, stream)));
}

}  // namespace

TEST_CASE("correspondence: mutual nearest neighbours equal PyTorch", "[eval][golden]") {
  const golden::File file("attention.safetensors");
  HostContext ctx(2);
  const auto floats = [&](const std::string& name) {
    const auto& x = file.values(name);
    return std::vector<float>(x.begin(), x.end());
  };
  const auto& expected = file.values("match.pairs");
  const auto got = best_buddies(ctx, floats("match.a"), floats("match.b"), 6);
  REQUIRE(got.size() == expected.size() / 3);
  for (size_t i = 0; i < got.size(); ++i) {
    CHECK(static_cast<double>(got[i].a) == expected[3 * i]);
    CHECK(static_cast<double>(got[i].b) == expected[3 * i + 1]);
    CHECK(static_cast<double>(got[i].similarity) == Approx(expected[3 * i + 2]).epsilon(1e-6));
  }
}

TEST_CASE("correspondence: over more rows than are held at a time, against a loop over all pairs", "[eval]") {
  HostContext ctx(2);
  const i64 n = 1500, m = 70, dim = 5;
  const auto a = draw(ctx, n, dim, 1), b = draw(ctx, m, dim, 2);
  const auto cosine = [&](i64 i, i64 j) {
    double ab = 0, aa = 0, bb = 0;
    for (i64 c = 0; c < dim; ++c) {
      const double x = a[static_cast<size_t>(i * dim + c)], y = b[static_cast<size_t>(j * dim + c)];
      ab += x * y, aa += x * x, bb += y * y;
    }
    return ab / std::sqrt(aa * bb);
  };
  std::vector<i64> of_a(n, 0), of_b(m, 0);
  for (i64 i = 0; i < n; ++i)
    for (i64 j = 0; j < m; ++j) {
      if (cosine(i, j) > cosine(i, of_a[static_cast<size_t>(i)])) of_a[static_cast<size_t>(i)] = j;
      if (cosine(i, j) > cosine(of_b[static_cast<size_t>(j)], j)) of_b[static_cast<size_t>(j)] = i;
    }
  std::vector<std::pair<i64, i64>> expected, got;
  for (i64 i = 0; i < n; ++i)
    if (of_b[static_cast<size_t>(of_a[static_cast<size_t>(i)])] == i)
      expected.emplace_back(i, of_a[static_cast<size_t>(i)]);
  const auto matches = best_buddies(ctx, a, b, dim);
  for (const auto& match : matches) got.emplace_back(match.a, match.b);
  std::sort(got.begin(), got.end());
  CHECK(got == expected);
  CHECK(got.size() > 5);
  CHECK(std::is_sorted(matches.begin(), matches.end(),
                       [](const PatchMatch& x, const PatchMatch& y) { return x.similarity > y.similarity; }));
}

TEST_CASE("correspondence: a picture with itself, length and masks", "[eval]") {
  HostContext ctx(1);
  const i64 n = 20, dim = 4;
  auto a = draw(ctx, n, dim, 1), b = a;
  for (size_t i = 0; i < b.size(); ++i) b[i] *= static_cast<float>(1 + i / 4);  // each row longer: no cosine changes
  const auto all = best_buddies(ctx, a, b, dim);
  CHECK(all.size() == static_cast<size_t>(n));
  for (const auto& match : all) {
    CHECK(match.a == match.b);
    CHECK(match.similarity == Approx(1));
  }
  std::vector<u8> mask(static_cast<size_t>(n), 0);
  mask[3] = mask[7] = 1;
  const auto some = best_buddies(ctx, a, b, dim, mask, {});
  REQUIRE(some.size() == 2);
  for (const auto& match : some) CHECK(mask[static_cast<size_t>(match.a)] == 1);
  CHECK(best_buddies(ctx, a, b, dim, mask, std::vector<u8>(static_cast<size_t>(n), 0)).empty());
  CHECK(best_buddies(ctx, a, {}, dim).empty());
  CHECK_THROWS(best_buddies(ctx, a, b, 3));
  CHECK_THROWS(best_buddies(ctx, a, b, dim, std::vector<u8>{1}, {}));
  const std::vector<float> zero(8, 0.0f);
  CHECK(best_buddies(ctx, zero, zero, dim) == std::vector<PatchMatch>{{0, 0, 0}});  // all equal: the first
  a[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(best_buddies(ctx, a, b, dim), "best_buddies: a token is not finite");
}

TEST_CASE("correspondence: spread matches keep their distance in both pictures", "[eval]") {
  const std::vector<PatchMatch> matches{{0, 0, 0.9f}, {1, 30, 0.8f}, {22, 1, 0.7f}, {24, 34, 0.6f}, {44, 64, 0.5f}};
  const auto spread = spread_matches(matches, 10, 10, 10, 2);  // 1 is beside 0 in a, and 1 beside 0 in b
  CHECK(spread == std::vector<PatchMatch>{matches[0], matches[3], matches[4]});
  CHECK(spread_matches(matches, 10, 10, 2, 2) == std::vector<PatchMatch>{matches[0], matches[3]});
  CHECK(spread_matches(matches, 10, 10, 10, 0) == matches);
  CHECK(spread_matches({}, 10, 10, 10, 2).empty());
}
