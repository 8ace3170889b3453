#include <dino/eval/knn.hpp>

#include "support/golden.hpp"

#include <numeric>

using namespace dino;

namespace {

/// Rows of unit length.
FeatureSet features(HostContext& ctx, i64 dim, const std::vector<float>& values, const std::vector<i64>& labels) {
  FeatureSet set;
  set.dim = dim;
  set.values = values;
  set.labels = labels;
  normalize_rows(ctx, set);
  return set;
}

FeatureSet random_features(HostContext& ctx, i64 n, i64 dim, u64 key, i64 classes) {
  std::vector<i64> labels;
  for (i64 i = 0; i < n; ++i) labels.push_back(i * 7 % classes);
  return features(ctx, dim, to_vector(randn<float>(ctx, {n, dim}, RngKey(key, 0))), labels);
}

/// Rows on a few directions of the plane, so that many similarities are equal.
FeatureSet with_ties(HostContext& ctx, i64 n, i64 classes) {
  const std::vector<std::array<float, 2>> directions{{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
  std::vector<float> values;
  std::vector<i64> labels;
  for (i64 i = 0; i < n; ++i) {
    for (const float x : directions[static_cast<size_t>(i * 5 % 4)]) values.push_back(x);
    labels.push_back(i % classes);
  }
  return features(ctx, 2, values, labels);
}

/// All bank rows of a query by falling similarity, equal ones by position.
std::vector<i64> sorted_bank(const FeatureSet& queries, const FeatureSet& bank, i64 query, std::vector<double>& s) {
  s.assign(static_cast<size_t>(bank.size()), 0);
  for (i64 b = 0; b < bank.size(); ++b) {
    for (i64 c = 0; c < bank.dim; ++c)
      s[static_cast<size_t>(b)] += static_cast<double>(queries.values[static_cast<size_t>(query * bank.dim + c)]) *
                                   static_cast<double>(bank.values[static_cast<size_t>(b * bank.dim + c)]);
  }
  std::vector<i64> order(s.size());
  std::iota(order.begin(), order.end(), i64{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](i64 a, i64 b) { return s[static_cast<size_t>(a)] > s[static_cast<size_t>(b)]; });
  return order;
}

void check_against_brute_force(HostContext& ctx, const FeatureSet& queries, const FeatureSet& bank, i64 k, bool exact) {
  const auto found = nearest_neighbours(ctx, queries, bank, k);
  REQUIRE(found.k == std::min(k, bank.size()));
  std::vector<double> s;
  for (i64 q = 0; q < queries.size(); ++q) {
    const auto order = sorted_bank(queries, bank, q, s);
    for (i64 i = 0; i < found.k; ++i) {
      const auto at = static_cast<size_t>(q * found.k + i);
      const double similarity = s[static_cast<size_t>(order[static_cast<size_t>(i)])];
      if (std::abs(static_cast<double>(found.similarity[at]) - similarity) > 1e-6)
        CHECK(found.similarity[at] == similarity);
      if (exact && found.index[at] != order[static_cast<size_t>(i)])
        CHECK(found.index[at] == order[static_cast<size_t>(i)]);
    }
  }
}

}  // namespace

TEST_CASE("knn: neighbours and votes of the reference", "[eval][golden]") {
  HostContext ctx(2);
  std::vector<float> bank_values, query_values;
  for (int i = 0; i < 24; ++i) bank_values.push_back(static_cast<float>(std::sin(0.9 * i)));
  for (int i = 0; i < 8; ++i) query_values.push_back(static_cast<float>(std::cos(0.4 * i)));
  const auto bank = features(ctx, 4, bank_values, {0, 1, 2, 0, 1, 2});
  const auto queries = features(ctx, 4, query_values, {0, 1});
  const auto found = nearest_neighbours(ctx, queries, bank, 4);
  CHECK(found.index == std::vector<i64>{2, 0, 4, 5, 1, 4, 2, 3});
  const std::vector<std::vector<double>> expected{{44838.42052091894, 48.79365034377009, 131073.48614601864},
                                                  {0.03598601286424954, 7252.338881837861, 0.08902091163145923}};
  for (i64 q = 0; q < 2; ++q) {
    const auto votes = knn_votes(found, bank.labels, q, 4, 3, 0.07);
    for (size_t c = 0; c < 3; ++c) {
      INFO("query " << q << ", class " << c);
      CHECK(votes[c] == Approx(expected[static_cast<size_t>(q)][c]).epsilon(1e-5));  // similarities are float
    }
  }
  const auto scores = knn_accuracy(ctx, queries, bank, {4});
  CHECK(scores[0].top1 == 50);  // the second query is right, the first is taken for class 2
  CHECK(scores[0].top5 == 100);
}

TEST_CASE("knn: neighbours are those of brute force over several blocks", "[eval]") {
  HostContext ctx(2);
  const auto bank = random_features(ctx, 4096 + 61, 5, 1, 3), queries = random_features(ctx, 256 + 7, 5, 2, 3);
  check_against_brute_force(ctx, queries, bank, 20, false);  // by similarity: rounding may swap near ties
}

TEST_CASE("knn: of equally near rows the first ones are taken, in every block", "[eval]") {
  HostContext ctx(2);
  check_against_brute_force(ctx, with_ties(ctx, 9, 3), with_ties(ctx, 37, 3), 15, true);
  check_against_brute_force(ctx, with_ties(ctx, 5, 3), with_ties(ctx, 9000, 3), 7, true);
}

TEST_CASE("knn: k larger than the bank is cut to it", "[eval]") {
  HostContext ctx(2);
  const auto bank = random_features(ctx, 6, 3, 1, 2), queries = random_features(ctx, 4, 3, 2, 2);
  check_against_brute_force(ctx, queries, bank, 1000, true);
  const auto all = knn_accuracy(ctx, queries, bank, {6, 1000});
  CHECK(all[0].top1 == all[1].top1);
  CHECK(all[1].k == 1000);
}

TEST_CASE("knn: equal votes go to the lower class", "[eval]") {
  HostContext ctx(1);
  const auto bank = features(ctx, 2, {1, 0, 1, 0}, {1, 0});
  const auto zero = features(ctx, 2, {1, 0}, {0}), one = features(ctx, 2, {1, 0}, {1});
  CHECK(knn_accuracy(ctx, zero, bank, {2})[0].top1 == 100);
  CHECK(knn_accuracy(ctx, one, bank, {2})[0].top1 == 0);
}

TEST_CASE("knn: nearer neighbours weigh more, and a lower temperature sharpens", "[eval]") {
  HostContext ctx(1);
  // One near neighbour of class 0, two farther ones of class 1.
  const auto bank = features(ctx, 2, {1, 0.1f, 1, 1, 1, 1}, {0, 1, 1});
  const auto query = features(ctx, 2, {1, 0}, {0});
  CHECK(knn_accuracy(ctx, query, bank, {3}, 0.07)[0].top1 == 100);
  CHECK(knn_accuracy(ctx, query, bank, {3}, 10)[0].top1 == 0);
  CHECK(knn_accuracy(ctx, query, bank, {1}, 10)[0].top1 == 100);
}

TEST_CASE("knn: top-5 counts the first five classes, and the first k where k is smaller", "[eval]") {
  HostContext ctx(1);
  std::vector<float> values;
  std::vector<i64> labels;
  for (int i = 0; i < 7; ++i) {  // classes 0 to 6, ever farther
    values.push_back(std::cos(0.2f * static_cast<float>(i)));
    values.push_back(std::sin(0.2f * static_cast<float>(i)));
    labels.push_back(i);
  }
  const auto bank = features(ctx, 2, values, labels);
  const auto top5 = [&](i64 truth, i64 k) {
    return knn_accuracy(ctx, features(ctx, 2, {1, 0}, {truth}), bank, {k})[0].top5;
  };
  CHECK(top5(4, 7) == 100);
  CHECK(top5(5, 7) == 0);
  CHECK(top5(1, 2) == 100);
  CHECK(top5(2, 2) == 0);
}

TEST_CASE("knn: unlabelled sets, empty sets and impossible settings are refused", "[eval]") {
  HostContext ctx(1);
  const auto set = random_features(ctx, 6, 3, 1, 2);
  auto unlabelled = set;
  unlabelled.labels[3] = -1;
  CHECK_THROWS_WITH(knn_accuracy(ctx, set, unlabelled, {2}), "knn: bank and queries must be labelled");
  CHECK_THROWS_WITH(knn_accuracy(ctx, unlabelled, set, {2}), "knn: bank and queries must be labelled");
  CHECK_THROWS_WITH(knn_accuracy(ctx, {}, set, {2}), "knn: 0 queries, bank of 6");
  CHECK_THROWS_WITH(knn_accuracy(ctx, set, set, {}), contains("0 values of k"));
  CHECK_THROWS_WITH(knn_accuracy(ctx, set, set, {2}, 0), contains("temperature 0"));
  CHECK_THROWS_WITH(knn_accuracy(ctx, set, set, {3, 0}), contains("each at least 1"));
  CHECK_THROWS_WITH(nearest_neighbours(ctx, set, random_features(ctx, 6, 4, 1, 2), 2),
                    "knn: queries of 3 values, bank of 6 x 4, k = 2");
}
