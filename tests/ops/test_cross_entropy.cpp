#include <dino/ops/cross_entropy.hpp>

#include "support/op_checks.hpp"

#include <algorithm>
#include <cmath>

using namespace dino;
using namespace op_checks;

namespace {

std::vector<i64> labels(i64 rows, i64 cols) {
  std::vector<i64> list;
  for (i64 r = 0; r < rows; ++r) list.push_back((7 * r + 3) % cols);
  return list;
}

}  // namespace

TEST_CASE("cross_entropy: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {5, 7}, {3, 1000}}));
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    const auto label = labels(rows, cols);
    CHECK(gradcheck([&](auto x) { return cross_entropy(x, label, smoothing); }, randn(ctx, {rows, cols}, 1)) <= 1e-6);
  }
}

TEST_CASE("cross_entropy: equals the formula of PyTorch", "[ops][golden]") {
  // The formula of torch.nn.functional.cross_entropy for [[1, 2, 3], [0.5, -1, 4]] with labels 2 and 0.
  HostContext ctx(1);
  const auto check = [&](auto zero, double tolerance) {
    using T = decltype(zero);
    const auto x = tensor<T>(ctx, {2, 3}, {T(1), T(2), T(3), T(0.5), T(-1), T(4)});
    CHECK(std::abs(static_cast<double>(item(cross_entropy(x, {2, 0}))) - 1.9719377648) <= tolerance);
    CHECK(std::abs(static_cast<double>(item(cross_entropy(x, {2, 0}, 0.1))) - 1.9886044315) <= tolerance);
  };
  check(0.0, 1e-9);
  check(0.0f, 1e-6);
}

TEST_CASE("cross_entropy: gradients of mixed rows match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {5, 7}, {3, 1000}}));
  MixedLabels mixed{labels(rows, cols), labels(rows, cols), {}};
  std::reverse(mixed.other.begin(), mixed.other.end());
  for (i64 r = 0; r < rows; ++r) mixed.share.push_back(static_cast<double>(r) / 5);
  CHECK(gradcheck([&](auto x) { return cross_entropy(x, mixed, 0.1); }, randn(ctx, {rows, cols}, 1)) <= 1e-6);
}

TEST_CASE("cross_entropy: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 7}, [](auto x) { return cross_entropy(x, {0, 6, 2, 2}, 0.1); });
  const MixedLabels mixed{{0, 6, 2, 2}, {2, 2, 6, 0}, {0.5, 1, 0, 0.9}};
  check_accumulates({4, 7}, [&](auto x) { return cross_entropy(x, mixed, 0.1); });
  check_view({4, 7}, [](auto x) { return cross_entropy(x, {0, 6, 2, 2}); });
  check_threads({{500, 77}}, [](auto& x) { return cross_entropy(x[0], labels(500, 77)); });
}

TEST_CASE("cross_entropy: two labels of a row are those of mixup", "[ops][golden]") {
  // PyTorch 2: the mean of -sum(t log_softmax(x)), t = timm's mixup_target with smoothing 0.1, and its gradient.
  HostContext ctx(1);
  const auto check = [&](auto zero, double tolerance) {
    using T = decltype(zero);
    const auto x = tensor<T>(ctx, {3, 4}, {T(1), T(2), T(3), T(-1), T(0.5), T(-1), T(4), T(0), T(0), T(0), T(2), T(1)});
    const MixedLabels labels{{2, 0, 1}, {1, 0, 3}, {0.7, 0.3, 0.25}};
    Tape<HostDevice> tape(ctx);
    const auto in = tape.leaf(x);
    const auto loss = cross_entropy(in, labels, 0.1);
    CHECK(std::abs(static_cast<double>(item(loss.value)) - 2.0416023265) <= tolerance);
    tape.backward(loss);
    const std::vector<double> expected{
        0.0213156058, -0.0177391609, 0.0007443409, -0.0043207858,
        -0.2987945651, -0.0062049464, 0.3075472894, -0.0025477779,
        0.0191981798, -0.0558018202, 0.1950985618, -0.1584949214};
    const auto gradient = to_vector(tape.grad(in));
    for (size_t i = 0; i < expected.size(); ++i) {
      CHECK(std::abs(static_cast<double>(gradient[i]) - expected[i]) <= tolerance);
    }
  };
  check(0.0, 1e-9);
  check(0.0f, 1e-6);
}

TEST_CASE("cross_entropy: large logits neither overflow nor cost digits", "[ops]") {
  HostContext ctx(1);
  const auto x = tensor<float>(ctx, {1, 3}, {1e6f, 1e6f + 1, 1e6f - 1});
  CHECK(static_cast<double>(item(cross_entropy(x, {0}))) == Approx(1.407605964));  // ln(1 + e + 1/e)
}

TEST_CASE("cross_entropy: labels that do not fit are refused", "[ops]") {
  HostContext ctx(1);
  const auto x = zeros<float>(ctx, {2, 3});
  CHECK_THROWS_WITH(cross_entropy(x, {0}), contains("x is (2,3), 1 labels"));
  CHECK_THROWS_WITH(cross_entropy(x, {0, 3}), contains("label 3 for 3 classes"));
  CHECK_THROWS_WITH(cross_entropy(x, {0, -1}), contains("label -1"));
  CHECK_THROWS_WITH(cross_entropy(x, {0, 1}, 1.5), contains("label smoothing 1.5"));
  CHECK_THROWS_WITH(cross_entropy(x, MixedLabels{{0, 1}, {0, 3}, {1, 1}}), contains("label 3 for 3 classes"));
  CHECK_THROWS_WITH(cross_entropy(x, MixedLabels{{0, 1}, {0, 1}, {1}}), contains("1 shares for 2 labels"));
  CHECK_THROWS_WITH(cross_entropy(x, MixedLabels{{0, 1}, {0, 1}, {1, 1.5}}), contains("share of 1.5"));
}
