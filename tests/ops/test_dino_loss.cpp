#include <dino/ops/dino_loss.hpp>

#include "support/op_checks.hpp"

#include <cmath>

using namespace dino;
using namespace op_checks;

namespace {
/// The documented example: K = 5, B = 2, two global crops and a local one.
HostTensor<double> example_student(HostContext& ctx) {
  return generate<double>(ctx, {6, 5}, [](i64 i) { return std::sin(0.7 * static_cast<double>(i)); });
}
HostTensor<double> example_teacher(HostContext& ctx) {
  return generate<double>(ctx, {4, 5}, [](i64 i) { return std::cos(0.3 * static_cast<double>(i)); });
}
void check_row(const HostTensor<double>& gradient, i64 row, const std::vector<double>& expected) {
  for (i64 k = 0; k < 5; ++k) CHECK(gradient[row * 5 + k] == Approx(expected[static_cast<size_t>(k)]).epsilon(1e-8));
}
}  // namespace

TEST_CASE("dino_loss: the reference code's values, temperature 0.04", "[ops][golden]") {
  HostContext ctx(2);
  Tape<Host> tape(ctx);
  const auto student = tape.leaf(example_student(ctx));
  const auto loss = dino_loss(student, example_teacher(ctx), zeros<double>(ctx, {5}), 0.1, 0.04);
  CHECK(item(loss.value) == Approx(8.060928020504898).epsilon(1e-14));
  tape.backward(loss);
  const auto gradient = tape.grad(student);
  check_row(gradient, 0, {4.4711275e-05, 0.0309993002, 0.940483906, 0.273563923, -1.24509184});
  check_row(gradient, 2, {-0.897689429, 0.655675878, 0.240891073, 0.00112133125, 1.14638437e-06});
  check_row(gradient, 4, {1.09004063, 0.169770065, -0.00979788994, -0.00351334918, -1.24649946});
}

TEST_CASE("dino_loss: the reference code's values, second call with its centre and temperature 0.07", "[ops][golden]") {
  HostContext ctx(2);
  Tape<Host> tape(ctx);
  const auto student = tape.leaf(example_student(ctx));
  const auto center =
      tensor<double>(ctx, {5}, {-0.00325127736, -0.0042961598, -0.00495727908, -0.00517557939, -0.0049315606});
  const auto loss = dino_loss(student, example_teacher(ctx), center, 0.1, 0.07);
  CHECK(item(loss.value) == Approx(8.079251189463571).epsilon(1e-9));  // the centre has 9 digits
  tape.backward(loss);
  const auto gradient = tape.grad(student);
  const std::vector<double> row0{-0.000882447503, 0.0300238619, 0.936914857, 0.235361883, -1.20141815};
  const std::vector<double> row5{-1.23192291, -0.0177518876, -0.00187719636, 0.0389211626, 1.21263083};
  for (i64 k = 0; k < 5; ++k) {
    CHECK(gradient[k] == Approx(row0[static_cast<size_t>(k)]).epsilon(1e-6));
    CHECK(gradient[25 + k] == Approx(row5[static_cast<size_t>(k)]).epsilon(1e-6));
  }
}

TEST_CASE("dino_loss: equals PyTorch", "[ops][golden]") {
  const golden::File file("ops.safetensors");
  HostContext ctx(2);
  golden::check_op<double, 1>("dino_loss", 1e-12, [&](auto s) {
    return dino_loss(s, file.tensor<double>(s.ctx(), "dino_loss.teacher"),
                     file.tensor<double>(s.ctx(), "dino_loss.center"), 0.1, 0.04);
  });
  golden::check_op<float, 1>("dino_loss", 1e-5, [&](auto s) {
    return dino_loss(s, file.tensor<float>(s.ctx(), "dino_loss.teacher"),
                     file.tensor<float>(s.ctx(), "dino_loss.center"), 0.1, 0.04);
  });
}

