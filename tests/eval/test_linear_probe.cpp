#include <dino/eval/linear_probe.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

const golden::File& reference() {
  static const golden::File file("linear_probe.safetensors");
  return file;
}

template <class To> std::vector<To> stored(const std::string& name) {
  const auto& values = reference().values(name);
  return {values.begin(), values.end()};
}

FeatureSet reference_features() {
  FeatureSet set;
  set.dim = 12;
  set.values = stored<float>("x");
  set.labels = stored<i64>("labels");
  return set;
}

ProbeSettings reference_settings(const ProbeHead& head) {
  ProbeSettings s;
  s.heads = {head};
  s.classes = 5;
  s.rows = 60;
  s.batch = 16;
  s.epochs = 3;
  return s;
}

/// The steps that the reference made, from its first weights.
template <class T>
void check_against_reference(const std::string& name, const ProbeSettings& settings, double tolerance) {
  HostContext ctx(2);
  LinearProbe<T, Host> probe(ctx, settings);
  const auto& head = settings.heads[0];
  std::vector<acc_t<T>> weight;
  for (i64 c = 0; c < 5; ++c)
    for (i64 j = head.begin; j < head.end; ++j)
      weight.push_back(static_cast<acc_t<T>>(reference().values("weight")[static_cast<size_t>(12 * c + j)]));
  probe.params().assign(0, std::span<const acc_t<T>>(weight));
  const auto x = stored<float>("x");
  const auto labels = stored<i64>("labels"), order = stored<i64>("order");
  std::vector<double> losses;
  for (i64 epoch = 0; epoch < 3; ++epoch) {
    for (i64 first = 0; first < 60; first += 16) {
      std::vector<float> rows;
      std::vector<i64> own;
      for (i64 i = first; i < std::min<i64>(first + 16, 60); ++i) {
        const auto at = order[static_cast<size_t>(60 * epoch + i)];
        rows.insert(rows.end(), x.begin() + 12 * at, x.begin() + 12 * (at + 1));
        own.push_back(labels[static_cast<size_t>(at)]);
      }
      losses.push_back(probe.step(std::span<const float>(rows), own)[0]);
    }
  }
  CHECK(probe.steps_done() == settings.total_steps());
  CHECK(golden::relative_error(losses, reference().values(name + ".losses")) < tolerance);
  CHECK(golden::relative_error(to_vector(probe.params().master(0)), reference().values(name + ".weight")) < tolerance);
  CHECK(golden::relative_error(to_vector(probe.params().master(1)), reference().values(name + ".bias")) < tolerance);
  const auto set = reference_features();
  const auto m = probe.evaluate(rows_of(set), 0);
  ClassificationMetrics expected(5);
  expected.add(std::span<const double>(reference().values(name + ".logits")), labels);
  CHECK(m.top1() == expected.top1());
  CHECK(m.loss() == Approx(expected.loss()).epsilon(1e-5));
  CHECK(probe.accuracies(rows_of(set)) == std::vector<double>{m.top1()});
}

/// Classes as noisy directions.
FeatureSet clusters(HostContext& ctx, i64 n, i64 dim, i64 classes, u64 key) {
  FeatureSet set;
  set.dim = dim;
  const auto centers = to_vector(randn<float>(ctx, {classes, dim}, RngKey(7, 0)));
  set.values = to_vector(randn<float>(ctx, {n, dim}, RngKey(key, 1)));
  for (i64 i = 0; i < n; ++i) {
    set.labels.push_back(i * 5 % classes);
    for (i64 j = 0; j < dim; ++j)
      set.values[static_cast<size_t>(i * dim + j)] += centers[static_cast<size_t>(set.labels.back() * dim + j)];
  }
  return set;
}

ProbeSettings small_settings(i64 rows, i64 dim) {
  ProbeSettings s;
  s.heads = {{"low", 0, dim, 1e-5}, {"high", 0, dim, 0.02}, {"half", dim / 2, dim, 0.01}};
  s.classes = 3;
  s.rows = rows;
  s.batch = 8;
  s.epochs = 5;
  s.seed = 3;
  return s;
}

}  // namespace

TEST_CASE("linear probe: the protocol of DINO, step for step as in PyTorch", "[eval][golden]") {
  const auto settings = reference_settings({"dino", 0, 12, 0.3});
  check_against_reference<double>("sgd", settings, 1e-12);
  check_against_reference<float>("sgd", settings, 2e-6);  // roundings of 12 updates
}

TEST_CASE("linear probe: AdamW with a cosine to eta_min, step for step as in PyTorch", "[eval][golden]") {
  auto settings = reference_settings({"request", 0, 12, 0.05});
  settings.optimizer = "adamw";
  settings.eta_min = 1e-3;
  settings.weight_decay = 0.1;
  check_against_reference<double>("adamw", settings, 1e-12);
  check_against_reference<float>("adamw", settings, 5e-5);  // where a gradient is small, its sign is half the step
}

TEST_CASE("linear probe: a head on some columns with a rate for each step, as in PyTorch", "[eval][golden]") {
  auto settings = reference_settings({"sweep", 4, 12, 0.1});
  settings.rate_per_step = true;
  check_against_reference<double>("sweep", settings, 1e-12);
}

