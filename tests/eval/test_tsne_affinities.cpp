#include <dino/eval/tsne_affinities.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

std::vector<double> dense(const Affinities& p) {
  const i64 n = p.size();
  std::vector<double> out(static_cast<size_t>(n * n), 0.0);
  for (i64 r = 0; r < n; ++r)
    for (i64 e = p.rows[static_cast<size_t>(r)]; e < p.rows[static_cast<size_t>(r + 1)]; ++e)
      out[static_cast<size_t>(r * n + p.columns[static_cast<size_t>(e)])] =
          static_cast<double>(p.values[static_cast<size_t>(e)]);
  return out;
}

/// Symmetric, no entry twice, none on the diagonal, sum 1.
void check_joint(const Affinities& p) {
  const i64 n = p.size();
  const auto all = dense(p);
  double sum = 0, wrong = 0;
  for (i64 i = 0; i < n; ++i) {
    wrong += all[static_cast<size_t>(i * n + i)] != 0;
    for (i64 j = 0; j < n; ++j) {
      sum += all[static_cast<size_t>(i * n + j)];
      wrong += all[static_cast<size_t>(i * n + j)] != all[static_cast<size_t>(j * n + i)];
    }
    for (i64 e = p.rows[static_cast<size_t>(i)] + 1; e < p.rows[static_cast<size_t>(i + 1)]; ++e)
      wrong += p.columns[static_cast<size_t>(e)] <= p.columns[static_cast<size_t>(e - 1)];
  }
  CHECK(wrong == 0);
  CHECK(sum == Approx(1).epsilon(1e-6));
}

}  // namespace

TEST_CASE("tsne_affinities: all pairs and nearest ones have the probabilities of scikit-learn", "[eval][golden]") {
  HostContext ctx(2);
  const golden::File file("embedding.safetensors");
  const auto x = floats(file.values("tsne.x"));
  for (const bool all : {true, false}) {
    INFO("all = " << all);
    const auto p = tsne_affinities(ctx, x, 7, 8, all);
    check_joint(p);
    // The bisection stops at 1e-5 of the entropy: where both take the same steps, float distances decide.
    golden::check_close("p", dense(p), file.values(all ? "tsne.exact.p" : "tsne.near.p"), 1e-5);
  }
}

TEST_CASE("tsne_affinities: every row sees as many others as the perplexity says", "[eval]") {
  HostContext ctx(1);
  const i64 n = 300;
  const auto x = to_vector(randn<float>(ctx, {n, 4}, RngKey(2, 0)));
  std::vector<double> p(n - 1);
  for (const double perplexity : {1.5, 5.0, 30.0, 150.0}) {
    std::vector<float> d;
    for (i64 j = 1; j < n; ++j) d.push_back(1e4f + 100 * detail::squared_distance(x.data(), x.data() + 4 * j, 4));
    detail::calibrate_row(d.data(), n - 1, perplexity, p.data());
    double entropy = 0, sum = 0;
    for (const double value : p) {
      entropy -= value > 0 ? value * std::log(value) : 0;
      sum += value;
    }
    CHECK(sum == Approx(1).epsilon(1e-12));
    CHECK(std::exp(entropy) == Approx(perplexity).epsilon(2e-5));  // 1e-5 of the entropy
  }
}

TEST_CASE("tsne_affinities: equal rows, a few equal rows and rows far from all others", "[eval]") {
  HostContext ctx(2);
  check_joint(tsne_affinities(ctx, std::vector<float>(400, 3.0f), 4, 10, false));
  check_joint(tsne_affinities(ctx, std::vector<float>(400, 3.0f), 4, 10, true));
  auto x = to_vector(randn<float>(ctx, {100, 4}, RngKey(2, 0)));
  std::fill(x.begin(), x.begin() + 200, 0.5f);  // more than 3 x perplexity of the same
  x[399] = 1e8f;
  check_joint(tsne_affinities(ctx, x, 4, 10, false));
  check_joint(tsne_affinities(ctx, x, 4, 10, true));
}

TEST_CASE("tsne_affinities: the nearest others are those of a full sort, and threads change no bit", "[eval]") {
  HostContext ctx(2), three(3);
  const i64 n = 5000, k = 7;  // more than are searched together
  auto x = to_vector(randn<float>(ctx, {n, 3}, RngKey(9, 0)));
  for (float& value : x) value += 100;  // far from the origin
  const auto found = detail::nearest_others(ctx, x, 3, k);
  CHECK(found.index == detail::nearest_others(three, x, 3, k).index);
  i64 wrong = 0;
  for (i64 i = 0; i < n; i += 97) {
    std::vector<std::pair<float, i64>> all;
    for (i64 j = 0; j < n; ++j)
      if (j != i) all.push_back({detail::squared_distance(x.data() + 3 * i, x.data() + 3 * j, 3), j});
    std::sort(all.begin(), all.end());
    for (i64 m = 0; m < k; ++m) {
      const auto at = static_cast<size_t>(i * k + m);
      const bool same = found.index[at] == all[static_cast<size_t>(m)].second;
      wrong += !same && std::abs(found.distance[at] - all[static_cast<size_t>(m)].first) > 1e-4f;  // near ties
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("tsne_affinities: too few points and values that are not finite are refused", "[eval]") {
  HostContext ctx(1);
  std::vector<float> x(60, 1.0f);
  CHECK_THROWS_WITH(tsne_affinities(ctx, x, 3, 30, false),
                    "tsne: perplexity 30 needs 32 points or more, there are 20. Take more, or a perplexity of at most "
                    "a third of their number");
  CHECK_THROWS_WITH(tsne_affinities(ctx, x, 3, 1, false), "tsne: perplexity 1 must be above 1");
  CHECK_THROWS_WITH(tsne_affinities(ctx, {}, 3, 5, true), contains("there are 0"));
  CHECK_THROWS_WITH(tsne_affinities(ctx, x, 7, 5, true), "tsne: 60 numbers in rows of 7");
  x[7] = NAN;
  CHECK_THROWS_WITH(tsne_affinities(ctx, x, 3, 5, false), "tsne: a value of the rows is not finite");
}
