// Products of tiles by the tensor-core words: what the kernel computes. A test and, on a device, a file for nvcc share
// it.
#pragma once

#include <dino/device/cuda_context.hpp>

namespace dino::inline DINO_ABI::kernels {

/// c (16,8) = a (16,16) b (16,8), row-major. right_is_rows: b is given as (8,16), one row for each column.
template <class T> struct MmaCheck {
  float* c;
  const T *a, *b;
  bool right_is_rows;
};
template <class T> void launch(Context<Cuda>&, const MmaCheck<T>&);

}  // namespace dino::inline DINO_ABI::kernels
