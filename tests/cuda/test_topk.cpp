#include <dino/kernels/topk.hpp>

#include "support/compare_devices.hpp"

#include <limits>

using namespace dino;

namespace {
constexpr compare::Tolerance exact{.value = 0, .acc = 0};  // values are moved; indices are compared exactly anyway

/// A search through `list`, rows of `cols` columns each, `width` columns at a time. All values are exact in bf16.
template <class Test> void compare_search(const std::vector<double>& list, i64 cols, i64 k, i64 width) {
  const i64 rows = static_cast<i64>(list.size()) / cols;
  compare_devices<Test>(exact, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    T* const value = run.out(rows * k);
    i64* const index = run.index_out(rows * k);
    for (i64 first = 0; first < cols; first += width) {
      const i64 count = std::min(width, cols - first);
      std::vector<double> part;
      for (i64 r = 0; r < rows; ++r) {
        const auto begin = list.begin() + r * cols + first;
        part.insert(part.end(), begin, begin + count);
      }
      launch(run.ctx, kernels::TopK<T>{.value = value,
                                       .index = index,
                                       .x = run.values(part),
                                       .rows = rows,
                                       .cols = count,
                                       .k = k,
                                       .first = first,
                                       .filled = std::min(k, first)});
    }
  });
}

/// Whole numbers in [0, distinct): the fewer, the more ties.
std::vector<double> whole_numbers(i64 n, i64 distinct) {
  std::vector<double> list;
  for (i64 i = 0; i < n; ++i)
    list.push_back(static_cast<double>(RngKey(5, 6).block(static_cast<u64>(i)).x[0] % distinct));
  return list;
}
}  // namespace

TEMPLATE_TEST_CASE("topk: CUDA finds the values and indices of the CPU", "[cuda]", float, bf16) {
  const i64 k = GENERATE(1, 7, 100), width = GENERATE(1, 33, 150), distinct = GENERATE(3, 250);
  const i64 cols = width == 1 ? 12 : 150;  // each launch of one column takes as long as any
  compare_search<TestType>(whole_numbers(3 * cols, distinct), cols, k, width);
}

TEMPLATE_TEST_CASE("topk: rows of several chunks on CUDA", "[cuda]", float, bf16) {
  const i64 k = GENERATE(1, 200), distinct = GENERATE(2, 256);
  compare_search<TestType>(whole_numbers(2500, distinct), 2500, k, 2500);
}

TEST_CASE("topk: ascending rows replace the whole list in every chunk on CUDA", "[cuda][tiny]") {
  std::vector<double> ascending;
  for (i64 i = 0; i < 2100; ++i) ascending.push_back(static_cast<double>(i));
  compare_search<float>(ascending, 2100, 20, 2100);
}

TEMPLATE_TEST_CASE("topk: with fewer columns than k, CUDA leaves the rest as it was", "[cuda]", float, bf16) {
  compare_search<TestType>({1, 3, 2, 3}, 4, 9, 4);
  compare_search<TestType>({1, 3, 2, 3}, 4, 9, 3);
}

TEMPLATE_TEST_CASE("topk: infinities and zeros of both signs are values like others on CUDA", "[cuda]", float, bf16) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const i64 k : {2, 5, 9}) compare_search<TestType>({-inf, 0, inf, -inf, -0.0, inf, -1, 0, -inf}, 9, k, 4);
}

TEST_CASE("topk: a k beyond shared memory is refused on CUDA", "[cuda]") {
  Context<Cuda> ctx;
  const kernels::TopK<float> a{
      .value = nullptr, .index = nullptr, .x = nullptr, .rows = 1, .cols = 1, .k = 1 << 20, .first = 0, .filled = 0};
  CHECK_THROWS_WITH(launch(ctx, a), contains("topk: k = 1048576, at most 5802"));
}
