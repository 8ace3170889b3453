// Softmax for CUDA: a block to each row, of one warp where rows are short.
#pragma once

#include <dino/base/math.hpp>
#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/softmax.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int softmax_threads = 256;
inline constexpr i64 softmax_warp_cols = 1024;  // a row that one warp takes

inline LaunchConfig softmax_rows(i64 rows, i64 cols) {
  return {.grid = {rows}, .block = {cols <= softmax_warp_cols ? warp_size : softmax_threads}};
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(softmax_threads)
    softmax_forward(const __grid_constant__ SoftmaxForward<T> a) {
  const i64 row = static_cast<i64>(blockIdx.x) * a.cols, step = width * static_cast<i64>(blockDim.x);
  const i64 begin = width * block_thread();
  const float scale = 1 / a.temperature;
  float largest = lowest_float, total = 0;
  for (i64 c = begin; c < a.cols; c += step) {
    float x[width];
    load_values<width>(x, a.x + row + c);
    for (int i = 0; i < width; ++i) largest = fmaxf(largest, x[i]);
  }
  largest = block_max(largest);
  for (i64 c = begin; c < a.cols; c += step) {
    float x[width];
    load_values<width>(x, a.x + row + c);
    for (int i = 0; i < width; ++i) total += math::exp((x[i] - largest) * scale);
  }
  const float inverse = 1 / block_sum(total);
  for (i64 c = begin; c < a.cols; c += step) {
    float x[width];
    load_values<width>(x, a.x + row + c);
    for (int i = 0; i < width; ++i) x[i] = math::exp((x[i] - largest) * scale) * inverse;
    put_values<width>(Target<T>{a.y}, row + c, x);
  }
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(softmax_threads)
    softmax_backward(const __grid_constant__ SoftmaxBackward<T> a) {
  const i64 row = static_cast<i64>(blockIdx.x) * a.cols, step = width * static_cast<i64>(blockDim.x);
  const i64 begin = width * block_thread();
  float along = 0;
  for (i64 c = begin; c < a.cols; c += step) {
    float y[width], dy[width];
    load_values<width>(y, a.y + row + c);
    load_values<width>(dy, a.dy + row + c);
    for (int i = 0; i < width; ++i) along += dy[i] * y[i];
  }
  along = block_sum(along);
  const float scale = 1 / a.temperature;
  for (i64 c = begin; c < a.cols; c += step) {
    float y[width], dy[width];
    load_values<width>(y, a.y + row + c);
    load_values<width>(dy, a.dy + row + c);
    for (int i = 0; i < width; ++i) dy[i] = scale * y[i] * (dy[i] - along);
    put_values<width>(a.dx, row + c, dy);
  }
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const SoftmaxForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "softmax on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.y, a.x), [&](auto width) {
    ctx.launch(detail::softmax_forward<T, width()>, detail::softmax_rows(a.rows, a.cols), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const SoftmaxBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "softmax on CUDA: float and 16-bit numbers only");
  if (!a.dx) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dx.ptr, a.dy, a.y), [&](auto width) {
    ctx.launch(detail::softmax_backward<T, width()>, detail::softmax_rows(a.rows, a.cols), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
