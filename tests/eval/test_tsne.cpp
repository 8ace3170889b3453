#include <dino/eval/embedding_quality.hpp>
#include <dino/eval/tsne.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

/// Rows around 6 centres that are far from each other.
std::vector<float> clusters(HostContext& ctx, i64 n, i64 dim, std::vector<i64>& labels) {
  auto x = to_vector(randn<float>(ctx, {n, dim}, RngKey(6, 0)));
  for (i64 i = 0; i < n; ++i) {
    labels.push_back(i % 6);
    x[static_cast<size_t>(i * dim + i % 6)] += 20;
  }
  return x;
}

}  // namespace

TEST_CASE("tsne: as low a divergence as scikit-learn comes to", "[eval][golden]") {
  HostContext ctx(2);
  const golden::File file("embedding.safetensors");
  const auto x = floats(file.values("tsne.x"));
  const double least = file.values("tsne.least")[0];
  CHECK(tsne(ctx, x, 7, {.perplexity = 8, .theta = 0}).divergence < 1.02 * least);
  const auto near = tsne(ctx, x, 7, {.perplexity = 8});
  CHECK(near.divergence < 1.05 * least);  // of other affinities, a little higher or lower
  CHECK(near.divergence > 0.8 * least);
}

TEST_CASE("tsne: clusters come apart, and neighbours stay neighbours", "[eval]") {
  HostContext ctx(2);
  std::vector<i64> labels;
  const auto x = clusters(ctx, 700, 12, labels);
  for (const double theta : {0.0, 0.5}) {
    std::vector<i64> seen;
    double last = 0;
    const auto out = tsne(ctx, x, 12, {.iterations = 400, .theta = theta}, [&](const TsneProgress& p) {
      seen.push_back(p.iteration);
      last = p.divergence;
    });
    CHECK(seen == std::vector<i64>{50, 100, 150, 200, 250, 300, 350, 400});
    CHECK(out.iterations == 400);
    CHECK(out.points.size() == 1400);
    CHECK(out.divergence == Approx(last).epsilon(0.01));
    CHECK(plane_knn_accuracy(ctx, out.points, labels) == 100);
    CHECK(trustworthiness(ctx, x, 12, out.points) > 0.9);
  }
}

TEST_CASE("tsne: threads change no bit", "[eval]") {
  HostContext one(1), two(2), three(3);
  std::vector<i64> labels;
  const auto x = clusters(one, 500, 12, labels);
  const TsneSettings settings{.iterations = 300};
  const auto a = tsne(one, x, 12, settings), b = tsne(two, x, 12, settings), c = tsne(three, x, 12, settings);
  CHECK(a.points == b.points);
  CHECK(a.points == c.points);
  CHECK(a.divergence == c.divergence);
}

TEST_CASE("tsne: starts from the principal components, deviation 1e-4", "[eval]") {
  HostContext ctx(1);
  const golden::File file("embedding.safetensors");
  const auto x = floats(file.values("pca.tall.x"));
  const auto start = tsne_start(ctx, x, 24);
  const auto& projection = file.values("pca.tall.projection");  // (n,6)
  double square = 0;
  for (size_t i = 0; i < projection.size(); i += 6) square += projection[i] * projection[i];
  const double scale = 1e-4 / std::sqrt(square / static_cast<double>(projection.size() / 6));
  std::vector<double> expected;
  for (size_t i = 0; i < projection.size(); i += 6)
    for (size_t c = 0; c < 2; ++c) expected.push_back(scale * projection[i + c]);
  golden::check_close("start", {start.begin(), start.end()}, expected, 1e-6);
}

TEST_CASE("tsne: rows that are all equal, pairs of equal rows, and few rows", "[eval]") {
  HostContext ctx(2);
  const auto equal = tsne(ctx, std::vector<float>(600, 2.5f), 3, {.iterations = 300});
  for (const float p : equal.points) CHECK(p == 0);  // nothing to begin with
  CHECK(equal.iterations == 50);                     // no slope: it stops
  auto x = to_vector(randn<float>(ctx, {100, 3}, RngKey(2, 0)));
  std::copy(x.begin(), x.begin() + 150, x.begin() + 150);
  const auto twins = tsne(ctx, x, 3, {.perplexity = 5, .iterations = 500});
  for (size_t i = 0; i < 100; ++i)
    CHECK(std::abs(twins.points[i] - twins.points[i + 100]) < 1.5f);  // of a picture 20 wide
  const auto few = tsne(ctx, std::span(x).first(9), 3, {.perplexity = 1.5, .iterations = 250});
  for (const float p : few.points) CHECK(std::isfinite(p));
}

TEST_CASE("tsne: settings and starts that do not fit are refused", "[eval]") {
  HostContext ctx(1);
  const auto x = to_vector(randn<float>(ctx, {50, 3}, RngKey(2, 0)));
  CHECK_THROWS_WITH(tsne(ctx, x, 3, {.iterations = 0}), contains("tsne: 0 iterations"));
  CHECK_THROWS_WITH(tsne(ctx, x, 3, {.perplexity = 60}), contains("needs 62 points or more, there are 50"));
  const auto p = tsne_affinities(ctx, x, 3, 10, false);
  CHECK_THROWS_WITH(tsne(ctx, p, x, {}), "tsne: a start of 150 numbers for 50 points");
  CHECK_THROWS_WITH(tsne(ctx, p, std::span(x).first(100), {.exaggeration = 0.5}), contains("exaggeration 0.5"));
  CHECK_THROWS_WITH(tsne(ctx, p, std::span(x).first(100), {.learning_rate = 1e30}), contains("tsne: diverged"));
}
