#include <dino/ops/linear.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("linear: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, in, out] = GENERATE(table<i64, i64, i64>({{1, 1, 1}, {5, 7, 3}, {2, 33, 17}}));
  CHECK(gradcheck([](auto x, auto w, auto b) { return linear(x, w, b); }, randn(ctx, {rows, in}, 1),
                  randn(ctx, {out, in}, 2), randn(ctx, {out}, 3)) <= 1e-6);
  CHECK(gradcheck([](auto x, auto w) { return linear(x, w); }, randn(ctx, {rows, in}, 1), randn(ctx, {out, in}, 2)) <=
        1e-6);
}

TEST_CASE("linear: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<3>("linear", [](auto x, auto w, auto b) { return linear(x, w, b); });
}

TEST_CASE("linear: the same bits for any number of threads, also where the sum over rows is cut", "[ops]") {
  check_threads({{3000, 70}, {50, 70}, {50}}, [](auto& x) { return linear(x[0], x[1], x[2]); });
}

TEST_CASE("linear: accumulation and views", "[ops]") {
  HostContext ctx(2);
  const auto w = randn(ctx, {5, 6}, 1), b = randn(ctx, {5}, 2);
  check_accumulates({4, 6}, [&](auto x) { return linear(x, w, b); });
  check_view({4, 6}, [&](auto x) { return linear(x, w, b); });
  const auto part = randn(ctx, {5, 9}, 3).columns(2, 8);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(randn(ctx, {4, 6}, 4)), same = tape.leaf(x.value);
  const auto y = linear(x, part), expected = linear(same, clone(part));
  CHECK(to_vector(y.value) == to_vector(expected.value));
  tape.backward(add(y, expected), randn(ctx, {4, 5}, 5));
  CHECK(to_vector(tape.grad(x)) == to_vector(tape.grad(same)));
}

TEST_CASE("linear: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(linear(zeros<float>(ctx, {4, 6}), zeros<float>(ctx, {5, 7}), zeros<float>(ctx, {5})),
                    contains("linear: x is (4,6), weight is (5,7)"));
}