TEST_CASE("linear probe: rates of an epoch and of a step", "[eval]") {
  auto s = reference_settings({"h", 0, 12, 0.3});
  s.eta_min = 0.1;
  CHECK(s.steps_per_epoch() == 4);
  CHECK(s.total_steps() == 12);
  CHECK(s.rate(s.heads[0], 0) == 0.3);
  CHECK(s.rate(s.heads[0], 3) == 0.3);
  CHECK(s.rate(s.heads[0], 4) == Approx(0.1 + 0.2 * 0.75));
  CHECK(s.rate(s.heads[0], 11) == Approx(0.1 + 0.2 * 0.25));
  s.rate_per_step = true;
  CHECK(s.rate(s.heads[0], 6) == Approx(0.2));
  s.epochs = 0.5;
  CHECK(s.total_steps() == 2);
}

TEST_CASE("linear probe: an epoch takes every image once, each epoch in another order", "[eval]") {
  HostContext ctx(1);
  LinearProbe<float, Host> probe(ctx, reference_settings({"h", 0, 12, 0.3}));
  std::vector<std::vector<i64>> epochs;
  for (i64 epoch = 0; epoch < 2; ++epoch) {
    epochs.emplace_back();
    for (i64 step = 0; step < 4; ++step) {
      const auto batch = probe.batch(4 * epoch + step);
      CHECK(batch.size() == (step < 3 ? 16 : 12));
      epochs.back().insert(epochs.back().end(), batch.begin(), batch.end());
    }
  }
  CHECK(epochs[0] != epochs[1]);
  for (auto& e : epochs) std::sort(e.begin(), e.end());
  CHECK(epochs[0] == epochs[1]);
  CHECK(std::adjacent_find(epochs[0].begin(), epochs[0].end()) == epochs[0].end());
  CHECK(probe.batch(0) == LinearProbe<float, Host>(ctx, probe.settings()).batch(0));
}

TEST_CASE("linear probe: equal bits for 1, 2 and 7 threads, and for a head alone", "[eval]") {
  const auto train_of = [](int threads, const ProbeSettings& s, i64 head) {
    HostContext ctx(threads);
    const auto set = clusters(ctx, 45, 10, 3, 1);
    LinearProbe<float, Host> probe(ctx, s);
    while (probe.steps_done() < s.total_steps()) probe.step(rows_of(set));
    return to_vector(probe.params().value(2 * head));
  };
  const auto settings = small_settings(45, 10);
  const auto one = train_of(1, settings, 1);
  CHECK(one == train_of(2, settings, 1));
  CHECK(one == train_of(7, settings, 1));
  auto alone = settings;
  alone.heads = {settings.heads[1]};
  CHECK(one == train_of(1, alone, 0));
  CHECK(one != train_of(1, settings, 0));
}

TEST_CASE("linear probe: learns what can be told apart, and a diverged head harms no other", "[eval]") {
  HostContext ctx(2);
  const auto train = clusters(ctx, 200, 10, 3, 1), test = clusters(ctx, 100, 10, 3, 2);
  auto settings = small_settings(200, 10);
  settings.heads.push_back({"wild", 0, 10, 1e38});
  LinearProbe<float, Host> probe(ctx, settings);
  std::vector<double> losses;
  while (probe.steps_done() < settings.total_steps()) losses = probe.step(rows_of(train));
  const auto top1 = probe.accuracies(rows_of(test));
  CHECK(top1[1] > 90);
  CHECK(top1[1] > top1[0]);
  CHECK(std::isnan(losses[3]));
  CHECK(probe.evaluate(rows_of(test), 1).loss() < 0.4);
  for (i64 h = 0; h < 4; ++h) CHECK(probe.evaluate(rows_of(test), h).top1() == top1[static_cast<size_t>(h)]);
}

TEST_CASE("linear probe: wrong settings and features are refused", "[eval]") {
  HostContext ctx(1);
  const auto make = [&](auto change) {
    auto s = small_settings(45, 10);
    change(s);
    LinearProbe<float, Host> probe(ctx, s);
  };
  CHECK_THROWS_WITH(make([](auto& s) { s.heads.clear(); }), contains("0 heads"));
  CHECK_THROWS_WITH(make([](auto& s) { s.classes = 1; }), contains("1 class: there is nothing to tell apart"));
  CHECK_THROWS_WITH(make([](auto& s) { s.heads[0].end = 0; }), contains("head low of columns 0 to 0"));
  CHECK_THROWS_WITH(make([](auto& s) { s.heads[0].name = "high"; }), contains("is used twice"));
  CHECK_THROWS_WITH(make([](auto& s) { s.optimizer = "adam"; }), contains("expected adamw, sgd or lars"));
  LinearProbe<float, Host> probe(ctx, small_settings(45, 10));
  const auto other = clusters(ctx, 44, 10, 3, 1);
  CHECK_THROWS_WITH(probe.step(rows_of(other)), contains("features of 44 images, settings say 45"));
  const auto more = clusters(ctx, 45, 10, 4, 1);
  const auto epoch = [&] {
    for (int i = 0; i < 6; ++i) probe.step(rows_of(more));
  };
  CHECK_THROWS_WITH(epoch(), contains("label 3 for 3 classes"));
  const auto narrow = clusters(ctx, 45, 9, 3, 1);
  CHECK_THROWS_AS(probe.step(rows_of(narrow)), Error);
}
