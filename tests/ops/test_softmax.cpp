#include <dino/ops/softmax.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("softmax: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {5, 7}, {2, 65}}));
  CHECK(gradcheck([](auto x) { return softmax(x, 0.5); }, randn(ctx, {rows, cols}, 1)) <= 1e-6);
}

TEST_CASE("softmax: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<1>("softmax", [](auto x) { return softmax(x, 0.5); });
}

TEST_CASE("softmax: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 7}, [](auto x) { return softmax(x); });
  check_view({4, 7}, [](auto x) { return softmax(x); });
  check_threads({{500, 77}}, [](auto& x) { return softmax(x[0], 0.1); });
}

TEST_CASE("softmax: large values do not overflow", "[ops]") {
  HostContext ctx(1);
  const auto y = softmax(tensor<float>(ctx, {1, 3}, {1e30f, 1e30f, -1e30f}));
  CHECK(to_vector(y)[0] == Approx(0.5f));
  CHECK(to_vector(y)[2] == Approx(0.f).margin(1e-30));
}

TEST_CASE("softmax: a temperature that is not positive is refused", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(softmax(zeros<float>(ctx, {1, 3}), 0), contains("temperature 0 is not positive"));
}
