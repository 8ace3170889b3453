#include <dino/ops/gather.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("gather: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  CHECK(gradcheck([](auto x) { return gather(x, {0}); }, randn(ctx, {1, 1}, 1)) <= 1e-6);
  CHECK(gradcheck([](auto x) { return gather(x, {4, 0, 4, 4, 2}); }, randn(ctx, {5, 3}, 1)) <= 1e-6);
}

TEST_CASE("gather: picks rows by number", "[ops]") {
  HostContext ctx(1);
  const auto x = generate<float>(ctx, {4, 2}, [](i64 i) { return i; });
  CHECK(to_vector(gather(x, {3, 1, 1})) == std::vector<float>{6, 7, 2, 3, 2, 3});
  CHECK(gather(x, {}).shape() == Shape{0, 2});
}

TEST_CASE("gather: a row that is picked twice gets both gradients, one that is not gets zero", "[ops]") {
  HostContext ctx(2);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(randn(ctx, {3, 2}, 1));
  tape.backward(gather(x, {2, 0, 2}), tensor<double>(ctx, {3, 2}, {1, 2, 10, 20, 100, 200}));
  CHECK(to_vector(tape.grad(x)) == std::vector<double>{10, 20, 0, 0, 101, 202});
}

TEST_CASE("gather: the class token is the first row of each image", "[ops]") {
  HostContext ctx(1);
  Segments segments;
  segments.add(2, 3);
  segments.add(3, 2);
  const auto x = generate<float>(ctx, {12, 1}, [](i64 i) { return i; });
  CHECK(to_vector(class_rows(x, segments)) == std::vector<float>{0, 3, 6, 8, 10});
  const auto input = randn(ctx, {12, 3}, 1);
  CHECK(gradcheck([&](auto v) { return class_rows(v, segments); }, input) <= 1e-6);
}

TEST_CASE("gather: the rows of the patches, without class tokens and registers", "[ops][gradcheck]") {
  HostContext ctx(1);
  Segments segments;
  segments.add(2, 1 + 2 + 2, 1, 2);
  segments.add(1, 1 + 2 + 3, 3, 1);
  const auto x = generate<float>(ctx, {16, 1}, [](i64 i) { return i; });
  CHECK(to_vector(patch_rows(x, segments)) == std::vector<float>{3, 4, 8, 9, 13, 14, 15});
  CHECK(gradcheck([&](auto v) { return patch_rows(v, segments); }, randn(ctx, {16, 3}, 1)) <= 1e-6);
}

TEST_CASE("gather: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 7}, [](auto x) { return gather(x, {3, 3, 0}); });
  check_view({4, 7}, [](auto x) { return gather(x, {3, 3, 0}); });
  std::vector<i64> index;
  for (i64 i = 0; i < 3000; ++i) index.push_back(i * 7919 % 2000);
  check_threads({{2000, 37}}, [&](auto& x) { return gather(x[0], index); });
}

TEST_CASE("gather: rows that are not there are named", "[ops]") {
  HostContext ctx(1);
  const auto x = zeros<float>(ctx, {5, 3});
  CHECK_THROWS_WITH(gather(x, {0, 5}), contains("gather: row 5 of (5,3)"));
  CHECK_THROWS_WITH(gather(x, {-1}), contains("gather: row -1 of (5,3)"));
}
