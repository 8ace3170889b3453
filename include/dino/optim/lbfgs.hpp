// L-BFGS: minimises a smooth function of many variables from its gradients.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <vector>

namespace dino::inline DINO_ABI {

/// Returns f(x) and writes its gradient, of the size of x.
using SmoothFunction = std::function<double(const std::vector<double>& x, std::vector<double>& gradient)>;

struct LbfgsSettings {
  i64 history = 10;         // pairs of steps and gradient changes that approximate the curvature
  double tolerance = 1e-4;  // finished when no |gradient| is greater
  i64 evaluations = 40;     // of f, at most, in one line search
};

/// Where the minimisation stands: all that a resume needs.
struct LbfgsState {
  std::vector<double> x, gradient;  // (n)
  double value = 0;
  i64 iterations = 0, evaluations = 0;
  std::deque<std::vector<double>> steps, changes;  // of x and of the gradient, oldest first
  bool started = false, stuck = false;
};

/// Quasi-Newton descent with a line search for the strong Wolfe conditions (c1 = 1e-4, c2 = 0.9) by bracketing and
/// cubic interpolation. All sums run in order on one thread: equal bits on every run.
///     Lbfgs solver(x0);
///     while (!solver.finished() && solver.state().iterations < 1000) solver.step(f);
/// finished(): the gradient is within the tolerance, or no step along the direction makes f smaller, which at the
/// precision of f's sums means the same. Keeps 2 history + 5 vectors.
/// Source: Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 3.5, 3.6 and 7.4.
class Lbfgs {
 public:
  explicit Lbfgs(std::vector<double> x, const LbfgsSettings& settings = {}) : settings_(settings) {
    state_.x = std::move(x);
    check();
  }
  Lbfgs(LbfgsState state, const LbfgsSettings& settings) : settings_(settings), state_(std::move(state)) { check(); }

  const LbfgsState& state() const { return state_; }
  double largest_gradient() const {
    double most = 0;
    for (const double g : state_.gradient) most = std::max(most, std::abs(g));
    return most;
  }
  bool finished() const { return state_.started && (state_.stuck || largest_gradient() <= settings_.tolerance); }

  /// One descent step; the first call also evaluates f at the start. Throws Error{numerical} when f is not finite
  /// there.
  void step(const SmoothFunction& f) {
    auto& s = state_;
    if (!s.started) {
      s.value = evaluate(f, s.x, s.gradient);
      require(std::isfinite(s.value) && std::isfinite(dot(s.gradient, s.gradient)), ErrorKind::numerical,
              "lbfgs: the function or its gradient is not finite at the start");
      s.started = true;
    }
    if (finished()) return;
    auto direction = descent_direction();
    if (!(dot(direction, s.gradient) < 0)) {  // curvature lost to rounding: begin again
      s.steps.clear(), s.changes.clear();
      direction = descent_direction();
    }
    const double first = s.steps.empty() ? std::min(1.0, 1 / std::sqrt(dot(s.gradient, s.gradient))) : 1;
    const auto best = search(f, direction, first);
    if (!(best.value < s.value)) {
      s.stuck = s.steps.empty();  // with a history: once more along the gradient
      s.steps.clear(), s.changes.clear();
      return;
    }
    accept(best, direction);
  }

 private:
  struct Point {
    double at, value, slope;
    std::vector<double> gradient;
  };

  void check() const {
    const auto n = state_.x.size();
    require(n > 0 && settings_.history >= 1 && settings_.evaluations >= 1, "lbfgs: {} variables, {} pairs", n,
            settings_.history);
    bool equal = state_.steps.size() == state_.changes.size() && (!state_.started || state_.gradient.size() == n);
    for (const auto* list : {&state_.steps, &state_.changes})
      for (const auto& v : *list) equal = equal && v.size() == n;
    require(equal, "lbfgs: the state does not belong to {} variables", n);
  }

  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }
  static void add(std::vector<double>& y, double factor, const std::vector<double>& x) {
    for (size_t i = 0; i < y.size(); ++i) y[i] += factor * x[i];
  }

