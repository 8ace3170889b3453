// L2 normalisation of rows, and weight normalisation: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// y = x / max(||x||, eps) row by row; norm: ||x||, may be null.
template <class T> struct NormalizeForward {
  T* y;               // (R,C)
  acc_t<T>* norm;     // (R)
  const T* x;         // (R,C)
  i64 rows, cols;
  acc_t<T> eps;
  double bytes() const { return 2.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// dx = (dy - y <dy, y>) / norm; where norm <= eps the divisor was constant: dx = dy / eps.
template <class T> struct NormalizeBackward {
  Target<T> dx;             // (R,C)
  const T *dy, *y;          // (R,C) (R,C)
  const acc_t<T>* norm;     // (R)
  i64 rows, cols;
  acc_t<T> eps;
  double bytes() const { return 3.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// factor_k = g_k / ||v_k||, and inverse_k = 1 / ||v_k|| (may be null). No eps, as in torch.nn.utils.weight_norm.
template <class T> struct WeightNormFactor {
  acc_t<T>*factor, *inverse;  // (K) (K)
  const T *v, *g;             // (K,C) (K)
  i64 rows, cols;
  double bytes() const { return static_cast<double>(rows * cols) * sizeof(T); }
};

/// y_rk = x_rk * factor_k.
template <class T> struct ScaleColumns {
  T* y;                      // (R,K)
  const T* x;                // (R,K)
  const acc_t<T>* factor;    // (K)
  i64 rows, cols;
  double bytes() const { return 2.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

/// With h = v/||v||:  dg = <dw, h>,   dv = g/||v|| (dw - dg h).  dw and dv may be the same memory.
template <class T> struct WeightNormBackward {
  Target<acc_t<T>> dv, dg;      // (K,C) (K)
  const acc_t<T>* dw;           // (K,C): gradient of the normalised weight
  const T *v, *g;               // (K,C) (K)
  const acc_t<T>* inverse;      // (K)
  i64 rows, cols;
  double bytes() const { return static_cast<double>(rows * cols) * (sizeof(T) + 2 * sizeof(acc_t<T>)); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const NormalizeForward<T>&);
template <class T> void launch(Context<Cuda>&, const NormalizeBackward<T>&);
template <class T> void launch(Context<Cuda>&, const WeightNormFactor<T>&);
template <class T> void launch(Context<Cuda>&, const ScaleColumns<T>&);
template <class T> void launch(Context<Cuda>&, const WeightNormBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/normalize.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/normalize.cuh>
#endif
