// LayerScale folded into the linear layer before it: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// The rows of a linear layer, each scaled: scaled_w[c,:] = gamma_c w[c,:],   scaled_b_c = gamma_c b_c.
/// They give gamma * (x w^T + b): a scale for each output channel costs a pass over weights, none over activations.
template <class T> struct LayerScaleForward {
  T *scaled_w, *scaled_b;      // (C,K) (C)
  const T *w, *b, *gamma;      // (C,K) (C) (C)
  i64 rows, cols;              // C, K
  double bytes() const { return 2.0 * static_cast<double>(rows * (cols + 1)) * sizeof(T); }
};

/// With the gradients dw' and db' of the scaled rows:
///     dw[c,:] = gamma_c dw'[c,:],   db_c = gamma_c db'_c,   dgamma_c = <w[c,:], dw'[c,:]> + b_c db'_c
/// The last is the sum over rows of dy times what the linear layer gives, because dw' = dy^T x and db' = sum of dy.
template <class T> struct LayerScaleBackward {
  Target<acc_t<T>> dw, db, dgamma;              // (C,K) (C) (C)
  const acc_t<T> *dscaled_w, *dscaled_b;        // (C,K) (C); the first is not read where only db is wanted
  const T *w, *b, *gamma;                       // (C,K) (C) (C)
  i64 rows, cols;                               // C, K
  double bytes() const { return static_cast<double>(rows * (cols + 1)) * (sizeof(T) + 2 * sizeof(acc_t<T>)); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const LayerScaleForward<T>&);
template <class T> void launch(Context<Cuda>&, const LayerScaleBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/layer_scale.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/layer_scale.cuh>
#endif
