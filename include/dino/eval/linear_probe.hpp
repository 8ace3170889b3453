// Linear classifiers on frozen features: any number of heads, trained together in one pass over the features.
#pragma once

#include <dino/data/sampler.hpp>
#include <dino/eval/classification.hpp>
#include <dino/eval/feature_rows.hpp>
#include <dino/nn/linear.hpp>
#include <dino/ops/cross_entropy.hpp>
#include <dino/optim/optimizer.hpp>
#include <dino/optim/schedule.hpp>

namespace dino::inline DINO_ABI {

/// One classifier: it sees columns [begin, end) of the features and has a rate of its own.
struct ProbeHead {
  std::string name;
  i64 begin = 0, end = 0;
  double lr = 1e-3;  // at the start; never scaled
};

struct ProbeSettings {
  std::vector<ProbeHead> heads;
  i64 classes = 2;
  i64 rows = 1;     // training images
  i64 batch = 128;  // the last one of an epoch is smaller
  double epochs = 100;
  std::string optimizer = "sgd";  // momentum 0.9; or adamw
  double eta_min = 0, weight_decay = 0;
  bool rate_per_step = false;  // else constant within an epoch, as torch's CosineAnnealingLR(T_max = epochs)
  double init_std = 0.01;
  u64 seed = 0;

