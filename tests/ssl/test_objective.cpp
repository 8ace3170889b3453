#include <dino/ssl/objective.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

template <class T> struct Problem {
  HostContext ctx{2};
  DinoObjective<T, Host> objective{ctx, 5};
  HostTensor<T> student{generate<T>(ctx, {6, 5}, [](i64 i) { return std::sin(0.7 * static_cast<double>(i)); })};
  HostTensor<T> teacher{generate<T>(ctx, {4, 5}, [](i64 i) { return std::cos(0.3 * static_cast<double>(i)); })};

  struct Result {
    double loss;
    std::vector<T> grad;
  };
  /// One step; 3 crops of 2 images.
  Result step(double teacher_temp) {
    Tape<Host> tape(ctx);
    const auto s = tape.leaf(clone(student));
    const auto loss = objective.loss(s, teacher, teacher_temp);
    tape.backward(loss);
    objective.observe(teacher, 4);
    objective.update_center();
    return {static_cast<double>(item(loss.value)), to_vector(tape.grad(s))};
  }
};

template <class T>
void check_rows(const std::vector<T>& grad, size_t row, const std::vector<double>& expected, double tolerance) {
  const std::vector<T> got(grad.begin() + static_cast<i64>(5 * row), grad.begin() + static_cast<i64>(5 * row + 5));
  INFO("row " << row);
  CHECK(golden::relative_error(got, expected) <= tolerance);
}

template <class T> void check_golden(double printed, double loss_digits) {
  Problem<T> p;
  const auto first = p.step(0.04);
  CHECK(first.loss == Approx(8.060928020504898).epsilon(loss_digits));
  check_rows(first.grad, 0, {4.4711275e-05, 0.0309993002, 0.940483906, 0.273563923, -1.24509184}, printed);
  check_rows(first.grad, 2, {-0.897689429, 0.655675878, 0.240891073, 0.00112133125, 1.14638437e-06}, printed);
  check_rows(first.grad, 4, {1.09004063, 0.169770065, -0.00979788994, -0.00351334918, -1.24649946}, printed);
  const std::vector<double> center1{-0.00325127736, -0.0042961598, -0.00495727908, -0.00517557939, -0.0049315606};
  CHECK(golden::relative_error(to_vector(p.objective.center()), center1) <= printed);
  const auto second = p.step(0.07);
  CHECK(second.loss == Approx(8.079251189463571).epsilon(loss_digits));
  check_rows(second.grad, 0, {-0.000882447503, 0.0300238619, 0.936914857, 0.235361883, -1.20141815}, printed);
  check_rows(second.grad, 5, {-1.23192291, -0.0177518876, -0.00187719636, 0.0389211626, 1.21263083}, printed);
  const std::vector<double> center2{-0.00617742698, -0.00816270362, -0.00941883026, -0.00983360084, -0.00936996514};
  CHECK(golden::relative_error(to_vector(p.objective.center()), center2) <= printed);
}

}  // namespace

TEST_CASE("objective: two calls of the reference, with the centre between them", "[ssl][golden]") {
  check_golden<double>(1e-8, 1e-13);  // nine digits are printed
  check_golden<float>(1e-5, 1e-5);
}

TEST_CASE("objective: the centre is updated after use and starts at zero", "[ssl]") {
  Problem<double> p;
  CHECK(to_vector(p.objective.center()) == std::vector<double>(5, 0.0));
  Tape<Host> tape(p.ctx);
  const auto before = item(p.objective.loss(tape.leaf(p.student), p.teacher, 0.04).value);
  p.objective.observe(p.teacher, 4);
  const auto observed = item(p.objective.loss(tape.leaf(p.student), p.teacher, 0.04).value);
  CHECK(before == observed);
  p.objective.update_center();
  CHECK(item(p.objective.loss(tape.leaf(p.student), p.teacher, 0.04).value) != before);
}

TEST_CASE("objective: the centre takes the mean over all micro-batches of a step", "[ssl]") {
  Problem<double> whole, parts;
  whole.objective.observe(whole.teacher, 4);
  whole.objective.update_center();
  for (i64 row = 0; row < 4; ++row) parts.objective.observe(contiguous(parts.teacher.slice(row, row + 1)), 4);
  parts.objective.update_center();
  CHECK(golden::relative_error(to_vector(parts.objective.center()), to_vector(whole.objective.center())) <= 1e-13);
}

TEST_CASE("objective: a dropped observation leaves no trace", "[ssl]") {
  Problem<double> p, clean;
  p.objective.observe(full<double>(p.ctx, {4, 5}, std::nan("")), 4);
  p.objective.drop_observation();
  CHECK_THROWS_WITH(p.objective.update_center(), contains("without an observation"));
  CHECK(to_vector(p.objective.center()) == std::vector<double>(5, 0.0));
  p.step(0.04);
  clean.step(0.04);
  CHECK(to_vector(p.objective.center()) == to_vector(clean.objective.center()));
}

TEST_CASE("objective: the teacher gets no gradient and a uniform teacher gives ln K", "[ssl]") {
  HostContext ctx(1);
  const DinoObjective<double, Host> objective(ctx, 7);
  Tape<Host> tape(ctx);
  const auto s = tape.leaf(zeros<double>(ctx, {6, 7}));
  const auto loss = objective.loss(s, zeros<double>(ctx, {4, 7}), 0.04);
  CHECK(item(loss.value) == Approx(std::log(7.0)).epsilon(1e-13));
  tape.backward(loss);
  for (const double g : to_vector(tape.grad(s))) CHECK(std::abs(g) <= 1e-15);
}

TEST_CASE("objective: every student view meets every other teacher view, 2V - 2 pairs", "[ssl]") {
  HostContext ctx(1);
  constexpr i64 views = 4, images = 3, k = 6;
  const DinoObjective<double, Host> objective(ctx, k, {.student_temp = 0.2});
  const auto s = randn<double>(ctx, {views * images, k}, RngKey(1, 1));
  const auto t = randn<double>(ctx, {2 * images, k}, RngKey(1, 2));
  const auto softmax = [&](const HostTensor<double>& x, i64 row, double tau) {
    std::vector<double> p(static_cast<size_t>(k));
    double total = 0;
    for (i64 j = 0; j < k; ++j) total += p[static_cast<size_t>(j)] = std::exp(x[row * k + j] / tau);
    for (double& value : p) value /= total;
    return p;
  };
  double expected = 0;
  i64 pairs = 0;
  for (i64 i = 0; i < 2; ++i) {
    for (i64 v = 0; v < views; ++v) {
      if (v == i) continue;
      ++pairs;
      for (i64 b = 0; b < images; ++b) {
        const auto q = softmax(t, i * images + b, 0.05), p = softmax(s, v * images + b, 0.2);
        for (size_t j = 0; j < static_cast<size_t>(k); ++j) expected -= q[j] * std::log(p[j]) / images;
      }
    }
  }
  CHECK(pairs == 2 * views - 2);
  Tape<Host> tape(ctx);
  CHECK(item(objective.loss(tape.leaf(s), t, 0.05).value) ==
        Approx(expected / static_cast<double>(pairs)).epsilon(1e-13));
}
