#include <dino/ops/tokens.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

namespace {
struct Group {
  i64 images, height, width;
};
Segments layout(std::initializer_list<Group> groups, i64 registers = 0) {
  Segments s;
  for (const auto& g : groups) s.add(g.images, 1 + registers + g.height * g.width, g.height, g.width);
  return s;
}
constexpr PositionRule register_rule{.offset = 0, .antialias = true};
}  // namespace

TEST_CASE("tokens: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto groups = layout({{2, 2, 2}, {1, 3, 3}, {1, 1, 2}, {2, 4, 3}});
  CHECK(gradcheck([&](auto patches, auto cls, auto table) { return tokens(patches, cls, table, groups); },
                  randn(ctx, {43, 2}, 1), randn(ctx, {1, 1, 2}, 2), randn(ctx, {1, 10, 2}, 3)) <= 1e-6);
  const auto one = layout({{1, 1, 1}});
  CHECK(gradcheck([&](auto patches, auto cls, auto table) { return tokens(patches, cls, table, one); },
                  randn(ctx, {1, 1}, 1), randn(ctx, {1}, 2), randn(ctx, {2, 1}, 3)) <= 1e-6);
}

TEST_CASE("tokens: gradients with registers and every rule match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto rule = GENERATE(PositionRule{}, register_rule, PositionRule{.offset = 0, .antialias = false});
  const auto groups = layout({{2, 2, 2}, {1, 3, 3}, {2, 4, 1}}, 2);
  CHECK(gradcheck([&](auto patches, auto cls, auto table,
                      auto registers) { return tokens(patches, cls, table, registers, groups, rule); },
                  randn(ctx, {25, 2}, 1), randn(ctx, {1, 1, 2}, 2), randn(ctx, {1, 10, 2}, 3),
                  randn(ctx, {1, 2, 2}, 4)) <= 1e-6);
}

TEST_CASE("tokens: registers are rows of every image, and the others stay as they are", "[ops]") {
  HostContext ctx(1);
  const auto patches = randn(ctx, {17, 3}, 1), cls = randn(ctx, {3}, 2), table = randn(ctx, {10, 3}, 3);
  const auto registers = randn(ctx, {1, 2, 3}, 4);
  const auto with = layout({{2, 2, 2}, {1, 3, 3}}, 2), without = layout({{2, 2, 2}, {1, 3, 3}});
  const auto y = to_vector(tokens(patches, cls, table, registers, with, PositionRule{}));
  const auto x = to_vector(tokens(patches, cls, table, without));
  std::vector<double> expected;
  for (i64 g = 0; g < 2; ++g) {
    for (i64 row = 0; row < without[g].rows(); ++row) {
      const auto at = (without[g].row + row) * 3;
      expected.insert(expected.end(), x.begin() + at, x.begin() + at + 3);
      if (row % without[g].tokens != 0) continue;
      for (const double r : to_vector(registers)) expected.push_back(r);
    }
  }
  CHECK(y == expected);
}

TEST_CASE("tokens: equals PyTorch", "[ops][golden]") {
  const auto groups = layout({{2, 4, 4}, {3, 2, 2}, {1, 2, 5}});
  golden::check_op<double, 3>("tokens", 1e-12,
                              [&](auto patches, auto cls, auto table) { return tokens(patches, cls, table, groups); });
  // 5e-6: the source coordinate is rounded to float as in PyTorch, one step of it moves a weight by 1e-6
  golden::check_op<float, 3>("tokens", 5e-6,
                             [&](auto patches, auto cls, auto table) { return tokens(patches, cls, table, groups); });
}

TEST_CASE("tokens: on its own grid a table is added as it is", "[ops]") {
  HostContext ctx(1);
  const auto groups = layout({{2, 2, 2}});
  const auto patches = generate<float>(ctx, {8, 1}, [](i64 i) { return 10 * i; });
  const auto table = tensor<float>(ctx, {1, 5, 1}, {1, 2, 3, 4, 5});
  const auto y = tokens(patches, full<float>(ctx, {1, 1, 1}, 100), table, groups);
  CHECK(to_vector(y) == std::vector<float>{101, 2, 13, 24, 35, 101, 42, 53, 64, 75});
}

