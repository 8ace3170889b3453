#include <dino/eval/logistic_regression.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

const golden::File& reference() {
  static const golden::File file("linear_probe.safetensors");
  return file;
}

FeatureSet reference_features() {
  FeatureSet set;
  set.dim = 12;
  for (const double v : reference().values("x")) set.values.push_back(static_cast<float>(v));
  for (const double v : reference().values("labels")) set.labels.push_back(static_cast<i64>(v));
  return set;
}

/// n rows of 5 values in 3 classes: more than one block of them.
FeatureSet many(HostContext& ctx, i64 n) {
  FeatureSet set;
  set.dim = 5;
  set.values = to_vector(randn<float>(ctx, {n, 5}, RngKey(2, 1)));
  for (i64 i = 0; i < n; ++i) {
    set.labels.push_back(i % 3);
    set.values[static_cast<size_t>(5 * i + i % 3)] += 1.5f;
  }
  return set;
}

template <class Fit> void finish(Fit& fit) {
  while (!fit.finished()) fit.step();
}

}  // namespace

TEST_CASE("logistic regression: the optimum of scikit-learn", "[eval][golden]") {
  HostContext ctx(2);
  const auto set = reference_features();
  LogisticRegression<double, Host> fit(ctx, rows_of(set), {.classes = 5, .c = 0.7, .tolerance = 1e-8});
  finish(fit);
  CHECK(fit.largest_gradient() <= 1e-8);
  CHECK(golden::relative_error(fit.weight(), reference().values("lbfgs.weight")) < 1e-6);
  // scikit-learn's own tolerance, and an intercept is fixed up to a constant: both sum to 0
  CHECK(golden::relative_error(fit.bias(), reference().values("lbfgs.bias")) < 1e-6);
  LogisticRegression<float, Host> single(ctx, rows_of(set), {.classes = 5, .c = 0.7, .tolerance = 1e-5});
  finish(single);
  CHECK(golden::relative_error(single.weight(), reference().values("lbfgs.weight")) < 1e-3);
  CHECK(single.evaluate(rows_of(set)).top1() == fit.evaluate(rows_of(set)).top1());
}

TEST_CASE("logistic regression: equal bits for 1, 2 and 7 threads and after a resume", "[eval]") {
  const auto fitted = [](int threads, i64 stop) {
    HostContext ctx(threads);
    const auto set = many(ctx, 5000);
    const LogisticSettings settings{.classes = 3, .c = 1, .tolerance = 1e-4};
    LogisticRegression<float, Host> fit(ctx, rows_of(set), settings);
    for (i64 i = 0; i < stop && !fit.finished(); ++i) fit.step();
    LogisticRegression<float, Host> rest(ctx, rows_of(set), settings, fit.state());
    finish(rest);
    CHECK(rest.largest_gradient() <= 1e-4);
    return rest.state().x;
  };
  const auto one = fitted(1, 0);
  CHECK(one == fitted(2, 0));
  CHECK(one == fitted(7, 3));
}

TEST_CASE("logistic regression: a stronger penalty gives smaller weights, and figures follow", "[eval]") {
  HostContext ctx(2);
  const auto set = many(ctx, 600);
  double last = 1e9;
  for (const double c : {100.0, 1.0, 0.001}) {
    LogisticRegression<float, Host> fit(ctx, rows_of(set), {.classes = 3, .c = c});
    finish(fit);
    double square = 0;
    for (const float w : fit.weight()) square += static_cast<double>(w * w);
    CHECK(square < last);
    last = square;
    CHECK(fit.evaluate(rows_of(set)).top1() > 70);
  }
}

TEST_CASE("logistic regression: wrong input is refused", "[eval]") {
  HostContext ctx(1);
  const auto set = many(ctx, 30);
  const auto make = [&](const LogisticSettings& s) { LogisticRegression<float, Host> fit(ctx, rows_of(set), s); };
  CHECK_THROWS_WITH(make({.classes = 1}), contains("30 images of 1 classes"));
  CHECK_THROWS_WITH(make({.classes = 3, .c = 0}), contains("c = 0"));
  LbfgsState state;
  state.x.assign(7, 0);
  CHECK_THROWS_WITH((LogisticRegression<float, Host>(ctx, rows_of(set), {.classes = 3}, state)),
                    contains("a state of 7 values for 3 classes of 5 values"));
  LogisticRegression<float, Host> fit(ctx, rows_of(set), {.classes = 3});
  auto other = set;
  other.dim = 3;
  other.values.resize(90);
  CHECK_THROWS_WITH(fit.evaluate(rows_of(other)), contains("features of 3 values, trained on 5"));
}
