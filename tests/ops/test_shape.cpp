#include <dino/ops/shape.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("reshape: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  CHECK(gradcheck([](auto x) { return reshape(x, {1}); }, randn(ctx, {1, 1}, 1)) <= 1e-6);
  CHECK(gradcheck([](auto x) { return gelu(reshape(gelu(x), {5, 1, 3})); }, randn(ctx, {3, 5}, 1)) <= 1e-6);
}

TEST_CASE("reshape: neither values nor gradients move", "[ops]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(randn(ctx, {2, 3}, 1));
  const auto y = reshape(x, {3, 2});
  CHECK(y.value.data() == x.value.data());
  CHECK(y.shape() == Shape{3, 2});
  const auto dy = randn(ctx, {3, 2}, 2);
  tape.backward(y, dy);
  CHECK(tape.grad(x).data() == dy.data());
  CHECK(tape.grad(x).shape() == Shape{2, 3});
}

TEST_CASE("reshape: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 6}, [](auto x) { return reshape(x, {3, 8}); });
  check_view({4, 6}, [](auto x) { return reshape(x, {24}); });
  check_threads({{100, 301}}, [](auto& x) { return add(reshape(x[0], {301, 100}), reshape(gelu(x[0]), {301, 100})); });
}

TEST_CASE("reshape: another number of elements is refused", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(reshape(zeros<float>(ctx, {2, 3}), {4, 2}), contains("reshape: (2,3) to (4,2)"));
}
