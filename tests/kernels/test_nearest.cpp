#include <dino/kernels/cpu/nearest.hpp>
#include <dino/kernels/gemm.hpp>

#include "support/golden.hpp"

#include <numeric>

using namespace dino;

namespace {

struct Found {
  std::vector<float> similarity;
  std::vector<i64> index;
  friend bool operator==(const Found&, const Found&) = default;
};

std::vector<float> random_values(HostContext& ctx, i64 n, u64 key) {
  return to_vector(randn<float>(ctx, {n}, RngKey(key, 0)));
}

/// The search with the bank in blocks of a size.
Found search(HostContext& ctx, const std::vector<float>& queries, const std::vector<float>& bank, i64 dim, i64 k,
             i64 block, i64 own = -1) {
  const i64 count = static_cast<i64>(queries.size()) / dim, rows = static_cast<i64>(bank.size()) / dim;
  kernels::NearestRows nearest(ctx, queries.data(), count, dim, k, own);
  for (i64 b = 0; b < rows; b += block) nearest.add(ctx, bank.data() + b * dim, std::min(block, rows - b));
  Found found;
  const i64 most = std::min(k, rows - (own >= 0 ? 1 : 0));
  found.similarity.resize(static_cast<size_t>(count * most));
  found.index.resize(found.similarity.size());
  nearest.finish(ctx, most, found.similarity.data(), found.index.data());
  return found;
}

/// The scores of one matrix product, sorted: the same bits are expected.
Found brute_force(HostContext& ctx, const std::vector<float>& queries, const std::vector<float>& bank, i64 dim, i64 k,
                  i64 own = -1) {
  const i64 count = static_cast<i64>(queries.size()) / dim, rows = static_cast<i64>(bank.size()) / dim;
  std::vector<float> scores(static_cast<size_t>(count * rows));
  launch(ctx, kernels::Gemm<float>{.c = scores.data(),
                                   .a = queries.data(),
                                   .b = bank.data(),
                                   .bias = nullptr,
                                   .m = count,
                                   .n = rows,
                                   .k = dim,
                                   .stride_c = rows,
                                   .stride_a = dim,
                                   .stride_b = dim,
                                   .transpose_a = false,
                                   .transpose_b = true,
                                   .add = false});
  Found found;
  for (i64 q = 0; q < count; ++q) {
    std::vector<i64> order(static_cast<size_t>(rows));
    std::iota(order.begin(), order.end(), i64{0});
    if (own >= 0) order.erase(order.begin() + own + q);
    const float* const row = scores.data() + q * rows;
    std::stable_sort(order.begin(), order.end(), [&](i64 a, i64 b) { return row[a] > row[b]; });
    order.resize(std::min(order.size(), static_cast<size_t>(k)));
    for (const i64 i : order) {
      found.index.push_back(i);
      found.similarity.push_back(row[i]);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("nearest: the best of one whole matrix product, bit for bit, whatever blocks and threads", "[kernels]") {
  HostContext ctx(2), one(1), seven(7);
  for (const i64 dim : {1, 5, 64, 300}) {  // 300: two stretches of the sum
    const auto queries = random_values(ctx, 83 * dim, 1), bank = random_values(ctx, 1501 * dim, 2);
    for (const i64 k : {1, 20, 300, 1501, 5000}) {
      INFO("dim " << dim << ", k " << k);
      const auto expected = brute_force(ctx, queries, bank, dim, k);
      CHECK(search(ctx, queries, bank, dim, k, 1501) == expected);
      CHECK(search(one, queries, bank, dim, k, 97) == expected);
      CHECK(search(seven, queries, bank, dim, k, 1) == expected);
    }
  }
}

TEST_CASE("nearest: of equal scores the first row is taken, in every block", "[kernels]") {
  HostContext ctx(2);
  std::vector<float> queries, bank;
  for (int i = 0; i < 70; ++i) queries.insert(queries.end(), {i % 2 ? 1.0f : -1.0f, 0.0f});
  for (int i = 0; i < 3000; ++i) bank.insert(bank.end(), {static_cast<float>(i * 7 % 3 - 1), 1.0f});
  for (const i64 k : {1, 7, 400, 2999}) {
    const auto expected = brute_force(ctx, queries, bank, 2, k);
    CHECK(search(ctx, queries, bank, 2, k, 3000) == expected);
    CHECK(search(ctx, queries, bank, 2, k, 11) == expected);
  }
}

TEST_CASE("nearest: zero of either sign is one score", "[kernels]") {
  HostContext ctx(1);
  const std::vector<float> queries{1.0f}, bank{-0.0f, 0.0f, -0.0f};
  CHECK(search(ctx, queries, bank, 1, 3, 3).index == std::vector<i64>{0, 1, 2});
}

TEST_CASE("nearest: a query leaves itself out", "[kernels]") {
  HostContext ctx(2);
  const auto bank = random_values(ctx, 600 * 6, 3);
  for (const i64 own : {0, 130}) {
    const std::vector<float> queries(bank.begin() + own * 6, bank.begin() + (own + 77) * 6);
    for (const i64 k : {1, 9, 599, 1000}) {
      const auto found = search(ctx, queries, bank, 6, k, 50, own);
      CHECK(found == brute_force(ctx, queries, bank, 6, k, own));
      for (i64 q = 0; q < 77; ++q) CHECK(found.index[static_cast<size_t>(q * std::min<i64>(k, 599))] != own + q);
    }
  }
}

TEST_CASE("nearest: scores that are not finite are no neighbours", "[kernels]") {
  HostContext ctx(1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> queries{1.0f}, bank{nan, 2.0f, nan, 1.0f};
  kernels::NearestRows nearest(ctx, queries.data(), 1, 1, 4);
  nearest.add(ctx, bank.data(), 4);
  std::vector<float> similarity(4);
  std::vector<i64> index(4);
  CHECK_THROWS_WITH(nearest.finish(ctx, 3, similarity.data(), index.data()),
                    "knn: query 0 has 2 neighbours of 3: features are not finite");
  nearest.finish(ctx, 2, similarity.data(), index.data());
  CHECK(index[0] == 1);
  CHECK(index[1] == 3);
  CHECK_THROWS_WITH(kernels::NearestRows(ctx, queries.data(), 1, 0, 4), "nearest: 1 queries of 0, k = 4");
}
