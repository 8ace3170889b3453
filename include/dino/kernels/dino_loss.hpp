// The DINO loss over all student/teacher pairs: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/step_state.hpp>

namespace dino::inline DINO_ABI::kernels {

/// Rows are crop-major: row v * B + b is crop v of image b; crops 0 and 1 are the global ones. With
///     q_i = softmax((t_i - center) / tau_t),   M = 2 V - 2
/// loss = 1/(M B) sum_b sum_{i in {0,1}} sum_{v != i} [ lse(s_v / tau_s) - <q_i, s_v> / tau_s ].
/// entropy: the mean of -sum q log q over the 2B teacher rows.  partial: (2,B), one pair (loss, entropy) per image.
/// batch_mean: the mean of q over the 2B rows, may be null.  lse_s and lse_t may be null: then they are not kept.
template <class T> struct DinoLossForward {
  acc_t<T>*loss, *entropy;       // (1) (1)
  acc_t<T>*lse_s, *lse_t;        // (V*B) (2*B)
  acc_t<T>* batch_mean;          // (K)
  acc_t<T>* partial;             // (2,B)
  const T *s, *t;                // (V*B,K) (2*B,K)
  const acc_t<T>* center;        // (K)
  i64 views, images, outputs;
  acc_t<T> tau_s;
  StepScalar tau_t;

  double bytes() const { return static_cast<double>((views + 2) * images * outputs) * sizeof(T); }
};

/// ds_v = dloss/(tau_s M B) (n_v softmax(s_v / tau_s) - sum_{i != v} q_i), n_v: 1 for a global crop, 2 for a local one.
/// ds and s may be the same memory when ds overwrites.
template <class T> struct DinoLossBackward {
  Target<T> ds;                             // (V*B,K)
  const acc_t<T>* dloss;                    // (1)
  const T *s, *t;                           // (V*B,K) (2*B,K)
  const acc_t<T>*center, *lse_s, *lse_t;    // (K) (V*B) (2*B)
  i64 views, images, outputs;
  acc_t<T> tau_s;
  StepScalar tau_t;

  double bytes() const { return static_cast<double>((2 * views + 2) * images * outputs) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const DinoLossForward<T>&);
template <class T> void launch(Context<Cuda>&, const DinoLossBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/dino_loss.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/dino_loss.cuh>
#endif
