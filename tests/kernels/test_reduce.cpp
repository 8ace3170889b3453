#include <dino/kernels/reduce.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {
template <class T> void column_sum(HostContext& ctx, const Target<T>& out, const HostTensor<T>& x, T factor) {
  using Args = kernels::ColumnSum<T>;
  const HostTensor<T> partial(ctx, {Args::blocks(x.rows()), x.cols()});
  launch(
      ctx,
      Args{.out = out, .partial = partial.data(), .x = x.data(), .rows = x.rows(), .cols = x.cols(), .factor = factor});
}
template <class T> void full_sum(HostContext& ctx, const Target<T>& out, const HostTensor<T>& x, T factor) {
  using Args = kernels::Sum<T>;
  const HostTensor<T> partial(ctx, {Args::blocks(x.numel())});
  launch(ctx, Args{.out = out, .partial = partial.data(), .x = x.data(), .n = x.numel(), .factor = factor});
}
}  // namespace

TEST_CASE("reduce: columns of whole numbers are added exactly, over full and partial blocks", "[kernels]") {
  HostContext ctx(2);
  const auto [rows, cols] = GENERATE(table<i64, i64>({{1, 1}, {127, 3}, {128, 5}, {129, 1}, {1000, 33}, {3, 9001}}));
  const auto x = generate<double>(ctx, {rows, cols}, [c = cols](i64 i) { return i / c + 1000 * (i % c); });
  const auto out = full<double>(ctx, {cols}, 7.0);
  const auto expected = [r = rows](i64 c) {
    return 0.5 * static_cast<double>(0.5 * static_cast<double>(r * (r - 1))) + 0.5 * static_cast<double>(1000 * c * r);
  };
  column_sum(ctx, Target<double>{out.data(), false}, x, 0.5);
  for (i64 c = 0; c < cols; ++c) {
    if (out[c] != expected(c)) FAIL("column " << c);
  }
  column_sum(ctx, Target<double>{out.data(), true}, x, 0.5);
  for (i64 c = 0; c < cols; ++c) {
    if (out[c] != 2 * expected(c)) FAIL("column " << c);
  }
}

TEST_CASE("reduce: no rows sum to zero", "[kernels]") {
  HostContext ctx(1);
  const auto out = full<float>(ctx, {3}, 7.f);
  column_sum(ctx, Target<float>{out.data(), false}, HostTensor<float>(ctx, {0, 3}), 1.f);
  CHECK(to_vector(out) == std::vector<float>(3, 0.f));
}

TEST_CASE("reduce: everything is added exactly, over full and partial blocks", "[kernels]") {
  HostContext ctx(2);
  const i64 block = kernels::Sum<double>::block;
  for (const i64 n : {i64{1}, i64{31}, block - 1, block, block + 1, 3 * block + 5}) {
    const auto x = generate<double>(ctx, {n}, [](i64 i) { return i; });
    const auto out = full<double>(ctx, {1}, 1.0);
    full_sum(ctx, Target<double>{out.data(), true}, x, 2.0);
    CHECK(item(out) == 1 + static_cast<double>(n * (n - 1)));
  }
}

TEST_CASE("reduce: a value is spread, over or on top of what is there", "[kernels]") {
  HostContext ctx(2);
  const i64 n = (1 << 14) + 3;
  const auto y = full<float>(ctx, {n}, 5.f), value = full<float>(ctx, {1}, 3.f);
  launch(ctx, kernels::Spread<float>{.y = {y.data(), true}, .value = value.data(), .n = n, .factor = 2});
  CHECK(to_vector(y) == std::vector<float>(static_cast<size_t>(n), 11.f));
  launch(ctx, kernels::Spread<float>{.y = {y.data(), false}, .value = value.data(), .n = n, .factor = 2});
  CHECK(to_vector(y) == std::vector<float>(static_cast<size_t>(n), 6.f));
}

TEST_CASE("reduce: the same bits for any number of threads", "[kernels]") {
  const auto run = [](i64 threads) {
    HostContext ctx(threads);
    const auto x = randn<float>(ctx, {1000, 77}, RngKey(1, 1));
    const auto columns = zeros<float>(ctx, {77}), all = zeros<float>(ctx, {1});
    column_sum(ctx, Target<float>{columns.data(), false}, x, 0.3f);
    full_sum(ctx, Target<float>{all.data(), false}, x, 0.3f);
    return std::pair(to_vector(columns), item(all));
  };
  const auto one = run(1);
  CHECK(one == run(2));
  CHECK(one == run(7));
}
