// L2 normalisation of rows and weight normalisation for CUDA: one warp per row.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/normalize.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int normalize_warps = 8;  // of a block
inline constexpr int normalize_threads = normalize_warps * warp_size;

/// Calls f(c) for the first column of each run of this lane in a row.
template <int width, class F> DINO_DEVICE void each_column_run(i64 cols, F f) {
  for (i64 c = width * lane(); c < cols; c += width * warp_size) f(c);
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(normalize_threads)
    normalize_forward(const __grid_constant__ NormalizeForward<T> a) {
  const i64 r = global_warp(), row = r * a.cols;
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  float square = 0;
  each_column_run<width>(a.cols, [&](i64 c) {
    float x[width];
    load_values<width>(x, a.x + row + c);
    for (int i = 0; i < width; ++i) square += x[i] * x[i];
  });
  const float norm = sqrtf(warp_sum(square)), inverse = 1 / fmaxf(norm, a.eps);
  each_column_run<width>(a.cols, [&](i64 c) {
    float x[width];
    load_values<width>(x, a.x + row + c);
    for (int i = 0; i < width; ++i) x[i] *= inverse;
    put_values<width>(Target<T>{a.y}, row + c, x);
  });
  if (lane() == 0 && a.norm) a.norm[r] = norm;
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(normalize_threads)
    normalize_backward(const __grid_constant__ NormalizeBackward<T> a) {
  const i64 r = global_warp(), row = r * a.cols;
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  const float norm = a.norm[r], inverse = 1 / fmaxf(norm, a.eps);
  float along = 0;
  if (norm > a.eps) {  // the same for the whole warp
    each_column_run<width>(a.cols, [&](i64 c) {
      float dy[width], y[width];
      load_values<width>(dy, a.dy + row + c);
      load_values<width>(y, a.y + row + c);
      for (int i = 0; i < width; ++i) along += dy[i] * y[i];
    });
    along = warp_sum(along);
  }
  each_column_run<width>(a.cols, [&](i64 c) {
    float dy[width], y[width];
    load_values<width>(dy, a.dy + row + c);
    load_values<width>(y, a.y + row + c);
    for (int i = 0; i < width; ++i) dy[i] = (dy[i] - y[i] * along) * inverse;
    put_values<width>(a.dx, row + c, dy);
  });
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(normalize_threads)
    weight_norm_factor(const __grid_constant__ WeightNormFactor<T> a) {
  const i64 k = global_warp();
  if (k >= a.rows) return;  // a whole warp; there is no block barrier here
  float square = 0;
  each_column_run<width>(a.cols, [&](i64 c) {
    float v[width];
    load_values<width>(v, a.v + k * a.cols + c);
    for (int i = 0; i < width; ++i) square += v[i] * v[i];
  });
  const float inverse = 1 / sqrtf(warp_sum(square));
  if (lane() > 0) return;
  a.factor[k] = to_acc(a.g[k]) * inverse;
  if (a.inverse) a.inverse[k] = inverse;
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(normalize_threads)
    scale_columns(const __grid_constant__ ScaleColumns<T> a) {
  const i64 i = width * global_thread(), c = i % a.cols;
  if (i >= a.rows * a.cols) return;
  float x[width], factor[width];
  load_values<width>(x, a.x + i);
  load_values<width>(factor, a.factor + c);
  for (int k = 0; k < width; ++k) x[k] *= factor[k];
  put_values<width>(Target<T>{a.y}, i, x);
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(normalize_threads)
    weight_norm_backward(const __grid_constant__ WeightNormBackward<T> a) {
  const i64 k = global_warp(), row = k * a.cols;
  if (k >= a.rows) return;  // a whole warp; there is no block barrier here
  const float inverse = a.inverse[k];
  float dg = 0;
  each_column_run<width>(a.cols, [&](i64 c) {
    float dw[width], v[width];
    load_values<width>(dw, a.dw + row + c);
    load_values<width>(v, a.v + row + c);
    for (int i = 0; i < width; ++i) dg += dw[i] * v[i];
  });
  dg = warp_sum(dg) * inverse;
  if (lane() == 0 && a.dg) a.dg.put(k, dg);
  if (!a.dv) return;
  const float factor = to_acc(a.g[k]) * inverse, along = dg * inverse;
  each_column_run<width>(a.cols, [&](i64 c) {
    constexpr int step = width < pack_width<float> ? width : pack_width<float>;
    float dw[width], v[width];
    load_values<width>(dw, a.dw + row + c);
    load_values<width>(v, a.v + row + c);
    for (int i = 0; i < width; ++i) dw[i] = factor * (dw[i] - along * v[i]);
    DINO_UNROLL
    for (int i = 0; i < width; i += step) put_values<step>(a.dv, row + c + i, dw + i);
  });
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const NormalizeForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "normalize on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.y, a.x), [&](auto width) {
    ctx.launch(detail::normalize_forward<T, width()>, warps(a.rows, detail::normalize_warps), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const NormalizeBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "normalize on CUDA: float and 16-bit numbers only");
  if (!a.dx) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dx.ptr, a.dy, a.y), [&](auto width) {
    ctx.launch(detail::normalize_backward<T, width()>, warps(a.rows, detail::normalize_warps), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const WeightNormFactor<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "weight norm on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.v), [&](auto width) {
    ctx.launch(detail::weight_norm_factor<T, width()>, warps(a.rows, detail::normalize_warps), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const ScaleColumns<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "weight norm on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.y, a.x, a.factor), [&](auto width) {
    ctx.launch(detail::scale_columns<T, width()>, threads(a.rows * a.cols / width(), detail::normalize_threads), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const WeightNormBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "weight norm on CUDA: float and 16-bit numbers only");
  if (!a.dv && !a.dg) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dv.ptr, a.dw, a.v), [&](auto width) {
    ctx.launch(detail::weight_norm_backward<T, width()>, warps(a.rows, detail::normalize_warps), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
