#include <dino/eval/embedding_quality.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }
std::vector<i64> integers(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace

TEST_CASE("embedding_quality: trustworthiness and k-NN are those of scikit-learn", "[eval][golden]") {
  HostContext ctx(2);
  const golden::File file("embedding.safetensors");
  const auto x = floats(file.values("tsne.x")), y = floats(file.values("tsne.y"));
  CHECK(trustworthiness(ctx, x, 7, y) == Approx(file.values("tsne.trustworthiness.5")[0]).epsilon(1e-12));
  CHECK(trustworthiness(ctx, x, 7, y, 12) == Approx(file.values("tsne.trustworthiness.12")[0]).epsilon(1e-12));
  CHECK(plane_knn_accuracy(ctx, y, integers(file.values("tsne.labels"))) ==
        Approx(file.values("tsne.knn")[0]).epsilon(1e-12));
}

TEST_CASE("embedding_quality: neighbours of the plane are those of a full sort, over several blocks", "[eval]") {
  HostContext ctx(2);
  const i64 n = 600, k = 13;
  auto points = to_vector(randn<float>(ctx, {n, 2}, RngKey(3, 0)));
  for (float& p : points) p = std::round(p * 8) / 8;  // many are equally far
  const auto found = plane_neighbours(ctx, points, k);
  HostContext three(3);
  CHECK(found == plane_neighbours(three, points, k));
  for (i64 i = 0; i < n; ++i) {
    std::vector<std::pair<float, i64>> all;
    for (i64 j = 0; j < n; ++j) {
      const auto at = [&](i64 p, i64 c) { return points[static_cast<size_t>(2 * p + c)]; };
      if (j != i) all.push_back({std::pow(at(i, 0) - at(j, 0), 2.0f) + std::pow(at(i, 1) - at(j, 1), 2.0f), j});
    }
    std::sort(all.begin(), all.end());
    for (i64 m = 0; m < k; ++m)
      if (found[static_cast<size_t>(i * k + m)] != all[static_cast<size_t>(m)].second)
        CHECK(found[static_cast<size_t>(i * k + m)] == all[static_cast<size_t>(m)].second);
  }
}

TEST_CASE("embedding_quality: rows of the plane are their own best picture, a shuffled one is not", "[eval]") {
  HostContext ctx(2);
  const i64 n = 5000;  // several blocks of scores
  const auto x = to_vector(randn<float>(ctx, {n, 2}, RngKey(1, 0)));
  CHECK(trustworthiness(ctx, x, 2, x, 7) == 1);
  std::vector<float> moved(x.begin() + 2, x.end());
  moved.insert(moved.end(), x.begin(), x.begin() + 2);
  CHECK(trustworthiness(ctx, x, 2, moved, 7) == Approx(0.5).margin(0.02));  // ranks are uniform
}

TEST_CASE("embedding_quality: labels below 0 neither ask nor vote, and equal votes go to the lower class", "[eval]") {
  HostContext ctx(1);
  const std::vector<float> points{0, 0, 1, 0, 2.1f, 0, 3.3f, 0};
  CHECK(plane_knn_accuracy(ctx, points, {0, 0, 1, 1}, 1) == 75);  // the third one's nearest is the second
  CHECK(plane_knn_accuracy(ctx, points, {0, -1, 1, 1}, 2) == Approx(100.0 * 2 / 3));
  CHECK(std::isnan(plane_knn_accuracy(ctx, points, {-1, -1, -1, -1}, 2)));
  CHECK(plane_knn_accuracy(ctx, points, {1, 1, 1, 1}, 99) == 100);
}

TEST_CASE("embedding_quality: too few points and shapes that do not fit are refused", "[eval]") {
  HostContext ctx(1);
  const std::vector<float> x(20, 1.0f);
  CHECK_THROWS_WITH(trustworthiness(ctx, x, 2, x, 5), "trustworthiness: k = 5 must be below half of 10 points");
  CHECK_THROWS_WITH(trustworthiness(ctx, x, 3, x, 2), "trustworthiness: 20 numbers in rows of 3, 10 points");
  CHECK_THROWS_WITH(plane_neighbours(ctx, x, 10), "plane_neighbours: 10 neighbours of 10 points");
  CHECK_THROWS_WITH(plane_neighbours(ctx, std::vector<float>{0, 0, NAN, 0}, 1), contains("not finite"));
  CHECK_THROWS_WITH(plane_knn_accuracy(ctx, x, {1, 2}, 1), "plane_knn_accuracy: 2 labels, 20 numbers");
}
