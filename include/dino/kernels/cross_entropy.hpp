// Cross-entropy of logits against labels: what the kernels compute.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// loss = mean over rows of lse(x_r) - (1 - s) x_r[label_r] - s mean(x_r), s: label smoothing.
/// With other, for rows that are mixed of two images: share_r x_r[label_r] + (1 - share_r) x_r[other_r] stands for
/// x_r[label_r].
/// row_loss: the terms of the mean, kept for its sum in a fixed order.  lse: log sum exp of each row; may be null.
/// Source: torch.nn.functional.cross_entropy.
template <class T> struct CrossEntropyForward {
  acc_t<T>* loss;            // (1)
  acc_t<T>*row_loss, *lse;   // (R) (R)
  const T* x;                // (R,C)
  const i64* label;          // (R), each in [0, C)
  i64 rows, cols;
  acc_t<T> smoothing;
  const i64* other = nullptr;       // (R), each in [0, C); null: no row is mixed
  const acc_t<T>* share = nullptr;  // (R), of label; null without other

  double bytes() const { return static_cast<double>(rows * cols) * sizeof(T); }
};

/// dx = dloss/R (softmax(x) - (1 - s) onehot(label) - s/C), with share onehot(label) + (1 - share) onehot(other) for
/// onehot(label) where rows are mixed.  dx and x may be the same memory when dx overwrites.
template <class T> struct CrossEntropyBackward {
  Target<T> dx;              // (R,C)
  const acc_t<T>* dloss;     // (1)
  const T* x;                // (R,C)
  const acc_t<T>* lse;       // (R)
  const i64* label;          // (R)
  i64 rows, cols;
  acc_t<T> smoothing;
  const i64* other = nullptr;       // (R)
  const acc_t<T>* share = nullptr;  // (R)

  double bytes() const { return 2.0 * static_cast<double>(rows * cols) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const CrossEntropyForward<T>&);
template <class T> void launch(Context<Cuda>&, const CrossEntropyBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/cross_entropy.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/cross_entropy.cuh>
#endif
