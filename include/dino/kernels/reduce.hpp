// Sums over rows and over everything, in a fixed order.
#pragma once

#include <dino/base/view.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI::kernels {

/// out_c = factor * sum_r x_rc, in two stages of fixed blocks of rows. partial: (blocks(rows), cols).
template <class T> struct ColumnSum {
  static constexpr i64 rows_per_block = 128;

  Target<acc_t<T>> out;   // (C)
  acc_t<T>* partial;      // (blocks,C)
  const T* x;             // (R,C)
  i64 rows, cols;
  acc_t<T> factor;

  DINO_SHARED_CODE static i64 blocks(i64 rows) { return (rows + rows_per_block - 1) / rows_per_block; }
  double bytes() const { return static_cast<double>(rows * cols) * sizeof(T); }
};

/// out = factor * sum of all x, in two stages of fixed blocks. partial: (blocks(n)).
template <class T> struct Sum {
  static constexpr i64 block = 1 << 14;

  Target<acc_t<T>> out;  // (1)
  acc_t<T>* partial;     // (blocks)
  const T* x;            // (n)
  i64 n;
  acc_t<T> factor;

  DINO_SHARED_CODE static i64 blocks(i64 n) { return (n + block - 1) / block; }
  double bytes() const { return static_cast<double>(n) * sizeof(T); }
};

/// y_i = factor * value[0] for all i: the gradient of a sum.
template <class T> struct Spread {
  Target<T> y;             // (n)
  const acc_t<T>* value;   // (1)
  i64 n;
  acc_t<T> factor;
  double bytes() const { return static_cast<double>(n) * sizeof(T); }
};

#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const ColumnSum<T>&);
template <class T> void launch(Context<Cuda>&, const Sum<T>&);
template <class T> void launch(Context<Cuda>&, const Spread<T>&);
#endif

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/reduce.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/reduce.cuh>
#endif
