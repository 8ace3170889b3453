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

  static i64 blocks(i64 rows) { return (rows + rows_per_block - 1) / rows_per_block; }
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

  static i64 blocks(i64 rows) { return (rows + rows_per_block - 1) / rows_per_block; }
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

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))
#  include <dino/kernels/cpu/batchnorm.hpp>
#endif