  double evaluate(const SmoothFunction& f, const std::vector<double>& x, std::vector<double>& gradient) {
    ++state_.evaluations;
    gradient.assign(x.size(), 0);
    return f(x, gradient);
  }

  /// -H gradient by the two loops over the history; H starts as (s, y) / (y, y) of the last pair.
  std::vector<double> descent_direction() const {
    const auto &s = state_.steps, &y = state_.changes;
    std::vector<double> d = state_.gradient, factor(s.size());
    for (size_t i = s.size(); i-- > 0;) {
      factor[i] = dot(s[i], d) / dot(s[i], y[i]);
      add(d, -factor[i], y[i]);
    }
    const double scale = s.empty() ? 1 : dot(s.back(), y.back()) / dot(y.back(), y.back());
    for (double& v : d) v *= -scale;
    for (size_t i = 0; i < s.size(); ++i) add(d, -factor[i] - dot(y[i], d) / dot(s[i], y[i]), s[i]);
    return d;
  }

  Point probe(const SmoothFunction& f, const std::vector<double>& direction, double at) {
    auto x = state_.x;
    add(x, at, direction);
    Point p{.at = at, .value = 0, .slope = 0, .gradient = {}};
    p.value = evaluate(f, x, p.gradient);
    p.slope = dot(p.gradient, direction);
    return p;
  }

  /// The minimum of the cubic through both points, kept off the ends of the interval; its middle if there is none.
  static double between(const Point& a, const Point& b) {
    const double low = std::min(a.at, b.at), width = std::abs(b.at - a.at), middle = low + width / 2;
    const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.at - b.at), square = d1 * d1 - a.slope * b.slope;
    if (!(square >= 0)) return middle;
    const double d2 = std::copysign(std::sqrt(square), b.at - a.at);
    const double at = b.at - (b.at - a.at) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
    return std::isfinite(at) ? std::clamp(at, low + width / 10, low + 0.9 * width) : middle;
  }

  /// A point that satisfies the strong Wolfe conditions; after too many evaluations the lowest one that was found.
  Point search(const SmoothFunction& f, const std::vector<double>& direction, double first) {
    const double value = state_.value, slope = dot(state_.gradient, direction);
    const auto low_enough = [&](const Point& p) { return p.value <= value + 1e-4 * p.at * slope; };
    const auto flat_enough = [&](const Point& p) { return std::abs(p.slope) <= -0.9 * slope; };
    Point low{.at = 0, .value = value, .slope = slope, .gradient = {}}, high;
    bool bracketed = false;
    double at = first;
    for (i64 i = 0; i < settings_.evaluations; ++i) {
      auto p = probe(f, direction, at);
      if (!low_enough(p) || !(p.value < low.value)) {  // or not a number
        high = std::move(p);
        bracketed = true;
      } else {
        if (flat_enough(p)) return p;
        const bool beyond = p.slope * (bracketed ? high.at - low.at : 1) >= 0;
        if (beyond) high = std::move(low);
        low = std::move(p);
        bracketed = bracketed || beyond;
      }
      if (bracketed && std::abs(high.at - low.at) <= 1e-12 * std::max(1.0, std::abs(low.at))) break;
      at = bracketed ? between(low, high) : 2 * at;
    }
    return low;
  }

  void accept(const Point& p, const std::vector<double>& direction) {
    auto& s = state_;
    std::vector<double> moved = direction, change = p.gradient;
    for (double& v : moved) v *= p.at;
    add(change, -1, s.gradient);
    add(s.x, p.at, direction);
    s.gradient = p.gradient;
    s.value = p.value;
    ++s.iterations;
    if (!(dot(moved, change) > 1e-16 * dot(change, change))) return;  // no positive curvature: nothing to learn
    s.steps.push_back(std::move(moved));
    s.changes.push_back(std::move(change));
    if (static_cast<i64>(s.steps.size()) > settings_.history) s.steps.pop_front(), s.changes.pop_front();
  }

  LbfgsSettings settings_;
  LbfgsState state_;
};

}  // namespace dino::inline DINO_ABI
