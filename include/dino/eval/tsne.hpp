// t-SNE: rows as points of the plane, so that neighbours stay neighbours.
#pragma once

#include <dino/eval/tsne_gradient.hpp>

#include <functional>

namespace dino::inline DINO_ABI {

struct TsneSettings {
  double perplexity = 30;
  i64 iterations = 1000;         // in all
  double theta = 0.5;            // angle of Barnes-Hut; 0: exact
  double exaggeration = 12;      // factor of the attraction in the first iterations
  i64 exaggerated = 250;         // how many those are
  double learning_rate = 0;      // 0: max(n / exaggeration / 4, 50)
  double least_gradient = 1e-7;  // stops when |gradient| falls below it, looked at every 50 iterations
};

struct TsneProgress {
  i64 iteration = 0;
  double divergence = 0, gradient = 0;  // KL, without exaggeration; length of the gradient
};

struct Tsne {
  std::vector<float> points;  // (n,2)
  double divergence = 0;      // KL(p | q), nats; with theta > 0 as Barnes-Hut estimates it
  i64 iterations = 0;
};

/// Where t-SNE begins: the first two principal components, scaled so that the first has deviation 1e-4.
inline std::vector<float> tsne_start(HostContext& ctx, std::span<const float> x, i64 dim) {
  auto points = project(ctx, principal_components(ctx, x, dim, 2), x);
  double sum = 0, square = 0;
  const double n = static_cast<double>(points.size() / 2);
  for (size_t i = 0; i < points.size(); i += 2) sum += static_cast<double>(points[i]);
  for (size_t i = 0; i < points.size(); i += 2) square += std::pow(static_cast<double>(points[i]) - sum / n, 2);
  const double deviation = std::sqrt(square / n);
  if (deviation > 0)
    for (float& p : points) p = static_cast<float>(static_cast<double>(p) / deviation * 1e-4);
  return points;
}

namespace detail {

/// Gradient descent with momentum and a gain for each coordinate (Jacobs 1988), as scikit-learn steps.
class TsneDescent {
 public:
  TsneDescent(const Affinities& p, const TsneSettings& s, std::span<const float> start)
      : settings_(s), gradient_(p, s.theta), n_(p.size()) {
    require(static_cast<i64>(start.size()) == 2 * n_, "tsne: a start of {} numbers for {} points", start.size(), n_);
    rate_ = static_cast<float>(s.learning_rate > 0 ? s.learning_rate
                                                   : std::max(static_cast<double>(n_) / s.exaggeration / 4, 50.0));
    for (auto* v : {&points_, &slope_}) v->resize(start.size());
    for (i64 i = 0; i < n_; ++i) {
      x()[i] = start[static_cast<size_t>(2 * i)];
      y()[i] = start[static_cast<size_t>(2 * i + 1)];
    }
    restart();
  }

  void step(HostContext& ctx, i64 iteration) {
    const bool early = iteration < settings_.exaggerated;
    if (iteration == settings_.exaggerated) restart();
    gradient_(ctx, x(), y(), early ? settings_.exaggeration : 1, slope_.data(), slope_.data() + n_);
    const float momentum = early ? 0.5f : 0.8f;
    parallel_ranges(ctx, 2 * n_, 16384, [&](i64 begin, i64 end) {
      for (i64 i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        const float gain = speed_[at] * slope_[at] < 0 ? gain_[at] + 0.2f : gain_[at] * 0.8f;
        gain_[at] = std::max(gain, 0.01f);
        speed_[at] = momentum * speed_[at] - rate_ * gain_[at] * slope_[at];
      }
    });
  }

  /// Of the points that the last step started from; then they move.
  TsneProgress progress(HostContext& ctx, i64 iteration) {
    double square = 0;
    for (const float g : slope_) square += static_cast<double>(g) * static_cast<double>(g);
    return {iteration + 1, gradient_.divergence(ctx, x(), y()), std::sqrt(square)};
  }
  void move() {
    for (size_t i = 0; i < points_.size(); ++i) points_[i] += speed_[i];
  }

  Tsne result(HostContext& ctx, i64 iterations) {
    gradient_(ctx, x(), y(), 1, slope_.data(), slope_.data() + n_);
    Tsne out{.points = std::vector<float>(points_.size()),
             .divergence = gradient_.divergence(ctx, x(), y()),
             .iterations = iterations};
    for (i64 i = 0; i < n_; ++i) {
      out.points[static_cast<size_t>(2 * i)] = x()[i];
      out.points[static_cast<size_t>(2 * i + 1)] = y()[i];
    }
    return out;
  }

 private:
  float* x() { return points_.data(); }
  float* y() { return points_.data() + n_; }
  void restart() {
    speed_.assign(points_.size(), 0.0f);
    gain_.assign(points_.size(), 1.0f);
  }

  TsneSettings settings_;
  TsneGradient<float> gradient_;
  i64 n_;
  float rate_;
  std::vector<float> points_, slope_, speed_, gain_;  // (2,n)
};

}  // namespace detail

/// Embeds n points, whose affinities are p, from a start (n,2): minimises KL(p | q) by gradient descent, at first with
/// exaggerated attraction. on_progress, if any, is called every 50 iterations and after the last. Deterministic: the
/// bits depend on the input and the processor's vectors, not on the threads.
inline Tsne tsne(HostContext& ctx, const Affinities& p, std::span<const float> start, const TsneSettings& s,
                 const std::function<void(const TsneProgress&)>& on_progress = {}) {
  require(s.iterations >= 1 && s.exaggeration >= 1 && s.exaggerated >= 0 && s.learning_rate >= 0, ErrorKind::usage,
          "tsne: {} iterations, exaggeration {} for {}, learning rate {}", s.iterations, s.exaggeration, s.exaggerated,
          s.learning_rate);
  detail::TsneDescent descent(p, s, start);
  i64 done = 0;
  for (bool stop = false; done < s.iterations && !stop; ++done) {
    descent.step(ctx, done);
    if ((done + 1) % 50 == 0 || done + 1 == s.iterations) {
      const auto now = descent.progress(ctx, done);
      require(std::isfinite(now.divergence) && std::isfinite(now.gradient),
              "tsne: diverged at iteration {}; take a smaller learning rate than {}", done + 1, s.learning_rate);
      stop = now.gradient < s.least_gradient;
      if (on_progress) on_progress(now);
    }
    descent.move();
  }
  return descent.result(ctx, done);
}

/// Embeds the rows x (n,dim) from their principal components: what sklearn.manifold.TSNE(init = "pca") does, with the
/// same affinities, start and steps. Memory: about 2000 bytes a point at perplexity 30; 16 n^2 bytes with theta = 0.
/// Throws as tsne_affinities does.
inline Tsne tsne(HostContext& ctx, std::span<const float> x, i64 dim, const TsneSettings& s,
                 const std::function<void(const TsneProgress&)>& on_progress = {}) {
  const auto p = tsne_affinities(ctx, x, dim, s.perplexity, s.theta == 0);
  return tsne(ctx, p, tsne_start(ctx, x, dim), s, on_progress);
}

}  // namespace dino::inline DINO_ABI
