#include <dino/eval/feature_cache.hpp>
#include <dino/eval/knn.hpp>

#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

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

std::vector<i64> integers(const std::vector<double>& values) { return {values.begin(), values.end()}; }

FeatureSet golden_set(HostContext& ctx, const golden::File& file, const std::string& name) {
  const auto& x = file.values(name);
  const auto labels = integers(file.values(name + ".labels"));
  return features(ctx, static_cast<i64>(x.size() / labels.size()), {x.begin(), x.end()}, labels);
}

i64 first_largest(const std::vector<double>& votes) {
  return std::max_element(votes.begin(), votes.end()) - votes.begin();
}

bool same(const std::vector<KnnScore>& a, const std::vector<KnnScore>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const KnnScore& x, const KnnScore& y) {
    return x.k == y.k && x.top1 == y.top1 && x.top5 == y.top5 && x.images == y.images && x.correct == y.correct;
  });
}

}  // namespace

TEST_CASE("knn: predictions, top-5, classes and leave-one-out are those of scikit-learn", "[eval][golden]") {
  HostContext ctx(2);
  const golden::File file("knn.safetensors");
  const auto bank = golden_set(ctx, file, "bank"), queries = golden_set(ctx, file, "queries");
  for (const auto& [word, kind] : {std::pair{"weighted", KnnVotes::weighted}, {"majority", KnnVotes::majority}}) {
    for (const i64 k : {1, 5, 20}) {
      const auto name = str("{}.{}.", word, k);
      INFO(name);
      const auto predicted = integers(file.values(name + "predicted"));
      const auto found = nearest_neighbours(ctx, queries, bank, k);
      std::vector<i64> correct(7, 0), alone(7, 0), images(7, 0);
      for (i64 q = 0; q < queries.size(); ++q) {
        const auto at = static_cast<size_t>(q);
        CHECK(first_largest(knn_votes(found, bank.labels, q, k, 7, 0.07, kind)) == predicted[at]);
        ++images[static_cast<size_t>(queries.labels[at])];
        correct[static_cast<size_t>(queries.labels[at])] += predicted[at] == queries.labels[at];
      }
      const auto score =
          knn_accuracy(ctx, rows_of(queries), rows_of(bank), {.k = {k}, .votes = kind, .classes = 7}).front();
      CHECK(score.images == images);
      CHECK(score.correct == correct);
      const auto& top5 = file.values(name + "top5");
      CHECK(score.top5 == Approx(100 * std::accumulate(top5.begin(), top5.end(), 0.0) / 60).epsilon(1e-12));

      const auto others = integers(file.values(name + "alone"));
      for (size_t i = 0; i < others.size(); ++i)
        alone[static_cast<size_t>(bank.labels[i])] += others[i] == bank.labels[i];
      const auto left_out = knn_accuracy(ctx, rows_of(bank), rows_of(bank),
                                         {.k = {k}, .votes = kind, .leave_one_out = true, .classes = 7});
      CHECK(left_out.front().correct == alone);
    }
  }
}

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

TEST_CASE("knn: a bank on disk and any threads give the same bits as one in memory", "[eval]") {
  const TemporaryFolder folder;
  struct Pictures {
    const FeatureSet& set;
    i64 size() const { return set.size(); }
    i64 label(i64 i) const { return set.labels[static_cast<size_t>(i)]; }
    std::string name(i64 i) const { return str("{}", i); }
    std::vector<std::string> classes() const { return {"a", "b", "c"}; }
    Sample get(i64 i) const { return {Image(1, 1), label(i), name(i)}; }
  };
  HostContext ctx(2), one(1), seven(7);
  FeatureSet raw;
  raw.dim = 40;
  raw.values = to_vector(randn<float>(ctx, {4500, 40}, RngKey(5, 0)));
  for (i64 i = 0; i < 4500; ++i) raw.labels.push_back(i % 3);
  const auto extract = [&](const AnyDataset& part, BadImages&) {
    const i64 first = std::stoll(part.name(0));
    FeatureSet some;
    some.dim = 40;
    some.values.assign(raw.values.begin() + first * 40, raw.values.begin() + (first + part.size()) * 40);
    for (i64 i = 0; i < part.size(); ++i) {
      some.labels.push_back(part.label(i));
      some.index.push_back(i);
    }
    return some;
  };
  const auto cache =
      cache_features(folder.path, {.weights = "random"}, AnyDataset(Pictures{raw}), extract, {.shard_images = 700});
  const auto unit = features(ctx, 40, raw.values, raw.labels), queries = random_features(ctx, 300, 40, 6, 3);
  const KnnOptions options{.k = {1, 20, 200}};
  const auto expected = knn_accuracy(ctx, rows_of(queries), rows_of(unit), options);
  CHECK(same(knn_accuracy(ctx, rows_of(queries), unit_rows(ctx, rows_of(cache)), options), expected));
  CHECK(same(knn_accuracy(one, rows_of(queries), unit_rows(one, rows_of(cache)), options), expected));
  CHECK(same(knn_accuracy(seven, rows_of(queries), rows_of(unit), options), expected));
  auto alone = options;
  alone.leave_one_out = true;
  CHECK(same(knn_accuracy(ctx, unit_rows(ctx, rows_of(cache)), unit_rows(ctx, rows_of(cache)), alone),
             knn_accuracy(seven, rows_of(unit), rows_of(unit), alone)));
}

