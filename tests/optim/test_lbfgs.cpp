#include <dino/optim/lbfgs.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

using Values = std::vector<double>;

double rosenbrock(const Values& x, Values& g) {
  double value = 0;
  for (size_t i = 0; i + 1 < x.size(); i += 2) {
    const double a = 1 - x[i], b = x[i + 1] - x[i] * x[i];
    value += a * a + 100 * b * b;
    g[i] = -2 * a - 400 * x[i] * b;
    g[i + 1] = 200 * b;
  }
  return value;
}

Values minimum(const SmoothFunction& f, const Values& start, const LbfgsSettings& settings, i64 limit = 500) {
  Lbfgs solver(start, settings);
  while (!solver.finished() && solver.state().iterations < limit) solver.step(f);
  return solver.state().x;
}

}  // namespace

TEST_CASE("lbfgs: finds the minimum of Rosenbrock's valley", "[optim]") {
  Lbfgs solver(Values{-1.2, 1, 2, -3, 0.5, 4}, {.tolerance = 1e-9});
  double last = std::numeric_limits<double>::infinity();
  while (!solver.finished() && solver.state().iterations < 200) {
    solver.step(rosenbrock);
    CHECK(solver.state().value <= last);
    last = solver.state().value;
  }
  CHECK(solver.finished());
  CHECK(solver.largest_gradient() <= 1e-9);
  for (const double x : solver.state().x) CHECK(x == Approx(1).epsilon(1e-8));
  CHECK(solver.state().iterations < 100);
  CHECK(solver.state().evaluations < 160);
}

TEST_CASE("lbfgs: a quadratic function of a thousand conditions", "[optim]") {
  const auto f = [](const Values& x, Values& g) {
    double value = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double h = std::pow(1000.0, static_cast<double>(i) / 29), d = x[i] - static_cast<double>(i);
      value += h * d * d / 2;
      g[i] = h * d;
    }
    return value;
  };
  const auto x = minimum(f, Values(30, 0.0), {.tolerance = 1e-7});
  for (size_t i = 0; i < x.size(); ++i) CHECK(x[i] == Approx(static_cast<double>(i)).margin(1e-6));
}

TEST_CASE("lbfgs: a state that was saved goes on with equal bits", "[optim]") {
  const Values start{-1.2, 1, 2, -3};
  Lbfgs whole(start), first(start);
  for (int i = 0; i < 20; ++i) whole.step(rosenbrock);
  for (int i = 0; i < 7; ++i) first.step(rosenbrock);
  Lbfgs second(LbfgsState(first.state()), {});
  for (int i = 7; i < 20; ++i) second.step(rosenbrock);
  CHECK(second.state().x == whole.state().x);
  CHECK(second.state().iterations == whole.state().iterations);
  CHECK(second.state().evaluations == whole.state().evaluations);
}

TEST_CASE("lbfgs: steps that leave the domain are taken back", "[optim]") {
  const auto f = [](const Values& x, Values& g) {  // x - ln x, minimum at 1; no number for x <= 0
    g[0] = 1 - 1 / x[0];
    return x[0] - std::log(x[0]);
  };
  CHECK(minimum(f, {1e-3}, {.tolerance = 1e-10})[0] == Approx(1));
  CHECK(minimum(f, {500}, {.tolerance = 1e-10})[0] == Approx(1));
}

TEST_CASE("lbfgs: ends where rounding hides any further descent", "[optim]") {
  const auto f = [](const Values& x, Values& g) {
    g[0] = 2 * x[0] + 1e-3;  // a gradient that is never 0 where the value is least
    return static_cast<double>(static_cast<float>(x[0] * x[0]));
  };
  Lbfgs solver(Values{3}, {.tolerance = 0});
  for (int i = 0; i < 200 && !solver.finished(); ++i) solver.step(f);
  CHECK(solver.finished());
  CHECK(std::abs(solver.state().x[0]) < 1e-2);
  const auto before = solver.state().x;
  solver.step(f);  // finished: nothing moves
  CHECK(solver.state().x == before);
}

TEST_CASE("lbfgs: a start without a value, and a state of other variables, are refused", "[optim]") {
  Lbfgs solver(Values{-1});
  CHECK_THROWS_WITH(solver.step([](const Values& x, Values& g) {
    g[0] = 0;
    return std::log(x[0]);
  }),
                    contains("not finite at the start"));
  CHECK_THROWS_WITH(Lbfgs(Values{}), contains("0 variables"));
  LbfgsState state;
  state.x = {1, 2};
  state.started = true;
  state.gradient = {1};
  CHECK_THROWS_WITH(Lbfgs(state, {}), contains("does not belong to 2 variables"));
}
