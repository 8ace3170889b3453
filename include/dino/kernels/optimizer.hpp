// Optimizer steps over flat parameter ranges: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

#include <span>

namespace dino::inline DINO_ABI::kernels {

/// One tensor of a flat buffer and how this step treats it.
template <class A> struct UpdateRange {
  i64 offset, n;
  A lr;                        // with all its factors
  A decay;                     // weight decay
  A correction1, correction2;  // AdamW: 1 - beta1^t, 1 - beta2^t with the tensor's own count t
  bool adapt;                  // LARS: scale by the trust ratio
};

/// norm_i = || scale_i g + decay_i p || over range i, in two stages of fixed blocks. Where p is null ||g||, where g is
/// null ||p||.
/// scale_i = min(1, clip / (clip_norm_i + 1e-6)) when clip_norm is given and clip > 0, else 1.
/// blocks: one entry per block, listed by the caller; partial: as many values.
template <class T> struct RangeNorms {
  static constexpr i64 block = 1 << 14;

  acc_t<T>* norm;     // (ranges)
  acc_t<T>* partial;  // (blocks of all ranges)
  const acc_t<T>* g;  // flat
  const T* p;         // flat
  std::span<const UpdateRange<acc_t<T>>> ranges;
  const acc_t<T>* clip_norm;  // (ranges)
  acc_t<T> clip;
};

/// Decoupled weight decay (Loshchilov and Hutter 2019), in the order of torch.optim.AdamW:
///     g = scale g;   p *= 1 - lr wd;   m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2;   p -= lr / c1 * m / (sqrt(v)
///     / sqrt(c2) + eps)
/// scale as in RangeNorms (gradient clipping per tensor).
template <class T> struct AdamW {
  T* p;
  acc_t<T>*m, *v;
  const acc_t<T>* g;
  std::span<const UpdateRange<acc_t<T>>> ranges;
  const acc_t<T>* clip_norm;
  acc_t<T> clip, beta1, beta2, eps;
};

/// g = scale g + wd p;   buf = momentum buf + g;   p -= lr buf.
template <class T> struct Sgd {
  T* p;
  acc_t<T>* buffer;
  const acc_t<T>* g;
  std::span<const UpdateRange<acc_t<T>>> ranges;
  const acc_t<T>* clip_norm;
  acc_t<T> clip, momentum;
};

/// d = scale g + wd p;   where `adapt`: d *= eta ||p|| / ||d|| (1 if either is 0);   mu = momentum mu + d;   p -= lr
/// mu.
template <class T> struct Lars {
  T* p;
  acc_t<T>* buffer;
  const acc_t<T>* g;
  std::span<const UpdateRange<acc_t<T>>> ranges;
  const acc_t<T>*clip_norm, *p_norm, *d_norm;  // (ranges) each
  acc_t<T> clip, momentum, eta;
};

/// average = momentum average + (1 - momentum) p, over a whole flat buffer.
template <class T> struct Ema {
  T* average;
  const T* p;
  i64 n;
  acc_t<T> momentum;
  double bytes() const { return 3.0 * static_cast<double>(n) * sizeof(T); }
};

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))
#  include <dino/kernels/cpu/optimizer.hpp>
#endif