TEST_CASE("knn: more queries than are searched together give what each gives alone", "[eval]") {
  HostContext ctx(2);
  const auto queries = random_features(ctx, detail::queries_together(3, 4) + 100, 3, 8, 3);
  const auto bank = random_features(ctx, 50, 3, 9, 3);
  const auto all = nearest_neighbours(ctx, queries, bank, 4);
  REQUIRE(all.index.size() == static_cast<size_t>(queries.size() * 4));
  for (const i64 q : {i64{0}, detail::queries_together(3, 4), queries.size() - 1}) {
    FeatureSet one{.dim = 3, .values = {}, .labels = {0}, .index = {}, .skipped = {}};
    one.values.assign(queries.values.begin() + q * 3, queries.values.begin() + (q + 1) * 3);
    const auto alone = nearest_neighbours(ctx, one, bank, 4);
    CHECK(std::equal(alone.index.begin(), alone.index.end(), all.index.begin() + q * 4));
  }
  // Leave-one-out counts its own rows from the first query of a block.
  const auto few = knn_accuracy(ctx, rows_of(queries), rows_of(queries), {.k = {1}, .leave_one_out = true});
  i64 images = 0;
  for (const i64 n : few[0].images) images += n;
  CHECK(images == queries.size());
  CHECK(few[0].top1 < 90);  // a row that found itself would be right
}

TEST_CASE("knn: majority votes count alike", "[eval]") {
  HostContext ctx(1);
  const auto bank = features(ctx, 2, {1, 0.1f, 1, 1, 1, 1}, {0, 1, 1}), query = features(ctx, 2, {1, 0}, {0});
  const auto top1 = [&](KnnVotes votes) {
    return knn_accuracy(ctx, rows_of(query), rows_of(bank), {.k = {3}, .votes = votes})[0].top1;
  };
  CHECK(top1(KnnVotes::weighted) == 100);
  CHECK(top1(KnnVotes::majority) == 0);
  CHECK(knn_votes_of("weighted") == KnnVotes::weighted);
  CHECK(knn_votes_of("majority") == KnnVotes::majority);
  CHECK_THROWS_WITH(knn_votes_of("uniform"), "votes = uniform must be one of weighted, majority");
}

TEST_CASE("knn: the accuracy of each class, as numbers and as a file", "[eval]") {
  HostContext ctx(1);
  const auto bank = features(ctx, 2, {1, 0, 0, 1}, {0, 2});
  const auto queries = features(ctx, 2, {1, 0, 1, 0.1f, 0, 1, 1, 0.2f}, {0, 0, 2, 2});
  const auto scores = knn_accuracy(ctx, rows_of(queries), rows_of(bank), {.k = {1}, .classes = 3});
  CHECK(scores[0].images == std::vector<i64>{2, 0, 2});
  CHECK(scores[0].correct == std::vector<i64>{2, 0, 1});
  CHECK(scores[0].top1 == 75);
  CHECK(scores[0].mean_class_accuracy() == 75);
  CHECK(class_accuracy_csv(scores, {"cat", "a,b", "dog"}) ==
        "k,class,name,images,correct,accuracy\n1,0,cat,2,2,100\n1,1,\"a,b\",0,0,\n1,2,dog,2,1,50\n");
  CHECK_THROWS_WITH(class_accuracy_csv(scores, {"cat"}), "knn: 1 names for 3 classes");
}

TEST_CASE("knn: low-shot banks have the same number of each class and follow the seed", "[eval]") {
  std::vector<i64> labels;
  for (i64 i = 0; i < 100; ++i) labels.push_back(i % 10 == 0 ? 2 : i % 2);
  const std::vector<std::string> classes{"a", "b", "c"};
  const auto chosen = rows_per_class(labels, 4, classes, 1);
  CHECK(chosen.size() == 12);
  CHECK(std::is_sorted(chosen.begin(), chosen.end()));
  for (i64 c = 0; c < 3; ++c)
    CHECK(std::count_if(chosen.begin(), chosen.end(), [&](i64 i) { return labels[static_cast<size_t>(i)] == c; }) == 4);
  CHECK(chosen == rows_per_class(labels, 4, classes, 1));
  CHECK(chosen != rows_per_class(labels, 4, classes, 2));
  CHECK(rows_per_class(labels, 10, classes, 1).size() == 30);
  CHECK_THROWS_WITH(rows_per_class(labels, 11, classes, 1),
                    "shots = 11: class c has 10 images in the bank. Take --shots 10 or fewer");
  CHECK_THROWS_WITH(rows_per_class(labels, 0, classes, 1), "shots = 0 must be at least 1");
  CHECK_THROWS_WITH(rows_per_class(labels, 1, {"a", "b"}, 1), contains("label 2 of bank row 0 is out of range"));
}

TEST_CASE("knn: labels out of range, rows that are not finite and odd settings are refused", "[eval]") {
  HostContext ctx(1);
  const auto set = random_features(ctx, 6, 3, 1, 2);
  auto wrong = set;
  wrong.labels[4] = 9;
  const auto run = [&](const FeatureSet& queries, const FeatureSet& bank, const KnnOptions& o) {
    return knn_accuracy(ctx, rows_of(queries), rows_of(bank), o);
  };
  CHECK_THROWS_WITH(run(wrong, set, {.k = {1}, .classes = 2}),
                    "knn: label 9 of query 4 is out of range, there are 2 classes");
  CHECK_THROWS_WITH(run(set, wrong, {.k = {1}, .classes = 2}), contains("label 9 of bank row 4 is out of range"));
  CHECK_THROWS_WITH(run(set, set, {.k = {1}, .temperature = 0.001}), contains("temperature 0.001 is too small"));
  CHECK_THROWS_WITH(run(set, random_features(ctx, 5, 3, 1, 2), {.k = {1}, .leave_one_out = true}),
                    contains("bank and queries, these are 5 and 6"));
  auto broken = set;
  broken.values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(run(set, broken, {.k = {6}}), contains("features are not finite"));
}
