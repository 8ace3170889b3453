#include <dino/kernels/topk.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

using namespace dino;

namespace {
struct Best {
  std::vector<float> value;
  std::vector<i64> index;
  friend bool operator==(const Best&, const Best&) = default;
};

/// A whole row, sorted: value descending, ties by the lower index.
Best sorted(const HostTensor<float>& x, i64 k) {
  Best out;
  for (i64 r = 0; r < x.rows(); ++r) {
    const float* const row = x.data() + r * x.cols();
    std::vector<i64> order(static_cast<size_t>(x.cols()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](i64 a, i64 b) { return row[a] > row[b]; });
    for (i64 i = 0; i < std::min(k, x.cols()); ++i) {
      out.index.push_back(order[static_cast<size_t>(i)]);
      out.value.push_back(row[order[static_cast<size_t>(i)]]);
    }
  }
  return out;
}

/// The same from the kernel, given `width` columns at a time.
Best found(HostContext& ctx, const HostTensor<float>& x, i64 k, i64 width) {
  const auto value = full<float>(ctx, {x.rows(), k}, -7.f);
  const auto index = full<i64>(ctx, {x.rows(), k}, -7);
  for (i64 first = 0; first < x.cols(); first += width) {
    const auto part = clone(x.columns(first, std::min(x.cols(), first + width)));
    launch(ctx, kernels::TopK<float>{.value = value.data(),
                                     .index = index.data(),
                                     .x = part.data(),
                                     .rows = x.rows(),
                                     .cols = part.cols(),
                                     .k = k,
                                     .first = first,
                                     .filled = std::min(k, first)});
  }
  Best out;
  for (i64 r = 0; r < x.rows(); ++r) {
    for (i64 i = 0; i < std::min(k, x.cols()); ++i) {
      out.value.push_back(value[r * k + i]);
      out.index.push_back(index[r * k + i]);
    }
  }
  return out;
}
}  // namespace

TEST_CASE("topk: the first k of a sort, for any width of the blocks", "[kernels]") {
  HostContext ctx(2);
  const auto x = randn<float>(ctx, {5, 101}, RngKey(1, 1));
  for (const i64 k : {1, 2, 20, 100, 101}) {
    const auto expected = sorted(x, k);
    for (const i64 width : {1, 7, 64, 101}) CHECK(found(ctx, x, k, width) == expected);
  }
}

TEST_CASE("topk: ties go to the lower index, also across blocks", "[kernels]") {
  HostContext ctx(2);
  const auto x = generate<float>(ctx, {4, 90}, [](i64 i) { return i * 7919 % 5; });
  for (const i64 k : {1, 10, 40}) {
    for (const i64 width : {1, 9, 90}) CHECK(found(ctx, x, k, width) == sorted(x, k));
  }
  const auto equal = found(ctx, full<float>(ctx, {1, 50}, 3.f), 5, 8);
  CHECK(equal.index == std::vector<i64>{0, 1, 2, 3, 4});
}

TEST_CASE("topk: with fewer columns than k, the rest stays as it was", "[kernels]") {
  HostContext ctx(1);
  const auto x = tensor<float>(ctx, {1, 3}, {1, 3, 2});
  const auto value = full<float>(ctx, {1, 5}, -7.f);
  const auto index = full<i64>(ctx, {1, 5}, -7);
  launch(ctx, kernels::TopK<float>{.value = value.data(),
                                   .index = index.data(),
                                   .x = x.data(),
                                   .rows = 1,
                                   .cols = 3,
                                   .k = 5,
                                   .first = 0,
                                   .filled = 0});
  CHECK(to_vector(value) == std::vector<float>{3, 2, 1, -7, -7});
  CHECK(to_vector(index) == std::vector<i64>{1, 2, 0, -7, -7});
}

TEST_CASE("topk: infinities are values like others", "[kernels]") {
  HostContext ctx(1);
  const float inf = std::numeric_limits<float>::infinity();
  const auto x = tensor<float>(ctx, {1, 6}, {-inf, 0, inf, -inf, -1, inf});
  CHECK(found(ctx, x, 6, 2) == sorted(x, 6));
  CHECK(found(ctx, x, 3, 4).index == std::vector<i64>{2, 5, 1});
}

TEST_CASE("topk: the same for any number of threads", "[kernels]") {
  HostContext one(1), seven(7);
  CHECK(found(one, randn<float>(one, {200, 300}, RngKey(1, 1)), 20, 128) ==
        found(seven, randn<float>(seven, {200, 300}, RngKey(1, 1)), 20, 128));
}