TEST_CASE("tokens: each gradient alone is the one of all together", "[ops]") {
  HostContext ctx(2);
  const auto groups = layout({{2, 2, 2}, {1, 3, 3}});
  const std::vector<HostTensor<double>> x{randn(ctx, {17, 3}, 1), randn(ctx, {3}, 2), randn(ctx, {10, 3}, 3)};
  const auto dy = randn(ctx, {20, 3}, 4);
  const auto gradients = [&](const std::vector<bool>& wanted) {
    Tape<Host> tape(ctx);
    std::vector<Var<double, Host>> v;
    for (size_t k = 0; k < 3; ++k) v.push_back(wanted[k] ? tape.leaf(x[k]) : tape.input(x[k]));
    tape.backward(tokens(v[0], v[1], v[2], groups), dy);
    std::vector<std::vector<double>> out(3);
    for (size_t k = 0; k < 3; ++k) {
      if (wanted[k]) out[k] = to_vector(tape.grad(v[k]));
    }
    return out;
  };
  const auto all = gradients({true, true, true});
  for (size_t k = 0; k < 3; ++k) {
    std::vector<bool> wanted(3, false);
    wanted[k] = true;
    CHECK(gradients(wanted)[k] == all[k]);
  }
}

TEST_CASE("tokens: operands that are used twice", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto groups = layout({{2, 2, 2}, {1, 3, 3}});
  CHECK(gradcheck(
            [&](auto p, auto cls, auto table) {
              return add(tokens(p, cls, table, groups), scale(tokens(scale(p, 2), cls, table, groups), 3));
            },
            randn(ctx, {17, 2}, 1), randn(ctx, {2}, 2), randn(ctx, {10, 2}, 3)) <= 1e-6);
}

TEST_CASE("tokens: the same bits for any number of threads", "[ops]") {
  const auto groups = layout({{6, 14, 14}, {9, 6, 6}});
  check_threads({{6 * 196 + 9 * 36, 24}, {1, 1, 24}, {1, 197, 24}},
                [&](auto& x) { return tokens(x[0], x[1], x[2], groups); });
}

TEST_CASE("tokens: views of columns are as good as their copies", "[ops]") {
  const auto groups = layout({{2, 2, 2}, {1, 3, 3}});
  HostContext ctx(2);
  const auto cls = randn(ctx, {3}, 5), table = randn(ctx, {10, 5}, 6).columns(1, 4);
  check_view({17, 3}, [&](auto x) { return tokens(x, cls, clone(table), groups); });
  const auto patches = randn(ctx, {17, 3}, 7);
  CHECK(to_vector(tokens(patches, cls, table, groups)) == to_vector(tokens(patches, cls, clone(table), groups)));
}

TEST_CASE("tokens: tables and shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  const auto z = [&](Shape s) { return zeros<float>(ctx, s); };
  const auto groups = layout({{2, 2, 2}});
  CHECK_THROWS_WITH(tokens(z({8, 3}), z({3}), z({1, 8, 3}), groups),
                    contains("position table (1,8,3) is not square: 7 patches beside the class token"));
  CHECK_THROWS_WITH(tokens(z({8, 3}), z({3}), z({1, 1, 3}), groups), contains("is not square: 0 patches"));
  CHECK_THROWS_WITH(
      tokens(z({9, 3}), z({3}), z({1, 5, 3}), groups),
      contains("patches are (9,3), class token is (3), positions are (1,5,3), 0 registers, 10 tokens wanted"));
  Segments wrong;
  wrong.add(1, 4, 2, 2);
  CHECK_THROWS_WITH(tokens(z({3, 3}), z({3}), z({1, 5, 3}), wrong),
                    contains("4 tokens for 0 registers and a grid of 2 x 2"));
  CHECK_THROWS_WITH(tokens(z({8, 3}), z({3}), z({1, 5, 3}), z({1, 2, 4}), groups, register_rule),
                    contains("patches are (8,3), register tokens are (1,2,4)"));
  CHECK_THROWS_WITH(tokens(z({8, 3}), z({3}), z({1, 5, 3}), z({1, 2, 3}), groups, register_rule),
                    contains("2 registers, 10 tokens wanted"));
}
