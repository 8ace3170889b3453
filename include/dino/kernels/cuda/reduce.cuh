// Sums for CUDA, all in a fixed order: over rows by blocks of rows, over everything by blocks of values.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/reduce.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int reduce_warps = 8;  // of a block
inline constexpr int reduce_threads = reduce_warps * warp_size;

/// First stage of a sum over rows. Block (b, k) sums block b of rows in 32 columns: warp w adds the rows w, w + 8, ...,
/// then the warps are added in order. A says what is added, a.term(r, c), and where a block leaves it, a.partial.
template <class A> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    column_partials(const __grid_constant__ A a) {
  DINO_SHARED(part, float[reduce_warps][warp_size]);
  const i64 block = blockIdx.x, c = static_cast<i64>(blockIdx.y) * warp_size + lane();
  const i64 first = block * a.rows_per_block;
  const i64 end = first + a.rows_per_block < a.rows ? first + a.rows_per_block : a.rows;
  float sum = 0;
  if (c < a.cols) {
    for (i64 r = first + warp(); r < end; r += reduce_warps) sum += a.term(r, c);
  }
  part[warp()][lane()] = sum;
  sync_block();
  if (warp() > 0 || c >= a.cols) return;
  for (int w = 1; w < reduce_warps; ++w) sum += part[w][lane()];
  a.partial[block * a.cols + c] = sum;
}

/// Second stage: the blocks of rows in the same way, and a.finish(c, sum).
template <class A> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    column_totals(const __grid_constant__ A a) {
  DINO_SHARED(part, float[reduce_warps][warp_size]);
  const i64 c = static_cast<i64>(blockIdx.x) * warp_size + lane(), blocks = a.blocks(a.rows);
  float sum = 0;
  if (c < a.cols) {
    for (i64 b = warp(); b < blocks; b += reduce_warps) sum += a.partial[b * a.cols + c];
  }
  part[warp()][lane()] = sum;
  sync_block();
  if (warp() > 0 || c >= a.cols) return;
  for (int w = 1; w < reduce_warps; ++w) sum += part[w][lane()];
  a.finish(c, sum);
}

/// Both stages. A has rows, cols, partial (blocks,C), rows_per_block, blocks(rows), term(r, c), finish(c, sum).
template <class A> void launch_column_sums(Context<Cuda>& ctx, const A& a) {
  const i64 strips = (a.cols + warp_size - 1) / warp_size;
  ctx.launch(column_partials<A>, {.grid = {a.blocks(a.rows), strips}, .block = {reduce_threads}}, a);
  ctx.launch(column_totals<A>, {.grid = {strips}, .block = {reduce_threads}}, a);
}

template <class T> struct ColumnSumTerms : ColumnSum<T> {
  DINO_DEVICE float term(i64 r, i64 c) const { return to_acc(this->x[r * this->cols + c]); }
  DINO_DEVICE void finish(i64 c, float sum) const { this->out.put(c, this->factor * sum); }
};

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads) sum_block(const __grid_constant__ Sum<T> a) {
  const i64 first = static_cast<i64>(blockIdx.x) * a.block, end = first + a.block < a.n ? first + a.block : a.n;
  float sum = 0;
  for (i64 i = first + block_thread(); i < end; i += reduce_threads) sum += to_acc(a.x[i]);
  sum = block_sum(sum);
  if (block_thread() == 0) a.partial[blockIdx.x] = sum;
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads) sum_total(const __grid_constant__ Sum<T> a) {
  const i64 blocks = a.blocks(a.n);
  float sum = 0;
  for (i64 b = block_thread(); b < blocks; b += reduce_threads) sum += a.partial[b];
  sum = block_sum(sum);
  if (block_thread() == 0) a.out.put(0, a.factor * sum);
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads) spread(const __grid_constant__ Spread<T> a) {
  const i64 i = global_thread();
  if (i >= a.n) return;
  const float value = a.factor * *a.value;
  put_values<1>(a.y, i, &value);
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const ColumnSum<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "column sums on CUDA: float and 16-bit numbers only");
  if (a.out) detail::launch_column_sums(ctx, detail::ColumnSumTerms<T>{a});
}

template <class T> void launch(Context<Cuda>& ctx, const Sum<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "sums on CUDA: float and 16-bit numbers only");
  if (!a.out) return;
  ctx.launch(detail::sum_block<T>, {.grid = {a.blocks(a.n)}, .block = {detail::reduce_threads}}, a);
  ctx.launch(detail::sum_total<T>, {.grid = {1}, .block = {detail::reduce_threads}}, a);
}

template <class T> void launch(Context<Cuda>& ctx, const Spread<T>& a) {
  if (a.y) ctx.launch(detail::spread<T>, threads(a.n, detail::reduce_threads), a);
}

}  // namespace dino::inline DINO_ABI::kernels
