// Batch normalisation over the rows of a matrix: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// mean_c and biased variance over rows, two-pass, each in two stages of fixed blocks. partial: (blocks(rows), C).
template <class T> struct BatchStatistics {
  static constexpr i64 rows_per_block = 128;

  acc_t<T>*mean, *variance;    // (C) (C)
  acc_t<T>* partial;           // (blocks,C)
  const T* x;                  // (R,C)
  i64 rows, cols;

  DINO_SHARED_CODE static i64 blocks(i64 rows) { return (rows + rows_per_block - 1) / rows_per_block; }
  double bytes() const { return 2.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// y = (x - mean) rstd gamma + beta with rstd = 1/sqrt(variance + eps), per column.
template <class T> struct BatchNormApply {
  T* y;                                    // (R,C)
  const T *x, *gamma, *beta;               // (R,C) (C) (C)
  const acc_t<T>*mean, *variance;          // (C) (C)
  i64 rows, cols;
  acc_t<T> eps;
  double bytes() const { return 2.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// With n = (x - mean) rstd:  dgamma = sum_r dy n,  dbeta = sum_r dy,  dx = gamma rstd (dy - dbeta/R - n dgamma/R).
/// sums: (2,C), partial: (2,blocks,C).
template <class T> struct BatchNormBackward {
  static constexpr i64 rows_per_block = 128;

  Target<T> dx;                            // (R,C)
  Target<acc_t<T>> dgamma, dbeta;          // (C) (C)
  acc_t<T>*sums, *partial;
  const T *dy, *x, *gamma;                 // (R,C) (R,C) (C)
  const acc_t<T>*mean, *variance;          // (C) (C)
  i64 rows, cols;
  acc_t<T> eps;

  DINO_SHARED_CODE static i64 blocks(i64 rows) { return (rows + rows_per_block - 1) / rows_per_block; }
  double bytes() const { return 5.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// running = (1 - momentum) running + momentum * statistic; the variance enters unbiased (R/(R-1)), as in PyTorch.
template <class A> struct RunningStatistics {
  A *running_mean, *running_variance;      // (C) (C)
  const A *mean, *variance;                // (C) (C)
  i64 rows, cols;
  A momentum;
  double bytes() const { return 6.0 * static_cast<double>(cols) * sizeof(A); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const BatchStatistics<T>&);
template <class T> void launch(Context<Cuda>&, const BatchNormApply<T>&);
template <class T> void launch(Context<Cuda>&, const BatchNormBackward<T>&);
template <class T> void launch(Context<Cuda>&, const RunningStatistics<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/batchnorm.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/batchnorm.cuh>
#endif
