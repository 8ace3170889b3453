// Reductions over contiguous values in a fixed order, wide enough for vector registers.
#pragma once

#include <dino/base/types.hpp>

namespace dino::inline DINO_ABI::kernels {

/// Lanes of a reduction: two or more vector registers on every machine. The order of additions depends on this constant
/// and on n only, so a sum has the same bits for every thread count and vector width.
template <class T> inline constexpr i64 reduction_lanes = 128 / static_cast<i64>(sizeof(T));

/// sum of f(i) for i in [0, n). A plain loop would not be vectorised: additions may not be reordered by the compiler.
template <class T, class F> T sum_over(i64 n, F f) {
  constexpr i64 lanes = reduction_lanes<T>;
  T part[lanes] = {};
  i64 i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (i64 l = 0; l < lanes; ++l) part[l] += f(i + l);
  }
  for (i64 l = 0; i + l < n; ++l) part[l] += f(i + l);
  for (i64 width = lanes / 2; width > 0; width /= 2) {
    for (i64 l = 0; l < width; ++l) part[l] += part[l + width];
  }
  return part[0];
}

/// The largest f(i) for i in [0, n), n >= 1; a NaN may be lost.
template <class T, class F> T max_over(i64 n, F f) {
  constexpr i64 lanes = reduction_lanes<T>;
  T part[lanes];
  const T first = f(0);
  for (i64 l = 0; l < lanes; ++l) part[l] = first;
  i64 i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (i64 l = 0; l < lanes; ++l) {
      const T value = f(i + l);
      part[l] = value > part[l] ? value : part[l];
    }
  }
  for (; i < n; ++i) part[0] = f(i) > part[0] ? f(i) : part[0];
  T largest = part[0];
  for (i64 l = 1; l < lanes; ++l) largest = part[l] > largest ? part[l] : largest;
  return largest;
}

template <class T> T sum(const T* x, i64 n) {
  return sum_over<T>(n, [x](i64 i) { return x[i]; });
}

template <class T> T dot(const T* x, const T* y, i64 n) {
  return sum_over<T>(n, [x, y](i64 i) { return x[i] * y[i]; });
}

}  // namespace dino::inline DINO_ABI::kernels
