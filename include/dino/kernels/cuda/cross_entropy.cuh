// Cross-entropy for CUDA: a block to each row, then one block for the mean.
#pragma once

#include <dino/base/math.hpp>
#include <dino/kernels/cross_entropy.hpp>
#include <dino/kernels/cuda/run.cuh>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int cross_entropy_threads = 128;

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(cross_entropy_threads)
    cross_entropy_rows(const __grid_constant__ CrossEntropyForward<T> a) {
  const i64 r = blockIdx.x;
  const T* const x = a.x + r * a.cols;
  float largest = lowest_float;
  for (i64 c = block_thread(); c < a.cols; c += cross_entropy_threads) largest = fmaxf(largest, to_acc(x[c]));
  largest = block_max(largest);
  float total = 0, shifted = 0;
  for (i64 c = block_thread(); c < a.cols; c += cross_entropy_threads) {
    const float d = to_acc(x[c]) - largest;
    total += math::exp(d);
    shifted += d;
  }
  total = block_sum(total);
  shifted = block_sum(shifted);
  if (block_thread() > 0) return;
  const float log_sum = logf(total), share = a.other ? a.share[r] : 1.0f;
  float own = share * (to_acc(x[a.label[r]]) - largest);
  if (a.other) own += (1 - share) * (to_acc(x[a.other[r]]) - largest);
  a.row_loss[r] = log_sum - (1 - a.smoothing) * own - a.smoothing * (shifted / static_cast<float>(a.cols));
  if (a.lse) a.lse[r] = largest + log_sum;
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(cross_entropy_threads)
    cross_entropy_mean(const __grid_constant__ CrossEntropyForward<T> a) {
  float sum = 0;
  for (i64 r = block_thread(); r < a.rows; r += cross_entropy_threads) sum += a.row_loss[r];
  sum = block_sum(sum);
  if (block_thread() == 0) *a.loss = sum / static_cast<float>(a.rows);
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(cross_entropy_threads)
    cross_entropy_gradient(const __grid_constant__ CrossEntropyBackward<T> a) {
  const i64 r = blockIdx.x, label = a.label[r], other = a.other ? a.other[r] : label;
  const float share = a.other ? a.share[r] : 1.0f;  // 1 - share goes to other
  const float factor = *a.dloss / static_cast<float>(a.rows), even = a.smoothing / static_cast<float>(a.cols);
  const float lse = a.lse[r];
  for (i64 c = width * block_thread(); c < a.cols; c += width * cross_entropy_threads) {
    float x[width];
    load_values<width>(x, a.x + r * a.cols + c);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) {
      const float target = (c + i == label ? share : 0.0f) + (c + i == other ? 1 - share : 0.0f);
      x[i] = factor * (math::exp(x[i] - lse) - (1 - a.smoothing) * target - even);
    }
    put_values<width>(a.dx, r * a.cols + c, x);
  }
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const CrossEntropyForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "cross_entropy on CUDA: float and 16-bit numbers only");
  ctx.launch(detail::cross_entropy_rows<T>, {.grid = {a.rows}, .block = {detail::cross_entropy_threads}}, a);
  ctx.launch(detail::cross_entropy_mean<T>, {.grid = {1}, .block = {detail::cross_entropy_threads}}, a);
}

template <class T> void launch(Context<Cuda>& ctx, const CrossEntropyBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "cross_entropy on CUDA: float and 16-bit numbers only");
  if (!a.dx) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dx.ptr, a.x), [&](auto width) {
    ctx.launch(detail::cross_entropy_gradient<T, width()>,
               {.grid = {a.rows}, .block = {detail::cross_entropy_threads}}, a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
