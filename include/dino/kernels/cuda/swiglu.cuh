// The gate of a SwiGLU perceptron for CUDA: a thread to each run of a row's values.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/swiglu.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int swiglu_threads = 256;

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(swiglu_threads)
    swiglu_forward(const __grid_constant__ SwiGluForward<T> a) {
  const i64 i = width * global_thread(), r = i / a.cols;
  if (r >= a.rows) return;  // there is no block barrier here
  const T* const x = a.x + i + r * a.cols;
  float gate[width], value[width];
  load_values<width>(gate, x);
  load_values<width>(value, x + a.cols);
  DINO_UNROLL
  for (int k = 0; k < width; ++k) value[k] *= Silu::f(gate[k]);
  put_values<width>(Target<T>{a.y}, i, value);
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(swiglu_threads)
    swiglu_backward(const __grid_constant__ SwiGluBackward<T> a) {
  const i64 i = width * global_thread(), r = i / a.cols;
  if (r >= a.rows) return;  // there is no block barrier here
  const i64 at = i + r * a.cols;
  float gate[width], value[width], dy[width];
  load_values<width>(gate, a.x + at);
  load_values<width>(value, a.x + at + a.cols);
  load_values<width>(dy, a.dy + i);
  DINO_UNROLL
  for (int k = 0; k < width; ++k) {
    value[k] *= dy[k] * Silu::df(gate[k]);
    dy[k] *= Silu::f(gate[k]);
  }
  put_values<width>(a.dx, at, value);
  put_values<width>(a.dx, at + a.cols, dy);
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const SwiGluForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "swiglu on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.y, a.x), [&](auto width) {
    ctx.launch(detail::swiglu_forward<T, width()>, threads(a.rows * a.cols / width(), detail::swiglu_threads), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const SwiGluBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "swiglu on CUDA: float and 16-bit numbers only");
  if (!a.dx) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dx.ptr, a.dy, a.x), [&](auto width) {
    ctx.launch(detail::swiglu_backward<T, width()>, threads(a.rows * a.cols / width(), detail::swiglu_threads), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
