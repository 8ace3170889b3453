// Position resampling on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/resample.hpp>

#include <vector>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class Taps> std::vector<Taps> position_taps(i64 grid, i64 extent, double offset) {
  std::vector<Taps> taps;
  for (i64 o = 0; o < extent; ++o) taps.push_back(Taps(o, grid, extent, offset));
  return taps;
}

template <class Taps, class T> void resample(Context<Cpu>& ctx, const ResamplePositions<T>& a) {
  const auto rows = position_taps<Taps>(a.grid, a.height, a.rule.offset);
  const auto cols = position_taps<Taps>(a.grid, a.width, a.rule.offset);
  parallel_rows(ctx, a.height * a.width, 16 * a.cols, [&](i64 o) {
    const auto& ty = rows[static_cast<size_t>(o / a.width)];
    const auto& tx = cols[static_cast<size_t>(o % a.width)];
    T* const out = a.out + o * a.cols;
    std::fill_n(out, a.cols, T(0));
    for (int i = 0; i < ty.size(); ++i) {
      for (int j = 0; j < tx.size(); ++j) {
        const T w = ty.weight(i) * tx.weight(j);
        const T* const in = a.in + (ty.index(i) * a.grid + tx.index(j)) * a.cols;
        DINO_IVDEP
        for (i64 c = 0; c < a.cols; ++c) out[c] += w * in[c];
      }
    }
  });
}

template <class Taps, class T> void resample_backward(Context<Cpu>& ctx, const ResamplePositionsBackward<T>& a) {
  const auto rows = position_taps<Taps>(a.grid, a.height, a.rule.offset);
  const auto cols = position_taps<Taps>(a.grid, a.width, a.rule.offset);
  parallel_rows(ctx, a.grid * a.grid, 16 * a.cols, [&](i64 in) {
    T* const din = a.din.ptr + in * a.cols;
    if (!a.din.add) std::fill_n(din, a.cols, T(0));
    for (i64 y = 0; y < a.height; ++y) {
      const T wy = rows[static_cast<size_t>(y)].weight_of(in / a.grid);
      if (wy == T(0)) continue;
      for (i64 x = 0; x < a.width; ++x) {
        const T w = wy * cols[static_cast<size_t>(x)].weight_of(in % a.grid);
        if (w == T(0)) continue;
        const T* const dout = a.dout + (y * a.width + x) * a.cols;
        DINO_IVDEP
        for (i64 c = 0; c < a.cols; ++c) din[c] += w * dout[c];
      }
    }
  });
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const ResamplePositions<T>& a) {
  a.rule.antialias ? detail::resample<AntialiasTaps<T>>(ctx, a) : detail::resample<CubicTaps<T>>(ctx, a);
}

template <class T> void launch(Context<Cpu>& ctx, const ResamplePositionsBackward<T>& a) {
  a.rule.antialias ? detail::resample_backward<AntialiasTaps<T>>(ctx, a)
                   : detail::resample_backward<CubicTaps<T>>(ctx, a);
}

}  // namespace dino::inline DINO_ABI::kernels
