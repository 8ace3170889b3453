// Matrix product: the one entry point.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// C = op(A) op(B) + bias + residual, or C += op(A) op(B) + bias; row-major, sums in acc_t<T>.
/// op(A) is (M,K): A itself, or the transpose of A (K,M). op(B) is (K,N): B itself, or the transpose of B (N,K).
/// A, B and C are rows with strides of their own. bias: (N), added to every row of C; may be null. residual: (M,N),
/// rows with the stride of C; may be null, and is where `add` is set.
template <class T, class Out = T> struct Gemm {
  Out* c;              // (M,N)
  const T *a, *b;      // op: (M,K) (K,N)
  const T* bias;       // (N)
  i64 m, n, k;
  i64 stride_c, stride_a, stride_b;
  bool transpose_a, transpose_b;
  bool add;
  const Out* residual = nullptr;  // (M,N)

  double flops() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
  double bytes() const {
    const double outputs = static_cast<double>(m * n) * (residual ? 2 : 1);
    return static_cast<double>(m * k + k * n) * sizeof(T) + outputs * sizeof(Out);
  }
};

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/gemm.hpp>
#  if DINO_CUDA == 1
#    include <dino/kernels/cuda/gemm.hpp>
#  elif DINO_CUDA == 2
#    include <dino/kernels/cuda/gemm_host.hpp>
#  endif
#endif
