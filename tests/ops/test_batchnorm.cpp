#include <dino/ops/batchnorm.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

namespace {
/// Batch norm with batch statistics, and running ones that nobody looks at.
template <class X> auto normalised(const X& x, const auto& gamma, const auto& beta) {
  using A = acc_t<typename X::Scalar>;
  auto& ctx = x.ctx();
  return batchnorm(x, gamma, beta, zeros<A>(ctx, {x.cols()}), full<A>(ctx, {x.cols()}, A(1)), false);
}
}  // namespace

TEST_CASE("batchnorm: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{3, 1}, {5, 7}, {130, 2}}));
  CHECK(gradcheck([](auto x, auto g, auto b) { return normalised(x, g, b); }, randn(ctx, {rows, cols}, 1),
                  randn(ctx, {cols}, 2), randn(ctx, {cols}, 3)) <= 1e-6);
}

TEST_CASE("batchnorm: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<3>("batchnorm", [](auto x, auto g, auto b) { return normalised(x, g, b); });
}

TEST_CASE("batchnorm: running statistics follow the batch, with the unbiased variance", "[ops]") {
  HostContext ctx(1);
  const auto x = tensor<double>(ctx, {4, 2}, {1, 0, 2, 0, 3, 0, 6, 4});  // means 3, 1; unbiased variances 14/3, 4
  const auto mean = full<double>(ctx, {2}, 1.0), variance = full<double>(ctx, {2}, 2.0);
  const auto gamma = full<double>(ctx, {2}, 1.0), beta = zeros<double>(ctx, {2});
  batchnorm(x, gamma, beta, mean, variance, false, 1e-5, 0.25);
  CHECK(mean[0] == Approx(0.75 * 1 + 0.25 * 3));
  CHECK(mean[1] == Approx(0.75 * 1 + 0.25 * 1));
  CHECK(variance[0] == Approx(0.75 * 2 + 0.25 * 14 / 3));
  CHECK(variance[1] == Approx(0.75 * 2 + 0.25 * 4));
}

TEST_CASE("batchnorm: running statistics normalise in evaluation, and stay as they are", "[ops]") {
  HostContext ctx(1);
  const auto x = tensor<double>(ctx, {1, 2}, {5, -1});  // one row is enough
  const auto mean = tensor<double>(ctx, {2}, {1, 2}), variance = tensor<double>(ctx, {2}, {4, 9});
  const auto y =
      batchnorm(x, tensor<double>(ctx, {2}, {3, 10}), tensor<double>(ctx, {2}, {0.5, 0.25}), mean, variance, true, 0.0);
  CHECK(y[0] == Approx(3 * (5 - 1) / 2.0 + 0.5));
  CHECK(y[1] == Approx(10 * (-1 - 2) / 3.0 + 0.25));
  CHECK(to_vector(mean) == std::vector<double>{1, 2});
  CHECK(to_vector(variance) == std::vector<double>{4, 9});
}

TEST_CASE("batchnorm: each gradient alone", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto x = randn(ctx, {6, 3}, 1), gamma = randn(ctx, {3}, 2), beta = randn(ctx, {3}, 3);
  CHECK(gradcheck([&](auto v) { return normalised(v, gamma, beta); }, x) <= 1e-6);
  const auto keep = [](auto leaf, const auto& v) { return leaf.tape->input(v); };
  CHECK(gradcheck([&](auto g) { return normalised(keep(g, x), g, beta); }, gamma) <= 1e-6);
  CHECK(gradcheck([&](auto b) { return normalised(keep(b, x), gamma, b); }, beta) <= 1e-6);
}

TEST_CASE("batchnorm: a large mean costs no precision", "[ops]") {
  HostContext ctx(1);
  const auto noise = dino::randn<float>(ctx, {500, 3}, RngKey(1, 1));
  const auto shifted = generate<float>(ctx, {500, 3}, [&](i64 i) { return noise[i] + 4096.f; });
  const auto gamma = full<float>(ctx, {3}, 1.f), beta = zeros<float>(ctx, {3});
  const auto near = to_vector(normalised(noise, gamma, beta)), far = to_vector(normalised(shifted, gamma, beta));
  CHECK(golden::relative_error(far, near) < 5e-4);  // the sum rounds the noise to 2^-11; E[x^2] - E[x]^2 would lose it
}

TEST_CASE("batchnorm: accumulation, views, threads", "[ops]") {
  HostContext ctx(2);
  const auto gamma = randn(ctx, {7}, 5), beta = randn(ctx, {7}, 6);
  check_accumulates({4, 7}, [&](auto x) { return normalised(x, gamma, beta); });
  check_view({4, 7}, [&](auto x) { return normalised(x, gamma, beta); });
  check_threads({{1000, 37}, {37}, {37}}, [](auto& x) { return normalised(x[0], x[1], x[2]); });
}

TEST_CASE("batchnorm: shapes and modes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  const auto z = [&](Shape s) { return zeros<float>(ctx, s); };
  CHECK_THROWS_WITH(normalised(z({5, 3}), z({4}), z({4})), contains("x is (5,3), gamma is (4), beta is (4)"));
  CHECK_THROWS_WITH(normalised(z({1, 3}), z({3}), z({3})), contains("(1,3) has one row"));
  Tape<Host> tape(ctx);
  CHECK_THROWS_WITH(batchnorm(tape.leaf(z({5, 3})), z({3}), z({3}), z({3}), z({3}), true),
                    contains("running statistics are for evaluation, not for a tape"));
}
