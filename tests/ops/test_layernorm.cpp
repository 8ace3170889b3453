#include <dino/ops/layernorm.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("layernorm: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 3}, {5, 12}, {3, 129}, {70, 5}}));
  const auto error = gradcheck([](auto x, auto g, auto b) { return layernorm(x, g, b, 1e-6); },
                               randn(ctx, {rows, cols}, 1), randn(ctx, {cols}, 2), randn(ctx, {cols}, 3));
  CHECK(error <= 1e-6);
}

TEST_CASE("layernorm: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<3>("layernorm", [](auto x, auto g, auto b) { return layernorm(x, g, b, 1e-6); });
}

TEST_CASE("layernorm: the same bits for any number of threads", "[ops]") {
  check_threads({{1000, 37}, {37}, {37}}, [](auto& x) { return layernorm(x[0], x[1], x[2], 1e-6); });
}

TEST_CASE("layernorm: a gradient slot is added to, not overwritten", "[ops]") {
  HostContext ctx(2);
  const auto gamma = randn(ctx, {7}, 5), beta = randn(ctx, {7}, 6);
  check_accumulates({4, 7}, [&](auto x) { return layernorm(x, gamma, beta, 1e-6); });
}

TEST_CASE("layernorm: a view of columns is as good as its copy", "[ops]") {
  HostContext ctx(2);
  const auto gamma = randn(ctx, {7}, 5), beta = randn(ctx, {7}, 6);
  check_view({4, 7}, [&](auto x) { return layernorm(x, gamma, beta, 1e-6); });
}

TEST_CASE("layernorm: a constant row gives beta, not NaN", "[ops]") {
  HostContext ctx(1);
  const auto y =
      layernorm(full<float>(ctx, {2, 5}, 3.f), full<float>(ctx, {5}, 2.f), full<float>(ctx, {5}, -1.f), 1e-6);
  CHECK(to_vector(y) == std::vector<float>(10, -1.f));
}

TEST_CASE("layernorm: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  const auto x = zeros<float>(ctx, {64, 197, 384}), gamma = zeros<float>(ctx, {385});
  CHECK_THROWS_WITH(layernorm(x, gamma, gamma, 1e-6), contains("layernorm: x is (64,197,384), gamma is (385)"));
}
