// Reductions over contiguous values in a fixed order, wide enough for vector registers.
#pragma once

#include <dino/base/config.hpp>
#include <dino/base/math.hpp>
#include <dino/base/types.hpp>

namespace dino::inline DINO_ABI::kernels {

/// Lanes of a reduction: two or more vector registers on every machine. The order of additions depends on this constant
/// and on n only, so a sum has the same bits for every thread count and vector width.
template <class T> inline constexpr i64 reduction_lanes = 128 / static_cast<i64>(sizeof(T));

/// sum of f(i) for i in [0, n). A plain loop would not be vectorised: additions may not be reordered by the compiler.
template <class T, class F> T sum_over(i64 n, F f) {
  constexpr i64 lanes = reduction_lanes<T>;
  T part[static_cast<size_t>(lanes)] = {};
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
  T part[static_cast<size_t>(lanes)];
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

/// y_i = exp(scale x_i - shift). A function of its own, not inlined: inside a larger body g++ 12 finds "control flow"
/// in the loop and leaves it scalar (softmax of 80 x 65536: 25 ms of CPU time inlined, 4.5 ms like this, on a Zen 3
/// core).
template <class T> [[gnu::noinline]] void exp_row(T* y, const T* x, i64 n, T scale, T shift) {
  DINO_IVDEP
  for (i64 i = 0; i < n; ++i) y[i] = math::exp(scale * x[i] - shift);
}

/// y_i = exp((x_i - shift) scale), exactly 1 where x_i is the shift: scale x_i - scale shift is off by one rounding of
/// scale x_i, which is more than all of the exponent once that passes 1e9.
template <class T> [[gnu::noinline]] void exp_shifted_row(T* y, const T* x, i64 n, T scale, T shift) {
  DINO_IVDEP
  for (i64 i = 0; i < n; ++i) y[i] = math::exp((x[i] - shift) * scale);
}

/// y_i = exp((x_i - center_i) scale - shift).
template <class T> [[gnu::noinline]] void exp_centered_row(T* y, const T* x, const T* center, i64 n, T scale, T shift) {
  DINO_IVDEP
  for (i64 i = 0; i < n; ++i) y[i] = math::exp((x[i] - center[i]) * scale - shift);
}

/// The sum of exp((x_i - shift) scale), a stretch at a time: the values are not kept.
template <class T> T exp_sum(const T* x, i64 n, T scale, T shift) {
  constexpr i64 stretch = 1024;
  T values[static_cast<size_t>(stretch)];
  T total = 0;
  for (i64 i = 0; i < n; i += stretch) {
    const i64 count = n - i < stretch ? n - i : stretch;
    exp_shifted_row(values, x + i, count, scale, shift);
    total += sum(values, count);
  }
  return total;
}

}  // namespace dino::inline DINO_ABI::kernels
