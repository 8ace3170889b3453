#include <dino/eval/knn_examples.hpp>

#include "support/catch.hpp"

#include <numeric>

using namespace dino;

namespace {

/// Rows of unit length; many are equal, so that ties are met.
FeatureSet features(HostContext& ctx, i64 n, i64 dim, u64 key, i64 classes, i64 different) {
  const auto values = to_vector(randn<float>(ctx, {different, dim}, RngKey(key, 0)));
  RngStream draws(RngKey(key, 1), 0);
  FeatureSet set;
  set.dim = dim;
  for (i64 i = 0; i < n; ++i) {
    const auto from = values.begin() + i * 5 % different * dim;
    set.values.insert(set.values.end(), from, from + dim);
    set.labels.push_back(draws.below(classes));
  }
  normalize_rows(ctx, set);
  return set;
}

std::vector<i64> all_rows(i64 n) {
  std::vector<i64> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

/// Per cent of the examples whose prediction is the label.
double top1(const std::vector<KnnExample>& examples, const std::vector<i64>& labels) {
  double right = 0;
  for (const auto& e : examples) right += e.predicted == labels[static_cast<size_t>(e.query)] ? 1 : 0;
  return 100.0 * right / static_cast<double>(examples.size());
}

}  // namespace

TEST_CASE("knn_examples: predictions are those that the accuracy counts", "[eval]") {
  HostContext ctx(2);
  const auto bank = features(ctx, 211, 6, 1, 5, 60), queries = features(ctx, 97, 6, 2, 5, 97);
  for (const i64 k : {1, 7, 500}) {
    for (const auto votes : {KnnVotes::weighted, KnnVotes::majority}) {
      for (const bool leave_one_out : {false, true}) {
        const auto& asked = leave_one_out ? bank : queries;
        const KnnOptions options{.k = {k}, .votes = votes, .leave_one_out = leave_one_out, .classes = 5};
        const auto score = knn_accuracy(ctx, rows_of(asked), rows_of(bank), options);
        const auto seen = knn_examples(ctx, rows_of(asked), rows_of(bank), all_rows(asked.size()), 10, options);
        CHECK(top1(seen, asked.labels) == score[0].top1);
        CHECK(score[0].top1 > 0);
      }
    }
  }
}

TEST_CASE("knn_examples: neighbours are those of the search, also of drawn rows", "[eval]") {
  HostContext ctx(2);
  const auto bank = features(ctx, 150, 6, 3, 4, 40), queries = features(ctx, 50, 6, 4, 4, 50);
  const auto all = nearest_neighbours(ctx, queries, bank, 10);
  const std::vector<i64> rows{3, 4, 49};
  const auto seen = knn_examples(ctx, rows_of(queries), rows_of(bank), rows, 10, {.k = {3}});
  REQUIRE(seen.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(seen[i].query == rows[i]);
    REQUIRE(seen[i].rows.size() == 10);
    for (size_t n = 0; n < 10; ++n) {
      CHECK(seen[i].rows[n] == all.index[static_cast<size_t>(rows[i]) * 10 + n]);
      CHECK(seen[i].similarity[n] == all.similarity[static_cast<size_t>(rows[i]) * 10 + n]);
    }
  }
}

TEST_CASE("knn_examples: no row is its own neighbour, equal rows are", "[eval]") {
  HostContext ctx(1);
  const auto set = features(ctx, 12, 4, 5, 3, 4);  // three of each
  const auto seen = knn_examples(ctx, rows_of(set), rows_of(set), all_rows(12), 20, {.k = {2}, .leave_one_out = true});
  for (const auto& e : seen) {
    CHECK(e.rows.size() == 11);
    CHECK(std::count(e.rows.begin(), e.rows.end(), e.query) == 0);
    CHECK(e.similarity[1] == Approx(1));
    CHECK(e.similarity[2] < 0.999);
  }
  // Of many equal rows the last are not among the first k + 1: the own one cannot be taken out, the last one goes.
  const auto equal = features(ctx, 12, 4, 6, 3, 1);
  const auto last = knn_examples(ctx, rows_of(equal), rows_of(equal), {11}, 3, {.k = {2}, .leave_one_out = true});
  CHECK(last[0].rows == std::vector<i64>{0, 1, 2});
}

TEST_CASE("knn_examples: the confidence is the share of the votes", "[eval]") {
  HostContext ctx(1);
  FeatureSet bank{.dim = 2, .values = {1, 0, 0.8f, 0.6f, 0, 1}, .labels = {0, 1, 1}, .index = {}, .skipped = {}};
  FeatureSet query{.dim = 2, .values = {1, 0}, .labels = {1}, .index = {}, .skipped = {}};
  const auto seen = knn_examples(ctx, rows_of(query), rows_of(bank), {0}, 5, {.k = {3}, .temperature = 0.5});
  CHECK(seen[0].predicted == 0);
  CHECK(seen[0].confidence == Approx(std::exp(2.0) / (std::exp(2.0) + std::exp(1.6) + 1)));
  CHECK(seen[0].rows == std::vector<i64>{0, 1, 2});
  const auto majority =
      knn_examples(ctx, rows_of(query), rows_of(bank), {0}, 1, {.k = {3}, .votes = KnnVotes::majority});
  CHECK(majority[0].predicted == 1);
  CHECK(majority[0].confidence == Approx(2.0 / 3));
  CHECK(majority[0].rows == std::vector<i64>{0});
}

TEST_CASE("knn_examples: a bank without labels has neighbours and no prediction", "[eval]") {
  HostContext ctx(1);
  auto set = features(ctx, 9, 4, 7, 3, 9);
  std::fill(set.labels.begin(), set.labels.end(), -1);
  const auto seen = knn_examples(ctx, rows_of(set), rows_of(set), {2}, 4, {.k = {2}, .leave_one_out = true});
  CHECK(seen[0].predicted == -1);
  CHECK(seen[0].confidence == 0);
  CHECK(seen[0].rows.size() == 4);
}

TEST_CASE("knn_examples: rows are drawn by the seed, once each", "[eval]") {
  const auto rows = draw_examples(100, 20, 3);
  CHECK(rows.size() == 20);
  CHECK(std::is_sorted(rows.begin(), rows.end()));
  CHECK(std::adjacent_find(rows.begin(), rows.end()) == rows.end());
  CHECK(rows.front() >= 0);
  CHECK(rows.back() < 100);
  CHECK(rows == draw_examples(100, 20, 3));
  CHECK(rows != draw_examples(100, 20, 4));
  CHECK(draw_examples(5, 20, 3) == all_rows(5));
  CHECK(draw_examples(0, 20, 3).empty());
}

TEST_CASE("knn_examples: impossible options are refused", "[eval]") {
  HostContext ctx(1);
  const auto bank = features(ctx, 9, 4, 8, 3, 9), queries = features(ctx, 5, 4, 9, 3, 5);
  const auto ask = [&](const std::vector<i64>& rows, i64 shown, const KnnOptions& o) {
    return knn_examples(ctx, rows_of(queries), rows_of(bank), rows, shown, o);
  };
  CHECK_THROWS_WITH(ask({0}, 0, {.k = {1}}), contains("0 neighbours to show"));
  CHECK_THROWS_WITH(ask({0}, 1, {.k = {}}), contains("0 values of k"));
  CHECK_THROWS_WITH(ask({5}, 1, {.k = {1}}), contains("row 5 of 5"));
  CHECK_THROWS_WITH(ask({0}, 1, {.k = {1}, .leave_one_out = true}), contains("9 and 5"));
  CHECK_THROWS_WITH(ask({0}, 1, {.k = {1}, .classes = 2}), contains("label 2 is out of range"));
}
