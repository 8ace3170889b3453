// Logistic regression on frozen features by L-BFGS: the optimum itself, without rate or schedule.
#pragma once

#include <dino/eval/classification.hpp>
#include <dino/eval/feature_rows.hpp>
#include <dino/ops/cross_entropy.hpp>
#include <dino/ops/linear.hpp>
#include <dino/optim/lbfgs.hpp>

namespace dino::inline DINO_ABI {

struct LogisticSettings {
  i64 classes = 2;
  double c = 1;             // inverse strength of the penalty
  double tolerance = 1e-4;  // greatest |gradient| of the objective below
  i64 max_iterations = 1000;
};

/// Minimises  1/n sum_i cross_entropy(W x_i + b, label_i) + |W|^2 / (2 c n)  from zeros; b is not penalised. The
/// features are read block by block, once in each evaluation. Sums over blocks are in double and in order; within a
/// block in acc_t<T>. The same objective as sklearn.linear_model.LogisticRegression(C = c) for three or more classes;
/// for two that one has a single row of weights, which is the same with c halved.
///     LogisticRegression<float, HostDevice> fit(ctx, train, {.classes = 10});
///     while (!fit.finished()) fit.step();
///     const auto figures = fit.evaluate(test);
template <class T, class D> class LogisticRegression {
  static_assert(std::is_same_v<T, acc_t<T>>, "a search for the minimum needs float or double");

 public:
  /// Throws Error{data} or Error{usage} when there is nothing to fit.
  LogisticRegression(Context<D>& ctx, const FeatureRows& train, const LogisticSettings& settings)
      : LogisticRegression(ctx, train, settings, start(train, settings)) {}
  /// Goes on from a state of the same features and settings.
  LogisticRegression(Context<D>& ctx, const FeatureRows& train, const LogisticSettings& settings, LbfgsState state)
      : ctx_(&ctx),
        train_(train),
        settings_(settings),
        solver_(std::move(state), {.history = 10, .tolerance = settings.tolerance}) {
    require(static_cast<i64>(solver_.state().x.size()) == settings.classes * (train.dim + 1), ErrorKind::weights,
            "logistic regression: a state of {} values for {} classes of {} values", solver_.state().x.size(),
            settings.classes, train.dim);
  }

  const LbfgsState& state() const { return solver_.state(); }
  double objective() const { return solver_.state().value; }
  double largest_gradient() const { return solver_.largest_gradient(); }
  bool finished() const { return solver_.finished() || state().iterations >= settings_.max_iterations; }
  void step() {
    solver_.step([&](const std::vector<double>& x, std::vector<double>& gradient) { return value(x, gradient); });
  }

  /// (classes,C) and (classes).
  std::vector<float> weight() const { return part(0, settings_.classes * train_.dim); }
  std::vector<float> bias() const { return part(settings_.classes * train_.dim, settings_.classes); }

  ClassificationMetrics evaluate(const FeatureRows& test) const {
    require(test.dim == train_.dim, ErrorKind::data, "logistic regression: features of {} values, trained on {}",
            test.dim, train_.dim);
    ClassificationMetrics m(settings_.classes);
    const auto [w, b] = parameters(state().x);
    std::vector<float> buffer;
    for (i64 first = 0; first < test.size(); first += block) {
      const i64 rows = std::min(block, test.size() - first);
      const auto logits = to_vector(linear(read(test, first, rows, buffer), w, b));
      m.add(std::span<const T>(logits), std::span(test.labels.data() + first, static_cast<size_t>(rows)));
    }
    return m;
  }

 private:
  static constexpr i64 block = 4096;  // rows of features at a time

  static LbfgsState start(const FeatureRows& train, const LogisticSettings& s) {
    require(s.classes >= 2 && train.size() > 0, ErrorKind::data, "logistic regression: {} images of {} classes",
            train.size(), s.classes);
    require(s.c > 0 && s.tolerance >= 0, ErrorKind::usage, "logistic regression: c = {}, tolerance = {}", s.c,
            s.tolerance);
    LbfgsState state;
    state.x.assign(static_cast<size_t>(s.classes * (train.dim + 1)), 0);
    return state;
  }

  std::vector<float> part(i64 first, i64 count) const {
    const auto from = state().x.begin() + first;
    return {from, from + count};
  }

  /// W (classes,C) and b (classes).
  std::pair<Tensor<T, D>, Tensor<T, D>> parameters(const std::vector<double>& x) const {
    const std::vector<T> values(x.begin(), x.end());
    const auto split = values.begin() + settings_.classes * train_.dim;
    return {tensor(*ctx_, {settings_.classes, train_.dim}, std::vector<T>(values.begin(), split)),
            tensor(*ctx_, {settings_.classes}, std::vector<T>(split, values.end()))};
  }

  Tensor<T, D> read(const FeatureRows& rows, i64 first, i64 count, std::vector<float>& buffer) const {
    const auto x = rows.read(first, count, buffer);
    return tensor(*ctx_, {count, rows.dim}, std::vector<T>(x.begin(), x.end()));
  }

  double value(const std::vector<double>& x, std::vector<double>& gradient) {
    const auto [w, b] = parameters(x);
    const i64 n = train_.size(), weights = w.numel();
    double total = 0;
    for (i64 first = 0; first < n; first += block) {
      const i64 rows = std::min(block, n - first);
      const double share = static_cast<double>(rows) / static_cast<double>(n);
      Tape<D> tape(*ctx_);
      const auto w_leaf = tape.leaf(w), b_leaf = tape.leaf(b);
      const std::vector<i64> labels(train_.labels.begin() + first, train_.labels.begin() + first + rows);
      const auto loss = cross_entropy(linear(read(train_, first, rows, buffer_), w_leaf, b_leaf), labels);
      total += share * static_cast<double>(item(loss.value));
      tape.backward(loss);
      add(gradient, 0, tape.grad(w_leaf), share);
      add(gradient, weights, tape.grad(b_leaf), share);
    }
    const double penalty = 1 / (settings_.c * static_cast<double>(n));
    double square = 0;
    for (size_t i = 0; i < static_cast<size_t>(weights); ++i) {
      gradient[i] += penalty * x[i];
      square += x[i] * x[i];
    }
    return total + penalty / 2 * square;
  }

  static void add(std::vector<double>& to, i64 first, const Tensor<T, D>& from, double factor) {
    const auto values = to_vector(from);
    for (size_t i = 0; i < values.size(); ++i)
      to[static_cast<size_t>(first) + i] += factor * static_cast<double>(values[i]);
  }

  Context<D>* ctx_;
  FeatureRows train_;
  LogisticSettings settings_;
  Lbfgs solver_;
  std::vector<float> buffer_;
};

}  // namespace dino::inline DINO_ABI
