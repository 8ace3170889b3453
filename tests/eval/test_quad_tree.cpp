#include <dino/eval/quad_tree.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <numeric>

using namespace dino;

namespace {

template <class T> struct Points {
  std::vector<T> x, y;

  Points(i64 n, u64 key) {
    HostContext ctx(1);
    const auto all = to_vector(randn<T>(ctx, {2, n}, RngKey(key, 0)));
    x.assign(all.begin(), all.begin() + n);
    y.assign(all.begin() + n, all.end());
  }
};

/// Every square holds its points, its centre, and the squares within it.
template <class T> void check_tree(const QuadTree<T>& tree, i64 n) {
  const auto& nodes = tree.nodes();
  REQUIRE(!nodes.empty());
  CHECK(nodes[0].count == n);
  CHECK(nodes[0].after == static_cast<i32>(nodes.size()));
  i64 wrong = 0, in_leaves = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& node = nodes[i];
    const auto begin = static_cast<size_t>(node.first), end = begin + static_cast<size_t>(node.count);
    double x = 0, y = 0;
    T low[2] = {tree.x()[begin], tree.y()[begin]}, high[2] = {low[0], low[1]};
    for (size_t j = begin; j < end; ++j) {
      const T at[2] = {tree.x()[j], tree.y()[j]};
      x += static_cast<double>(at[0]) / node.count;
      y += static_cast<double>(at[1]) / node.count;
      for (int c = 0; c < 2; ++c) {
        low[c] = std::min(low[c], at[c]);
        high[c] = std::max(high[c], at[c]);
      }
    }
    const double side = static_cast<double>(std::max(high[0] - low[0], high[1] - low[1]));
    const auto far = [](double got, double expected) {  // sums are T
      return std::abs(got - expected) > 1e-5 * std::max(1.0, std::abs(expected));
    };
    wrong += far(static_cast<double>(node.x), x) || far(static_cast<double>(node.y), y);
    wrong += std::abs(static_cast<double>(node.extent) - side * side) > 1e-5 * side * side;
    if (node.leaf) {
      in_leaves += node.count;
      wrong += node.after != static_cast<i32>(i + 1);
      continue;
    }
    i64 below = 0;
    for (size_t child = i + 1; child < static_cast<size_t>(node.after);) {
      below += nodes[child].count;
      child = static_cast<size_t>(nodes[child].after);
    }
    wrong += below != node.count || node.count <= QuadTree<T>::leaf_points;
  }
  CHECK(wrong == 0);
  CHECK(in_leaves == n);
}

}  // namespace

TEST_CASE("quad_tree: neighbours along the Hilbert curve are neighbours in the plane", "[eval]") {
  const u32 side = 64, cell = 65536 / side;
  std::vector<std::pair<i64, i64>> at(side * side, {-1, -1});
  for (u32 x = 0; x < side; ++x) {
    for (u32 y = 0; y < side; ++y) {
      const u32 code = QuadTree<float>::hilbert(x * cell, y * cell) >> 20;  // 12 of 32 bits: 6 levels
      REQUIRE(code < at.size());
      CHECK(at[code].first == -1);
      at[code] = {x, y};
    }
  }
  for (size_t i = 1; i < at.size(); ++i)
    CHECK(std::abs(at[i].first - at[i - 1].first) + std::abs(at[i].second - at[i - 1].second) == 1);
  CHECK(at[0] == std::pair<i64, i64>{0, 0});
}

TEST_CASE("quad_tree: squares hold their points, in float and double, for any number of them", "[eval]") {
  HostContext ctx(2);
  QuadTree<float> tree;  // used again
  for (const i64 n : {1, 2, 15, 16, 17, 100, 5000, 3}) {
    INFO(n);
    const Points<float> p(n, static_cast<u64>(n));
    tree.build(ctx, p.x.data(), p.y.data(), n);
    check_tree(tree, n);
    auto order = tree.order();
    for (size_t i = 0; i < order.size(); ++i) CHECK(tree.x()[i] == p.x[static_cast<size_t>(order[i])]);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<i32>(i));
  }
  const Points<double> p(777, 5);
  QuadTree<double> exact;
  exact.build(ctx, p.x.data(), p.y.data(), 777);
  check_tree(exact, 777);
}

TEST_CASE("quad_tree: equal points, points on a line and clusters far apart", "[eval]") {
  HostContext ctx(1);
  QuadTree<float> tree;
  std::vector<float> x(500, 1.5f), y(500, -2.0f);
  tree.build(ctx, x.data(), y.data(), 500);
  check_tree(tree, 500);
  CHECK(tree.nodes().size() == 1);  // cannot be cut
  CHECK(tree.nodes()[0].extent == 0);
  std::iota(x.begin(), x.end(), 0.0f);
  tree.build(ctx, x.data(), y.data(), 500);
  check_tree(tree, 500);
  for (size_t i = 0; i < 250; ++i) x[i] = 1e6f + static_cast<float>(i % 7);
  tree.build(ctx, x.data(), y.data(), 500);
  check_tree(tree, 500);
  tree.build(ctx, x.data(), y.data(), 0);
  CHECK(tree.nodes().empty());
}
