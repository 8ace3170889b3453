// The gradient of t-SNE: exact, or by Barnes-Hut.
#pragma once

#include <dino/eval/quad_tree.hpp>
#include <dino/eval/tsne_affinities.hpp>
#include <dino/kernels/cpu/vec.hpp>

#include <numeric>

namespace dino::inline DINO_ABI {

namespace detail {

/// Points side by side that repel the same bodies.
template <class T> class RepelledGroup {
  static constexpr i64 width = kernels::VectorOf<T>::size;
  static constexpr size_t vectors = 16 / static_cast<size_t>(width);

 public:
  static constexpr i64 points = 16;

  RepelledGroup(const T* x, const T* y, i64 count) : count_(count) {
    for (i64 i = 0; i < points; ++i) {  // the last one fills up
      x_[i / width][i % width] = x[std::min(i, count - 1)];
      y_[i / width][i % width] = y[std::min(i, count - 1)];
    }
    x_low_ = *std::min_element(x, x + count);
    x_high_ = *std::max_element(x, x + count);
    y_low_ = *std::min_element(y, y + count);
    y_high_ = *std::max_element(y, y + count);
  }

  /// Squared distance from (x,y) to the box around the group.
  T distance(T x, T y) const {
    const T dx = std::max(std::max(x_low_ - x, x - x_high_), T(0)),
            dy = std::max(std::max(y_low_ - y, y - y_high_), T(0));
    return dx * dx + dy * dy;
  }

  /// Adds w q and w q^2 (y_i - y), q = 1 / (1 + |y_i - y|^2), of bodies at (x,y) with weight w.
  void add(const T* x, const T* y, const T* w, i64 bodies) {
    for (i64 k = 0; k < bodies; ++k) {
      DINO_HOST_UNROLL
      for (i64 v = 0; v < static_cast<i64>(vectors); ++v) {
        const auto dx = x_[v] - x[k], dy = y_[v] - y[k];
        const auto q = T(1) / (dx * dx + dy * dy + T(1));
        const auto weighted = q * w[k];
        const auto force = weighted * q;
        sum_[v] += weighted;
        fx_[v] += force * dx;
        fy_[v] += force * dy;
      }
    }
  }

  T fx(i64 i) const { return fx_[i / width][i % width]; }
  T fy(i64 i) const { return fy_[i / width][i % width]; }
  /// Of q over all bodies but the points themselves.
  double sum() const {
    double total = 0;
    for (i64 i = 0; i < count_; ++i) total += static_cast<double>(sum_[i / width][i % width]) - 1;
    return total;
  }

 private:
  using Vec = typename kernels::VectorOf<T>::type;
  Vec x_[vectors], y_[vectors];
  Vec sum_[vectors] = {}, fx_[vectors] = {}, fy_[vectors] = {};
  i64 count_;
  T x_low_, x_high_, y_low_, y_high_;
};

/// Bodies of a group, collected and added many at a time.
template <class T> class Bodies {
 public:
  explicit Bodies(RepelledGroup<T>& group) : group_(group) {}
  void add(T x, T y, T w) {
    x_[count_] = x;
    y_[count_] = y;
    w_[count_] = w;
    if (++count_ == capacity) flush();
  }
  void flush() {
    group_.add(x_, y_, w_, count_);
    count_ = 0;
  }

 private:
  static constexpr i64 capacity = 512;
  RepelledGroup<T>& group_;
  i64 count_ = 0;
  T x_[capacity], y_[capacity], w_[capacity];
};

}  // namespace detail

/// Kullback-Leibler divergence of the affinities p from q_ij = (1 + |y_i - y_j|^2)^-1 / Z in the plane, and its
/// gradient:   dy_i = 4 sum_j (e p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2),   e: exaggeration.
/// theta = 0: over all pairs, n^2 operations. Else Barnes-Hut: the points of a square act from its centre when the box
/// around them is narrower than theta times the distance from the nearest of 16 points that look at it together, so
/// theta bounds the angle for each of them. T is float, or double for tests. The bits do not depend on the threads.
/// Source: van der Maaten 2014; Barnes and Hut 1986.
template <class T> class TsneGradient {
 public:
  /// p must outlive it.
  TsneGradient(const Affinities& p, double theta) : p_(p), theta_(static_cast<T>(theta)) {
    require(theta >= 0 && theta <= 1, ErrorKind::usage, "tsne: theta {} must lie in 0..1", theta);
    for (const float value : p.values)
      if (value > 0) entropy_ += static_cast<double>(value) * std::log(static_cast<double>(value));
    total_ = std::accumulate(p.values.begin(), p.values.end(), 0.0);
  }

  /// x, y, dx, dy: (n). Returns Z.
  double operator()(HostContext& ctx, const T* x, const T* y, double exaggeration, T* dx, T* dy) {
    const i64 n = p_.size();
    repel(ctx, x, y, dx, dy);
    const T attraction = static_cast<T>(4 * exaggeration), repulsion = static_cast<T>(4 / z_);
    parallel_rows(ctx, n, 400, [&](i64 i) {
      const auto [ax, ay] = attract(x, y, i);
      dx[i] = attraction * ax - repulsion * dx[i];
      dy[i] = attraction * ay - repulsion * dy[i];
    });
    return z_;
  }

  /// sum p log(p / q) at points whose gradient has just been taken: exact but for Z, which theta > 0 estimates.
  double divergence(HostContext& ctx, const T* x, const T* y) const {
    std::vector<double> rows(static_cast<size_t>(p_.size()));
    parallel_rows(ctx, p_.size(), 4000, [&](i64 i) {
      double sum = 0;
      for (i64 e = p_.rows[static_cast<size_t>(i)]; e < p_.rows[static_cast<size_t>(i + 1)]; ++e) {
        const i64 j = p_.columns[static_cast<size_t>(e)];
        const double dx = static_cast<double>(x[i]) - static_cast<double>(x[j]);
        const double dy = static_cast<double>(y[i]) - static_cast<double>(y[j]);
        sum += static_cast<double>(p_.values[static_cast<size_t>(e)]) * std::log1p(dx * dx + dy * dy);
      }
      rows[static_cast<size_t>(i)] = sum;
    });
    return entropy_ + std::accumulate(rows.begin(), rows.end(), 0.0) + std::log(z_) * total_;
  }

 private:
  using Group = detail::RepelledGroup<T>;

  /// fx, fy = sum_j q^2 (y_i - y_j), z_ = sum_ij q.
  void repel(HostContext& ctx, const T* x, const T* y, T* fx, T* fy) {
    const i64 n = p_.size(), groups = (n + Group::points - 1) / Group::points;
    if (theta_ > 0) tree_.build(ctx, x, y, n);
    if (theta_ == 0 && ones_.empty()) ones_.assign(static_cast<size_t>(n), T(1));
    sums_.resize(static_cast<size_t>(groups));
    const T* const sorted_x = theta_ > 0 ? tree_.x().data() : x;
    const T* const sorted_y = theta_ > 0 ? tree_.y().data() : y;
    parallel_ranges(ctx, groups, 8, [&](i64 begin, i64 end) {
      for (i64 g = begin; g < end; ++g) {
        const i64 first = g * Group::points, count = std::min(Group::points, n - first);
        Group group(sorted_x + first, sorted_y + first, count);
        if (theta_ > 0)
          walk(group);
        else
          group.add(x, y, ones_.data(), n);
        for (i64 i = 0; i < count; ++i) {
          const i64 point = theta_ > 0 ? tree_.order()[static_cast<size_t>(first + i)] : first + i;
          fx[point] = group.fx(i);
          fy[point] = group.fy(i);
        }
        sums_[static_cast<size_t>(g)] = group.sum();
      }
    });
    z_ = std::max(std::accumulate(sums_.begin(), sums_.end(), 0.0), std::numeric_limits<double>::min());
  }

  void walk(Group& group) const {
    const auto& nodes = tree_.nodes();
    const T angle = theta_ * theta_;
    detail::Bodies<T> bodies(group);
    for (size_t i = 0; i < nodes.size();) {
      const auto& node = nodes[i];
      if (node.extent < angle * group.distance(node.x, node.y)) {
        bodies.add(node.x, node.y, static_cast<T>(node.count));
      } else if (node.leaf) {
        for (i64 j = node.first; j < node.first + node.count; ++j)
          bodies.add(tree_.x()[static_cast<size_t>(j)], tree_.y()[static_cast<size_t>(j)], T(1));
      } else {
        ++i;
        continue;
      }
      i = static_cast<size_t>(node.after);
    }
    bodies.flush();
  }

  /// sum_j p_ij q (y_i - y_j)
  std::pair<T, T> attract(const T* x, const T* y, i64 i) const {
    constexpr i64 lanes = 16;  // sums side by side
    T fx[lanes] = {}, fy[lanes] = {};
    const i64 end = p_.rows[static_cast<size_t>(i + 1)];
    const i32* const columns = p_.columns.data();
    const float* const values = p_.values.data();
    const T xi = x[i], yi = y[i];
    i64 e = p_.rows[static_cast<size_t>(i)];
    for (; e + lanes <= end; e += lanes) {
      for (i64 l = 0; l < lanes; ++l) {
        const T dx = xi - x[columns[e + l]], dy = yi - y[columns[e + l]];
        const T w = static_cast<T>(values[e + l]) / (T(1) + dx * dx + dy * dy);
        fx[l] += w * dx;
        fy[l] += w * dy;
      }
    }
    for (i64 l = 0; e + l < end; ++l) {
      const T dx = xi - x[columns[e + l]], dy = yi - y[columns[e + l]];
      const T w = static_cast<T>(values[e + l]) / (T(1) + dx * dx + dy * dy);
      fx[l] += w * dx;
      fy[l] += w * dy;
    }
    T sum_x = 0, sum_y = 0;
    for (i64 l = 0; l < lanes; ++l) {
      sum_x += fx[l];
      sum_y += fy[l];
    }
    return {sum_x, sum_y};
  }

  const Affinities& p_;
  T theta_;
  double entropy_ = 0, total_ = 0, z_ = 1;  // sum p log p, sum p, sum of 1 / (1 + |y_i - y_j|^2)
  QuadTree<T> tree_;
  std::vector<T> ones_;
  std::vector<double> sums_;  // of q, of each group
};

}  // namespace dino::inline DINO_ABI
