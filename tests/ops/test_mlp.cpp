#include <dino/ops/mlp.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("mlp: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  CHECK(gradcheck([](auto x, auto w1, auto b1, auto w2, auto b2) { return mlp(x, w1, b1, w2, b2); },
                  randn(ctx, {5, 7}, 1), randn(ctx, {9, 7}, 2), randn(ctx, {9}, 3), randn(ctx, {7, 9}, 4),
                  randn(ctx, {7}, 5)) <= 1e-6);
}

TEST_CASE("mlp: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<5>("mlp", [](auto x, auto w1, auto b1, auto w2, auto b2) { return mlp(x, w1, b1, w2, b2); });
}

TEST_CASE("mlp: the same bits for any number of threads", "[ops]") {
  check_threads({{900, 48}, {96, 48}, {96}, {48, 96}, {48}}, [](auto& x) { return mlp(x[0], x[1], x[2], x[3], x[4]); });
}

TEST_CASE("mlp: accumulation", "[ops]") {
  HostContext ctx(2);
  const auto w1 = randn(ctx, {9, 6}, 1), b1 = randn(ctx, {9}, 2), w2 = randn(ctx, {6, 9}, 3), b2 = randn(ctx, {6}, 4);
  check_accumulates({4, 6}, [&](auto x) { return mlp(x, w1, b1, w2, b2); });
}

TEST_CASE("mlp: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  const auto z = [&](Shape s) { return zeros<float>(ctx, s); };
  CHECK_THROWS_WITH(mlp(z({4, 6}), z({9, 6}), z({9}), z({6, 8}), z({6})), contains("weights are (9,6) and (6,8)"));
}
