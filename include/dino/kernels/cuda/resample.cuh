// Position resampling for CUDA: one block per cell, forward per output cell and backward per source cell.
#pragma once

#include <dino/kernels/cuda/common.cuh>
#include <dino/kernels/resample.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int resample_threads = 128;

template <class T, class Taps> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(resample_threads)
    resample_positions(const __grid_constant__ ResamplePositions<T> a) {
  const i64 o = blockIdx.x;
  const Taps ty(o / a.width, a.grid, a.height, a.rule.offset), tx(o % a.width, a.grid, a.width, a.rule.offset);
  for (i64 c = block_thread(); c < a.cols; c += resample_threads) {
    float sum = 0;
    for (int i = 0; i < ty.size(); ++i) {
      for (int j = 0; j < tx.size(); ++j) {
        sum += ty.weight(i) * tx.weight(j) * to_acc(a.in[(ty.index(i) * a.grid + tx.index(j)) * a.cols + c]);
      }
    }
    a.out[o * a.cols + c] = round_to<T>(sum);
  }
}

/// Dynamic shared memory holds the weights of all output rows and columns for this source cell.
template <class T, class Taps> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(resample_threads)
    resample_positions_backward(const __grid_constant__ ResamplePositionsBackward<T> a) {
  float* const rows = dynamic_shared<float>();
  float* const cols = rows + a.height;
  const i64 in = blockIdx.x;
  for (i64 o = block_thread(); o < a.height + a.width; o += resample_threads) {
    rows[o] = o < a.height ? Taps(o, a.grid, a.height, a.rule.offset).weight_of(in / a.grid)
                           : Taps(o - a.height, a.grid, a.width, a.rule.offset).weight_of(in % a.grid);
  }
  sync_block();
  for (i64 c = block_thread(); c < a.cols; c += resample_threads) {
    float sum = 0;
    for (i64 y = 0; y < a.height; ++y) {
      if (rows[y] == 0) continue;
      for (i64 x = 0; x < a.width; ++x) {
        const float weight = rows[y] * cols[x];
        if (weight != 0) sum += weight * a.dout[(y * a.width + x) * a.cols + c];
      }
    }
    a.din.put(in * a.cols + c, sum);
  }
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const ResamplePositions<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "resample on CUDA: float and 16-bit numbers only");
  ctx.launch(a.rule.antialias ? detail::resample_positions<T, AntialiasTaps<float>>
                              : detail::resample_positions<T, CubicTaps<float>>,
             {.grid = {a.height * a.width}, .block = {detail::resample_threads}}, a);
}

template <class T> void launch(Context<Cuda>& ctx, const ResamplePositionsBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "resample on CUDA: float and 16-bit numbers only");
  const LaunchConfig config{.grid = {a.grid * a.grid},
                            .block = {detail::resample_threads},
                            .shared_bytes = (a.height + a.width) * static_cast<i64>(sizeof(float))};
  ctx.launch(a.rule.antialias ? detail::resample_positions_backward<T, AntialiasTaps<float>>
                              : detail::resample_positions_backward<T, CubicTaps<float>>,
             config, a);
}

}  // namespace dino::inline DINO_ABI::kernels
