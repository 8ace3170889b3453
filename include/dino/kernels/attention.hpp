// Multi-head self-attention on packed qkv: what the kernels compute.
#pragma once

#include <dino/base/segments.hpp>
#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// For every image and head, with q, k, v (N,d) read in place from the rows of qkv (stride 3C, C = H d):
///     P = softmax(scale q k^T) over the keys,     out = P v
/// qkv columns: q, k, v, each as H heads of d. The scale is applied to the products, as in the reference.
/// lse: log sum exp of each row's scores, (R,H); may be null. class_map: the first row of P for each image,
/// (images,H,N) group after group; may be null. Source: vision_transformer.py, Attention.
template <class T> struct AttentionForward {
  T* out;               // (R,C)
  acc_t<T>* lse;        // (R,H)
  acc_t<T>* class_map;  // sum over groups of images * H * N
  const T* qkv;         // (R,3C)
  const Segments* segments;
  i64 heads, head_dim;
  acc_t<T> scale;

  double flops() const {
    double sum = 0;
    for (const auto& s : *segments) {
      const auto n = static_cast<double>(s.tokens);
      sum += 4.0 * static_cast<double>(s.images * heads * head_dim) * n * n;
    }
    return sum;
  }
  double bytes() const { return 4.0 * static_cast<double>(segments->rows() * heads * head_dim) * sizeof(T); }
};

/// With P computed again from qkv and lse, and D_i = <dout_i, out_i> = <P_i, (dout v^T)_i>:
///     dv = P^T dout,   dS = P (dout v^T - D),   dq = scale dS k,   dk = scale dS^T q
template <class T> struct AttentionBackward {
  Target<T> dqkv;             // (R,3C)
  const T *dout, *out, *qkv;  // (R,C) (R,C) (R,3C)
  const acc_t<T>* lse;        // (R,H)
  const Segments* segments;
  i64 heads, head_dim;
  acc_t<T> scale;

  double flops() const {
    double sum = 0;
    for (const auto& s : *segments) {
      const auto n = static_cast<double>(s.tokens);
      sum += 10.0 * static_cast<double>(s.images * heads * head_dim) * n * n;
    }
    return sum;
  }
  double bytes() const { return 8.0 * static_cast<double>(segments->rows() * heads * head_dim) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const AttentionForward<T>&);
template <class T> void launch(Context<Cuda>&, const AttentionBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/attention.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/attention.cuh>
#endif
