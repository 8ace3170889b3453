// Token matrices: class token, registers and positions, drop path, row moves. What the kernels compute.
#pragma once

#include <dino/base/segments.hpp>
#include <dino/base/view.hpp>
#include <dino/device/step_state.hpp>

namespace dino::inline DINO_ABI::kernels {

/// Rows of one group of crops, with r register tokens (r may be 0):
///     out[b,0,:] = cls + first,   out[b,1+k,:] = registers[k,:],   out[b,1+r+j,:] = patches[b,j,:] + positions[j,:].
template <class T> struct AssembleTokens {
  T* out;                            // (images*(1+r+n),C), the first row of the group
  const T* patches;                  // (images*n,C)
  const T *cls, *first, *positions;  // (C) (C) (n,C)
  i64 images, n, cols;
  const T* registers = nullptr;  // (r,C)
  i64 register_count = 0;        // r
  double bytes() const { return 2.0 * static_cast<double>(images * (n + 1 + register_count) * cols) * sizeof(T); }
};

/// dpatches[b,j] = dout[b,1+r+j];   dsum[j] = sum over images of dout[b,j], j = 0..r+n: row 0 belongs to the class
/// token, the next r to the registers.
template <class T> struct AssembleTokensBackward {
  Target<T> dpatches;  // (images*n,C)
  acc_t<T>* dsum;      // (1+r+n,C), overwritten; may be null
  const T* dout;       // (images*(1+r+n),C)
  i64 images, n, cols;
  i64 register_count = 0;  // r
  double bytes() const { return 2.0 * static_cast<double>(images * (n + 1 + register_count) * cols) * sizeof(T); }
};

/// out = x * keep(image) / (1 - rate) + residual: all rows of an image share one draw, u >= rate keeps it, u =
/// uniform(key, number). Images are numbered through all groups, as they stand in the full batch (BatchWindow).
/// residual may be null; out may be x.
template <class T> struct DropPath {
  Target<T> out;  // (R,C)
  const T* x;     // (R,C)
  const Segments* segments;
  i64 cols;
  StepKey key;
  BatchWindow window;
  double rate;
  const T* residual = nullptr;  // (R,C)
  double bytes() const {
    return (residual ? 3.0 : 2.0) * static_cast<double>(segments->rows() * cols) * sizeof(T);
  }
};

/// y[i,:] = x[index[i],:].
template <class T> struct GatherRows {
  T* y;              // (n,C)
  const T* x;        // (R,C)
  const i64* index;  // (n)
  i64 n, cols;
  double bytes() const { return 2.0 * static_cast<double>(n * cols) * sizeof(T); }
};

/// dx[index[i],:] += dy[i,:], one after the other in the order of i; rows that no index names are zero when dx
/// overwrites.
template <class T> struct GatherRowsBackward {
  Target<T> dx;      // (R,C)
  const T* dy;       // (n,C)
  const i64* index;  // (n)
  i64 n, rows, cols;
  double bytes() const { return static_cast<double>((2 * n + rows) * cols) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const AssembleTokens<T>&);
template <class T> void launch(Context<Cuda>&, const AssembleTokensBackward<T>&);
template <class T> void launch(Context<Cuda>&, const DropPath<T>&);
template <class T> void launch(Context<Cuda>&, const GatherRows<T>&);
template <class T> void launch(Context<Cuda>&, const GatherRowsBackward<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/tokens.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/tokens.cuh>
#endif
