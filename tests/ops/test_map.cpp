#include <dino/ops/map.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("map: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto x = randn(ctx, {5, 7}, 1), y = randn(ctx, {5, 7}, 2);
  CHECK(gradcheck([](auto a, auto b) { return add(a, b); }, x, y) <= 1e-6);
  CHECK(gradcheck([](auto a, auto b) { return multiply(a, b); }, x, y) <= 1e-6);
  CHECK(gradcheck([](auto a) { return scale(a, -2.5); }, x) <= 1e-6);
  CHECK(gradcheck([](auto a) { return gelu(a); }, x) <= 1e-6);
  CHECK(gradcheck([](auto a) { return relu(a); }, x) <= 1e-6);
}

TEST_CASE("map: gelu and relu equal PyTorch", "[ops][golden]") {
  golden::check_op_in_both<1>("gelu", [](auto x) { return gelu(x); });
  golden::check_op_in_both<1>("relu", [](auto x) { return relu(x); });
}

TEST_CASE("map: a value that is used twice", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto input = randn(ctx, {3, 4}, 1);
  CHECK(gradcheck([](auto x) { return add(x, x); }, input) <= 1e-6);
  CHECK(gradcheck([](auto x) { return multiply(x, x); }, input) <= 1e-6);
  CHECK(gradcheck([](auto x) { return add(x, gelu(x)); }, input) <= 1e-6);
  CHECK(gradcheck(
            [](auto x) {
              const auto s = add(x, gelu(x));  // the sum is used twice as well
              return add(scale(s, 3), multiply(s, s));
            },
            input) <= 1e-6);
}

TEST_CASE("map: a view of columns is as good as its copy", "[ops]") {
  check_view({4, 7}, [](auto x) { return add(gelu(x), multiply(x, scale(x, 2))); });
}

TEST_CASE("map: the same bits for any number of threads", "[ops]") {
  check_threads({{300, 301}, {300, 301}}, [](auto& x) { return multiply(gelu(x[0]), add(x[0], x[1])); });
}

TEST_CASE("map: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(add(zeros<float>(ctx, {4, 6}), zeros<float>(ctx, {6, 4})), "add: a is (4,6), b is (6,4)");
}
