// Position resampling on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/resample.hpp>

#include <vector>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class A> std::vector<CubicTaps<A>> cubic_taps(i64 grid, i64 extent) {
  std::vector<CubicTaps<A>> taps;
  for (i64 o = 0; o < extent; ++o) taps.push_back(CubicTaps<A>(o, grid, extent));
  return taps;
}

/// The weight that source index `in` has for one output coordinate (clamped taps may hit it more than once).
template <class A> A weight_of(const CubicTaps<A>& taps, i64 in) {
  A weight = 0;
  for (int k = 0; k < 4; ++k) weight += taps.index[k] == in ? taps.weight[k] : A(0);
  return weight;
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const ResamplePositions<T>& a) {
  const auto rows = detail::cubic_taps<T>(a.grid, a.height), cols = detail::cubic_taps<T>(a.grid, a.width);
  parallel_rows(ctx, a.height * a.width, 16 * a.cols, [&](i64 o) {
    const auto& ty = rows[static_cast<size_t>(o / a.width)];
    const auto& tx = cols[static_cast<size_t>(o % a.width)];
    T* const out = a.out + o * a.cols;
    std::fill_n(out, a.cols, T(0));
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const T w = ty.weight[i] * tx.weight[j];
        const T* const in = a.in + (ty.index[i] * a.grid + tx.index[j]) * a.cols;
        DINO_IVDEP
        for (i64 c = 0; c < a.cols; ++c) out[c] += w * in[c];
      }
    }
  });
}

template <class T> void launch(Context<Cpu>& ctx, const ResamplePositionsBackward<T>& a) {
  const auto rows = detail::cubic_taps<T>(a.grid, a.height), cols = detail::cubic_taps<T>(a.grid, a.width);
  parallel_rows(ctx, a.grid * a.grid, 16 * a.cols, [&](i64 in) {
    T* const din = a.din.ptr + in * a.cols;
    if (!a.din.add) std::fill_n(din, a.cols, T(0));
    for (i64 y = 0; y < a.height; ++y) {
      const T wy = detail::weight_of(rows[static_cast<size_t>(y)], in / a.grid);
      if (wy == T(0)) continue;
      for (i64 x = 0; x < a.width; ++x) {
        const T w = wy * detail::weight_of(cols[static_cast<size_t>(x)], in % a.grid);
        if (w == T(0)) continue;
        const T* const dout = a.dout + (y * a.width + x) * a.cols;
        DINO_IVDEP
        for (i64 c = 0; c < a.cols; ++c) din[c] += w * dout[c];
      }
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
