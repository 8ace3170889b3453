// LayerScale folded into a linear layer, for CUDA: one warp per row of the weight.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/layer_scale.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int layer_scale_threads = 256;
inline constexpr i64 layer_scale_warps = layer_scale_threads / warp_size;

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layer_scale_threads)
    layer_scale_forward(const __grid_constant__ LayerScaleForward<T> a) {
  const i64 r = global_warp();
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  const float gamma = to_acc(a.gamma[r]);
  for (i64 k = width * lane(); k < a.cols; k += width * warp_size) {
    float w[width];
    load_values<width>(w, a.w + r * a.cols + k);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) w[i] *= gamma;
    put_values<width>(Target<T>{a.scaled_w}, r * a.cols + k, w);
  }
  if (lane() == 0) a.scaled_b[r] = round_to<T>(gamma * to_acc(a.b[r]));
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layer_scale_threads)
    layer_scale_backward(const __grid_constant__ LayerScaleBackward<T> a) {
  const i64 r = global_warp();
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  constexpr int step = width < pack_width<float> ? width : pack_width<float>;  // of what is written: float
  const float gamma = to_acc(a.gamma[r]), db = a.dscaled_b[r];
  if (a.dw || a.dgamma) {
    float sum = 0;
    for (i64 k = width * lane(); k < a.cols; k += width * warp_size) {
      const i64 at = r * a.cols + k;
      float w[width], dw[width];
      load_values<width>(w, a.w + at);
      load_values<width>(dw, a.dscaled_w + at);
      DINO_UNROLL
      for (int i = 0; i < width; ++i) {
        sum += w[i] * dw[i];
        dw[i] *= gamma;
      }
      if (!a.dw) continue;
      DINO_UNROLL
      for (int i = 0; i < width; i += step) put_values<step>(a.dw, at + i, dw + i);
    }
    sum = warp_sum(sum);
    if (a.dgamma && lane() == 0) a.dgamma.put(r, sum + to_acc(a.b[r]) * db);
  }
  if (a.db && lane() == 0) a.db.put(r, gamma * db);
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const LayerScaleForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "layer scale on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.scaled_w, a.w), [&](auto width) {
    ctx.launch(detail::layer_scale_forward<T, width()>, warps(a.rows, detail::layer_scale_warps), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const LayerScaleBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "layer scale on CUDA: float and 16-bit numbers only");
  if (!a.dw && !a.db && !a.dgamma) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dw.ptr, a.dscaled_w, a.w), [&](auto width) {
    ctx.launch(detail::layer_scale_backward<T, width()>, warps(a.rows, detail::layer_scale_warps), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
