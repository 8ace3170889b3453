#include <dino/ops/reduce.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("reduce: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {5, 7}, {1, 65}}));
  CHECK(gradcheck([](auto x) { return sum(x); }, randn(ctx, {rows, cols}, 1)) <= 1e-6);
  CHECK(gradcheck([](auto x) { return mean(gelu(x)); }, randn(ctx, {rows, cols}, 1)) <= 1e-6);
}

TEST_CASE("reduce: sum and mean equal PyTorch", "[ops][golden]") {
  golden::check_op_in_both<1>("sum", [](auto x) { return sum(x); });
  golden::check_op_in_both<1>("mean", [](auto x) { return mean(x); });
}

TEST_CASE("reduce: whole numbers are added exactly, over several blocks", "[ops]") {
  HostContext ctx(2);
  const i64 n = 50001;  // three blocks and a bit
  const auto x = generate<double>(ctx, {n}, [](i64 i) { return i; });
  CHECK(item(sum(x)) == 0.5 * static_cast<double>(n - 1) * static_cast<double>(n));
  CHECK(item(mean(x)) == Approx(0.5 * static_cast<double>(n - 1)).epsilon(1e-15));
  CHECK(item(mean(full<float>(ctx, {1 << 20}, 0.1f))) == Approx(0.1f).epsilon(1e-5));  // a running sum is off by 1e-2
}

TEST_CASE("reduce: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 7}, [](auto x) { return mean(multiply(x, x)); });
  check_view({4, 7}, [](auto x) { return sum(x); });
  check_threads({{300, 301}}, [](auto& x) { return add(sum(x[0]), mean(gelu(x[0]))); });
}

TEST_CASE("reduce: a tensor without elements has no sum", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(mean(zeros<float>(ctx, {0, 3})), contains("sum: (0,3) has no elements"));
}
