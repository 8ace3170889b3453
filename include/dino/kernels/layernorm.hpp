// Layer normalisation over the last axis: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// y = (x - mean) * rstd * gamma + beta over the last axis; rstd = 1/sqrt(var + eps), var biased (1/C).
/// Statistics are acc_t<T>, two-pass. mean and rstd may be null, both: then they are not kept.
/// Source: Ba et al. 2016; eps 1e-6 in vision_transformer.py.
template <class T> struct LayerNormForward {
  T* y;                           // (R,C)
  acc_t<T>*mean, *rstd;           // (R) (R)
  const T *x, *gamma, *beta;      // (R,C) (C) (C)
  i64 rows, cols;
  acc_t<T> eps;

  double bytes() const {
    return (2.0 * static_cast<double>(rows) + 2) * static_cast<double>(cols) * sizeof(T) +
           2.0 * static_cast<double>(rows) * sizeof(acc_t<T>);
  }
};

/// With n = (x - mean) * rstd and g = dy * gamma:
///     dx     = rstd * (g - mean_c(g) - n * mean_c(g * n)) + residual
///     dgamma = sum_r dy * n          dbeta = sum_r dy          dbias = sum_r residual
/// residual is the gradient that reaches x past the branch which begins here; it may be null, and it may be dx where
/// dx overwrites. It is also the gradient of what the branch ends with, so its sum is that of the last bias.
/// The sums over rows are taken in two stages of fixed blocks of rows: equal bits for any number of threads.
/// `partial` holds the first stage: partial_values(rows, cols) of them; null when none of the three is wanted.
template <class T> struct LayerNormBackward {
  static constexpr i64 rows_per_block = 64;

  Target<T> dx;                       // (R,C)
  Target<acc_t<T>> dgamma, dbeta;     // (C) (C)
  acc_t<T>* partial;                  // (3,blocks,C)
  const T *dy, *x, *gamma;            // (R,C) (R,C) (C)
  const acc_t<T>*mean, *rstd;         // (R) (R)
  i64 rows, cols;
  const T* residual = nullptr;        // (R,C)
  Target<acc_t<T>> dbias = {};        // (C), only with a residual

  DINO_SHARED_CODE static i64 blocks(i64 rows) { return (rows + rows_per_block - 1) / rows_per_block; }
  static i64 partial_values(i64 rows, i64 cols) { return 3 * blocks(rows) * cols; }
  double bytes() const {
    return ((residual ? 4.0 : 3.0) * static_cast<double>(rows) + 3) * static_cast<double>(cols) * sizeof(T) +
           2.0 * static_cast<double>(rows) * sizeof(acc_t<T>);
  }
};

template <class T> void launch(Context<Cpu>&, const LayerNormForward<T>&);
template <class T> void launch(Context<Cpu>&, const LayerNormBackward<T>&);
#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const LayerNormForward<T>&);
template <class T> void launch(Context<Cuda>&, const LayerNormBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/layernorm.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/layernorm.cuh>
#endif
