// The largest values of each row: what the kernel computes.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// Merges a block of scores into the best k so far of each row: values descending, ties by the lower index.
/// x: (R,C), column c has index first + c. value and index: (R,k), ordered; entries at and beyond `filled` are
/// overwritten, so a search starts with filled = 0 and goes on with filled = min(k, columns seen).
template <class T> struct TopK {
  T* value;    // (R,k)
  i64* index;  // (R,k)
  const T* x;  // (R,C)
  i64 rows, cols, k;
  i64 first, filled;
  double bytes() const { return static_cast<double>(rows * cols) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const TopK<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/topk.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/topk.cuh>
#endif