TEST_CASE("dino_loss: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto views = GENERATE(2, 3, 10);
  const auto teacher = randn(ctx, {6, 9}, 1), center = randn(ctx, {9}, 2);
  CHECK(gradcheck([&](auto s) { return dino_loss(s, teacher, center, 0.1, 0.04); }, randn(ctx, {views * 3, 9}, 3)) <=
        1e-6);
}

TEST_CASE("dino_loss: logits that nobody else holds become their own gradient", "[ops]") {
  HostContext ctx(2);
  const auto teacher = example_teacher(ctx), center = zeros<double>(ctx, {5});
  const auto run = [&](bool keep) {
    Tape<Host> tape(ctx);
    const auto leaf = tape.leaf(example_student(ctx));
    auto logits = scale(leaf, 1);
    const auto held = keep ? logits.value : HostTensor<double>();
    auto loss = dino_loss(logits, teacher, center, 0.1, 0.04);
    logits = {};
    tape.backward(loss);
    if (keep) CHECK(to_vector(held) == to_vector(example_student(ctx)));  // untouched
    return to_vector(tape.grad(leaf));
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("dino_loss: monitors are the entropy of the teacher and its mean over the batch", "[ops]") {
  HostContext ctx(2);
  const auto teacher = example_teacher(ctx), center = full<double>(ctx, {5}, 0.1);
  DinoLossMonitors<double, Host> monitors;
  dino_loss(example_student(ctx), teacher, center, 0.1, 0.5, &monitors);
  double entropy = 0;
  std::vector<double> mean(5, 0.0);
  for (i64 r = 0; r < 4; ++r) {
    double total = 0;
    for (i64 k = 0; k < 5; ++k) total += std::exp((teacher[r * 5 + k] - 0.1) / 0.5);
    for (i64 k = 0; k < 5; ++k) {
      const double q = std::exp((teacher[r * 5 + k] - 0.1) / 0.5) / total;
      entropy -= q * std::log(q) / 4;
      mean[static_cast<size_t>(k)] += q / 4;
    }
  }
  CHECK(item(monitors.entropy) == Approx(entropy));
  for (i64 k = 0; k < 5; ++k) CHECK(monitors.batch_mean[k] == Approx(mean[static_cast<size_t>(k)]));
}

TEST_CASE("dino_loss: uniform outputs cost ln K", "[ops]") {
  HostContext ctx(1);
  const i64 outputs = 1000;
  const auto loss = dino_loss(zeros<float>(ctx, {6, outputs}), zeros<float>(ctx, {4, outputs}),
                              zeros<float>(ctx, {outputs}), 0.1, 0.04);
  CHECK(item(loss) == Approx(std::log(1000.0)).epsilon(1e-6));
}

TEST_CASE("dino_loss: the same bits for any number of threads", "[ops]") {
  check_threads({{40, 9000}}, [](auto& x) {
    auto& ctx = x[0].ctx();
    const auto teacher = dino::randn<float>(ctx, {16, 9000}, RngKey(1, 1));
    return dino_loss(x[0], teacher, zeros<float>(ctx, {9000}), 0.1, 0.04);
  });
}

TEST_CASE("dino_loss: wrong shapes and temperatures are named", "[ops]") {
  HostContext ctx(1);
  const auto z = [&](Shape s) { return zeros<float>(ctx, s); };
  CHECK_THROWS_WITH(dino_loss(z({6, 5}), z({4, 6}), z({5}), 0.1, 0.04), contains("student is (6,5), teacher is (4,6)"));
  CHECK_THROWS_WITH(dino_loss(z({2, 5}), z({4, 5}), z({5}), 0.1, 0.04), contains("1 views, at least 2"));
  CHECK_THROWS_WITH(dino_loss(z({6, 5}), z({4, 5}), z({5}), 0.1, 0.0),
                    contains("temperatures 0.1 and 0 must be positive"));
}
