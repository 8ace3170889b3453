// Softmax over the last axis with a temperature: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// y = softmax(x / temperature) over the last axis.
template <class T> struct SoftmaxForward {
  T* y;        // (R,C)
  const T* x;  // (R,C)
  i64 rows, cols;
  acc_t<T> temperature;
  double bytes() const { return 2.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// dx = y (dy - <dy, y>) / temperature.
template <class T> struct SoftmaxBackward {
  Target<T> dx;      // (R,C)
  const T *dy, *y;   // (R,C) (R,C)
  i64 rows, cols;
  acc_t<T> temperature;
  double bytes() const { return 3.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const SoftmaxForward<T>&);
template <class T> void launch(Context<Cuda>&, const SoftmaxBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/softmax.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/softmax.cuh>
#endif
