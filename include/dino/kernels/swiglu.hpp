// The gate of a SwiGLU perceptron: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>
#include <dino/kernels/map.hpp>

namespace dino::inline DINO_ABI::kernels {

/// y = silu(x1) * x2, where a row of x is x1, then x2. Source: Shazeer 2020; swiglu_ffn.py of DINOv2.
template <class T> struct SwiGluForward {
  T* y;        // (R,C)
  const T* x;  // (R,2C)
  i64 rows, cols;
  double bytes() const { return 3.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// dx1 = dy * x2 * silu'(x1),   dx2 = dy * silu(x1).
template <class T> struct SwiGluBackward {
  Target<T> dx;     // (R,2C)
  const T *dy, *x;  // (R,C) (R,2C)
  i64 rows, cols;
  double bytes() const { return 5.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const SwiGluForward<T>&);
template <class T> void launch(Context<Cuda>&, const SwiGluBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/swiglu.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/swiglu.cuh>
#endif
