// Bicubic resampling of a position table: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// out[y,x,:] = sum over 4 x 4 taps of w_y w_x in[ty,tx,:]: Keys' cubic with A = -0.75, taps clamped at the border, no
/// antialiasing. Source coordinate: (o + 0.5) / scale - 0.5 with scale = (extent + 0.1) / grid, computed in acc_t as
/// PyTorch does. Source: vision_transformer.py, interpolate_pos_encoding;
/// torch.nn.functional.interpolate(mode="bicubic").
template <class T> struct ResamplePositions {
  T* out;       // (height*width,C)
  const T* in;  // (grid*grid,C)
  i64 grid, height, width, cols;
  double bytes() const { return static_cast<double>((grid * grid + height * width) * cols) * sizeof(T); }
};

/// din = the same weights, transposed: gathered per source row, so that no two threads write one place.
template <class T> struct ResamplePositionsBackward {
  Target<acc_t<T>> din;  // (grid*grid,C)
  const acc_t<T>* dout;  // (height*width,C)
  i64 grid, height, width, cols;
  double bytes() const { return static_cast<double>((grid * grid + height * width) * cols) * sizeof(T); }
};

/// The taps of one output coordinate.
template <class A> struct CubicTaps {
  i64 index[4];
  A weight[4];

  DINO_SHARED_CODE CubicTaps(i64 out, i64 grid, i64 extent) {
    const A step = static_cast<A>(1.0 / ((static_cast<double>(extent) + 0.1) / static_cast<double>(grid)));
    const A at = (static_cast<A>(out) + A(0.5)) * step - A(0.5);
    i64 base = static_cast<i64>(at);
    if (static_cast<A>(base) > at) --base;  // floor
    const A t = at - static_cast<A>(base);
    for (int k = 0; k < 4; ++k) {
      const i64 tap = base - 1 + k;
      index[k] = tap < 0 ? 0 : (tap >= grid ? grid - 1 : tap);
    }
    weight[0] = outer(t + 1);
    weight[1] = inner(t);
    weight[2] = inner(1 - t);
    weight[3] = outer(2 - t);
  }

 private:
  static constexpr A a = A(-0.75);
  DINO_SHARED_CODE static A inner(A t) { return ((a + 2) * t - (a + 3)) * t * t + 1; }
  DINO_SHARED_CODE static A outer(A t) { return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a; }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const ResamplePositions<T>&);
template <class T> void launch(Context<Cuda>&, const ResamplePositionsBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/resample.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/resample.cuh>
#endif