  i64 steps_per_epoch() const { return (rows + batch - 1) / batch; }
  i64 total_steps() const { return std::max<i64>(1, std::llround(epochs * static_cast<double>(steps_per_epoch()))); }
  /// eta_min + (lr - eta_min) (1 + cos(pi t)) / 2, t the share of the epochs, or of the steps, that is done.
  double rate(const ProbeHead& head, i64 step) const {
    const i64 done = rate_per_step ? step : step / steps_per_epoch();
    const double whole = rate_per_step ? static_cast<double>(total_steps()) : epochs;
    const double t = std::min(1.0, static_cast<double>(done) / whole);
    return eta_min + (head.lr - eta_min) * (1 + std::cos(std::numbers::pi * t)) / 2;
  }
};

/// Trains heads y = W x + b, W drawn from N(0, init_std^2), b = 0, by the cross-entropy of each. Weight decay, if any,
/// holds for W alone. Heads do not see each other: what one becomes does not depend on which others there are, nor on
/// the number of threads. A head that diverges has NaN as loss and stays; the others go on.
///     LinearProbe<float, HostDevice> probe(ctx, settings);
///     while (probe.steps_done() < settings.total_steps()) probe.step(train);
///     const auto figures = probe.evaluate(test, 0);
template <class T, class D> class LinearProbe {
 public:
  /// Throws Error{usage} or Error{data} when the settings are of no use.
  LinearProbe(Context<D>& ctx, const ProbeSettings& settings)
      : settings_(checked(settings)), params_(ctx), optimizer_(settings.optimizer, with_heads()) {}

  const ProbeSettings& settings() const { return settings_; }
  Context<D>& ctx() const { return params_.ctx(); }
  ParamStore<T, D>& params() { return params_; }
  Optimizer<T, D>& optimizer() { return optimizer_; }
  i64 steps_done() const { return step_; }
  void set_steps_done(i64 step) { step_ = step; }  // for resuming

  /// The images of one step: batch number step of a permutation of (seed, epoch). The last batch of an epoch holds what
  /// is left.
  std::vector<i64> batch(i64 step) {
    const i64 each = settings_.steps_per_epoch(), epoch = step / each, first = step % each * settings_.batch;
    if (epoch != order_epoch_) {
      order_ = permutation(settings_.rows, RngKey(settings_.seed, stream_of("probe order")), static_cast<u64>(epoch));
      order_epoch_ = epoch;
    }
    return {order_.begin() + first, order_.begin() + std::min(first + settings_.batch, settings_.rows)};
  }

  /// One update of all heads from rows of the training features, which are read one by one: the file may be larger
  /// than the memory. Returns the loss of each head.
  std::vector<double> step(const FeatureRows& train) {
    require(train.size() == settings_.rows, "linear probe: features of {} images, settings say {}", train.size(),
            settings_.rows);
    const auto index = batch(step_);
    const i64 n = static_cast<i64>(index.size()), dim = train.dim;
    std::vector<float> values(static_cast<size_t>(n * dim)), row;
    std::vector<i64> labels;
    for (i64 i = 0; i < n; ++i) {
      const auto x = train.read(index[static_cast<size_t>(i)], 1, row);
      std::copy(x.begin(), x.end(), values.begin() + i * dim);
      labels.push_back(train.labels[static_cast<size_t>(index[static_cast<size_t>(i)])]);
    }
    return step(std::span<const float>(values), labels);
  }

  /// The same from features (R,dim) of a batch that comes from elsewhere, such as an augmented view.
  std::vector<double> step(std::span<const float> features, const std::vector<i64>& labels) {
    const auto x = on_device(features, static_cast<i64>(labels.size()));
    std::vector<double> losses;
    params_.clear_grads();
    for (size_t h = 0; h < heads_.size(); ++h) {
      const auto& at = settings_.heads[h];
      Tape<D> tape(ctx());
      const auto loss = cross_entropy(heads_[h](tape.input(x.columns(at.begin, at.end))), labels);
      losses.push_back(static_cast<double>(item(loss.value)));
      tape.backward(loss);
    }
    for (auto& segment : params_.segments()) segment.rate = settings_.rate(settings_.heads[head_of(segment)], step_);
    const UpdateSettings update{.lr = 1, .weight_decay = settings_.weight_decay};
    auto plan = plan_update(params_, update);
    optimizer_.step(plan, update);
    ++step_;
    return losses;
  }

  /// The figures of one head on test features.
  ClassificationMetrics evaluate(const FeatureRows& test, i64 head) const {
    ClassificationMetrics m(settings_.classes);
    each_block(test, {head},
               [&](i64, std::span<const float> logits, std::span<const i64> labels) { m.add(logits, labels); });
    return m;
  }

  /// Top-1 of every head in one pass, per cent; a head that diverged counts what its NaN say.
  std::vector<double> accuracies(const FeatureRows& test) const {
    std::vector<i64> all(heads_.size()), right(heads_.size(), 0);
    std::iota(all.begin(), all.end(), i64{0});
    each_block(test, all, [&](i64 head, std::span<const float> logits, std::span<const i64> labels) {
      for (size_t i = 0; i < labels.size(); ++i) {
        const auto row =
            logits.subspan(i * static_cast<size_t>(settings_.classes), static_cast<size_t>(settings_.classes));
        if (prediction(row) == labels[i]) ++right[static_cast<size_t>(head)];
      }
    });
    std::vector<double> out;
    for (const i64 n : right) out.push_back(100 * static_cast<double>(n) / static_cast<double>(test.size()));
    return out;
  }

 private:
  static constexpr i64 block = 1024;  // rows of test features at a time

  static const ProbeSettings& checked(const ProbeSettings& s) {
    require(!s.heads.empty() && s.rows >= 1 && s.batch >= 1 && s.epochs > 0, ErrorKind::usage,
            "linear probe: {} heads, {} images, batch {}, {} epochs", s.heads.size(), s.rows, s.batch, s.epochs);
    require(s.classes >= 2, ErrorKind::data, "linear probe: {} class{}: there is nothing to tell apart", s.classes,
            s.classes == 1 ? "" : "es");
    for (const auto& h : s.heads)
      require(0 <= h.begin && h.begin < h.end && h.lr > 0, ErrorKind::usage,
              "linear probe: head {} of columns {} to {} at rate {}", h.name, h.begin, h.end, h.lr);
    return s;
  }

  ParamStore<T, D>& with_heads() {
    const Scope scope(params_);
    for (const auto& h : settings_.heads)
      heads_.emplace_back(scope / "heads" / h.name, h.end - h.begin, settings_.classes, settings_.init_std);
    params_.finalize(settings_.seed);
    return params_;
  }

  /// Weight and bias of each head stand one after the other.
  size_t head_of(const ParamSegment& segment) const {
    return static_cast<size_t>(&segment - params_.segments().data()) / 2;
  }

  Tensor<T, D> on_device(std::span<const float> features, i64 rows) const {
    require(rows > 0 && static_cast<i64>(features.size()) % rows == 0, "linear probe: {} values for {} rows",
            features.size(), rows);
    std::vector<T> values;
    values.reserve(features.size());
    for (const float v : features) values.push_back(from_acc<T>(static_cast<acc_t<T>>(v)));
    return tensor(ctx(), {rows, static_cast<i64>(features.size()) / rows}, values);
  }

  /// The class of rank 0, as in ClassificationMetrics.
  static i64 prediction(std::span<const float> x) {
    size_t best = 0;
    for (size_t c = 1; c < x.size(); ++c)
      if (x[c] > x[best] || (std::isnan(x[c]) && !std::isnan(x[best]))) best = c;
    return static_cast<i64>(best);
  }

  template <class Visit> void each_block(const FeatureRows& test, const std::vector<i64>& heads, Visit visit) const {
    std::vector<float> buffer, logits;
    for (i64 first = 0; first < test.size(); first += block) {
      const i64 rows = std::min(block, test.size() - first);
      const auto x = on_device(test.read(first, rows, buffer), rows);
      const std::span labels(test.labels.data() + first, static_cast<size_t>(rows));
      for (const i64 h : heads) {
        const auto& at = settings_.heads[static_cast<size_t>(h)];
        const auto y = to_vector(heads_[static_cast<size_t>(h)](x.columns(at.begin, at.end)));
        logits.assign(y.size(), 0);
        std::transform(y.begin(), y.end(), logits.begin(), [](T v) { return static_cast<float>(to_acc(v)); });
        visit(h, std::span<const float>(logits), labels);
      }
    }
  }

  ProbeSettings settings_;
  ParamStore<T, D> params_;
  std::vector<nn::Linear<T, D>> heads_;
  Optimizer<T, D> optimizer_;
  std::vector<i64> order_;
  i64 order_epoch_ = -1, step_ = 0;
};

}  // namespace dino::inline DINO_ABI
