#include <dino/ops/weight_norm_linear.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("weight_norm_linear: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  CHECK(gradcheck([](auto x, auto v, auto g) { return weight_norm_linear(x, v, g); }, randn(ctx, {5, 7}, 1),
                  randn(ctx, {6, 7}, 2), randn(ctx, {6, 1}, 3)) <= 1e-6);
}

TEST_CASE("weight_norm_linear: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<3>("weight_norm_linear", [](auto x, auto v, auto g) { return weight_norm_linear(x, v, g); });
}

TEST_CASE("weight_norm_linear: each gradient alone", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto x = randn(ctx, {5, 7}, 1), v = randn(ctx, {6, 7}, 2), g = randn(ctx, {6}, 3);
  CHECK(gradcheck([&](auto w) { return weight_norm_linear(w, v, g); }, x) <= 1e-6);
  Tape<Host> tape(ctx);
  const auto leaf = tape.leaf(g);
  tape.backward(weight_norm_linear(tape.input(x), v, leaf), randn(ctx, {5, 6}, 4));
  CHECK(tape.grad(leaf).defined());
}

TEST_CASE("weight_norm_linear: a weight that is used twice", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto a = randn(ctx, {4, 7}, 1), b = randn(ctx, {4, 7}, 2);
  CHECK(gradcheck([&](auto x, auto v,
                      auto g) { return add(weight_norm_linear(x, v, g), weight_norm_linear(scale(x, 2), v, g)); },
                  a, randn(ctx, {6, 7}, 3), randn(ctx, {6, 1}, 4)) <= 1e-6);
}

TEST_CASE("weight_norm_linear: the same bits for any number of threads", "[ops]") {
  check_threads({{80, 64}, {600, 64}, {600, 1}}, [](auto& x) { return weight_norm_linear(x[0], x[1], x[2]); });
}

TEST_CASE("weight_norm_linear: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(weight_norm_linear(zeros<float>(ctx, {4, 6}), zeros<float>(ctx, {5, 7}), zeros<float>(ctx, {5})),
                    contains("x is (4,6), v is (5,7), g is (5)"));
}
