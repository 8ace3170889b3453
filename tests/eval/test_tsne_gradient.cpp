#include <dino/eval/tsne_gradient.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

/// Gradient (n,2) in the order of the points (n,2), and the divergence.
template <class T> struct Slope {
  std::vector<double> gradient;
  double divergence = 0, z = 0;

  Slope(HostContext& ctx, const Affinities& p, const std::vector<double>& points, double theta,
        double exaggeration = 1) {
    const auto n = points.size() / 2;
    std::vector<T> x(n), y(n), dx(n), dy(n);
    for (size_t i = 0; i < n; ++i) {
      x[i] = static_cast<T>(points[2 * i]);
      y[i] = static_cast<T>(points[2 * i + 1]);
    }
    TsneGradient<T> gradient_of(p, theta);
    z = gradient_of(ctx, x.data(), y.data(), exaggeration, dx.data(), dy.data());
    divergence = gradient_of.divergence(ctx, x.data(), y.data());
    for (size_t i = 0; i < n; ++i) {
      gradient.push_back(static_cast<double>(dx[i]));
      gradient.push_back(static_cast<double>(dy[i]));
    }
  }
};

std::vector<double> random_points(i64 n, u64 key, double scale) {
  HostContext ctx(1);
  auto points = to_vector(randn<double>(ctx, {n, 2}, RngKey(key, 0)));
  for (double& p : points) p *= scale;
  return points;
}

Affinities random_affinities(i64 n, bool all) {
  HostContext ctx(2);
  return tsne_affinities(ctx, to_vector(randn<float>(ctx, {n, 5}, RngKey(4, 0))), 5, 10, all);
}

}  // namespace

TEST_CASE("tsne_gradient: gradient and divergence of scikit-learn, all pairs", "[eval][golden]") {
  HostContext ctx(2);
  const golden::File file("embedding.safetensors");
  const auto p = tsne_affinities(ctx, floats(file.values("tsne.x")), 7, 8, true);
  const Slope<double> in_double(ctx, p, file.values("tsne.y"), 0);
  CHECK(in_double.divergence == Approx(file.values("tsne.divergence")[0]).epsilon(1e-5));
  golden::check_close("gradient", in_double.gradient, file.values("tsne.gradient"), 1e-5);  // p is float
  const Slope<float> in_float(ctx, p, file.values("tsne.y"), 0);
  CHECK(in_float.divergence == Approx(file.values("tsne.divergence")[0]).epsilon(1e-5));
  golden::check_close("gradient", in_float.gradient, file.values("tsne.gradient"), 2e-5);
}

TEST_CASE("tsne_gradient: the slope of the divergence by central differences", "[eval]") {
  HostContext ctx(2);
  for (const bool all : {true, false}) {
    for (const i64 n : {41, 48}) {
      const auto p = random_affinities(n, all);
      auto points = random_points(n, 8, 1.5);
      const Slope<double> exact(ctx, p, points, 0);
      std::vector<double> differences;
      constexpr double step = 1e-5;
      for (double& coordinate : points) {
        const double at = coordinate;
        coordinate = at + step;
        const double above = Slope<double>(ctx, p, points, 0).divergence;
        coordinate = at - step;
        const double below = Slope<double>(ctx, p, points, 0).divergence;
        coordinate = at;
        differences.push_back((above - below) / (2 * step));
      }
      golden::check_close("gradient", exact.gradient, differences, 1e-7);  // the sum of p is 1 to 1e-8
    }
  }
}

TEST_CASE("tsne_gradient: Barnes-Hut goes to the exact one as theta goes to 0", "[eval]") {
  HostContext ctx(2);
  for (const double scale : {1e-4, 1.0, 30.0}) {
    const auto p = random_affinities(1003, false);
    const auto points = random_points(1003, 3, scale);
    const Slope<double> exact(ctx, p, points, 0, 12);
    const Slope<double> all_leaves(ctx, p, points, 1e-9, 12);
    INFO("scale " << scale);
    golden::check_close("theta 1e-9", all_leaves.gradient, exact.gradient, 1e-11);
    CHECK(all_leaves.z == Approx(exact.z).epsilon(1e-12));
    CHECK(all_leaves.divergence == Approx(exact.divergence).epsilon(1e-12));
    double before = 0;
    for (const double theta : {0.1, 0.3, 0.5, 0.9}) {
      const Slope<double> tree(ctx, p, points, theta, 12);
      const double error = golden::relative_error(tree.gradient, exact.gradient);
      CHECK(error >= before);
      CHECK(error < 0.03 * theta);
      CHECK(tree.z == Approx(exact.z).epsilon(0.02 * theta));  // the centre of a square for its points
      before = error / 10;
    }
    const Slope<float> in_float(ctx, p, points, 0.5, 12), in_double(ctx, p, points, 0.5, 12);
    CHECK(golden::relative_error(in_float.gradient, in_double.gradient) < 2e-3);  // another square may be opened
  }
}

TEST_CASE("tsne_gradient: threads change no bit", "[eval]") {
  HostContext one(1), two(2), three(3);
  const auto p = random_affinities(2100, false);
  const auto points = random_points(2100, 5, 8);
  for (const double theta : {0.0, 0.5}) {
    const Slope<float> a(one, p, points, theta), b(two, p, points, theta), c(three, p, points, theta);
    CHECK(a.gradient == b.gradient);
    CHECK(a.gradient == c.gradient);
    CHECK(a.divergence == b.divergence);
    CHECK(a.divergence == c.divergence);
  }
}

TEST_CASE("tsne_gradient: points that lie on each other push nobody, and theta has a range", "[eval]") {
  HostContext ctx(1);
  const auto p = random_affinities(40, true);
  for (const double theta : {0.0, 0.5}) {
    const Slope<float> equal(ctx, p, std::vector<double>(80, 0.25), theta);
    for (const double g : equal.gradient) CHECK(g == 0);
    CHECK(equal.z == Approx(40 * 39).epsilon(1e-6));
  }
  CHECK_THROWS_WITH(TsneGradient<float>(p, 1.5), "tsne: theta 1.5 must lie in 0..1");
}
