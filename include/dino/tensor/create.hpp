// Making tensors: constants, given values, random values.
#pragma once

#include <dino/base/philox.hpp>
#include <dino/tensor/copy.hpp>

#include <cmath>
#include <numbers>

namespace dino::inline DINO_ABI {

template <class T, class D> Tensor<T, D> full(Context<D>& ctx, const Shape& shape, T value) {
  Tensor<T, D> out(ctx, shape);
  launch(ctx, kernels::Fill<T>{.y = out.data(), .n = out.numel(), .value = value});
  return out;
}

template <class T, class D> Tensor<T, D> zeros(Context<D>& ctx, const Shape& shape) { return full<T>(ctx, shape, T{}); }

/// A tensor with the given elements, row after row.
template <class T, class D> Tensor<T, D> tensor(Context<D>& ctx, const Shape& shape, const std::vector<T>& values) {
  Tensor<T, D> out(ctx, shape);
  copy_from_host(out, std::span<const T>(values));
  return out;
}

/// Calls f(i) for every element on the host and moves the result to the device.
template <class T, class D, class F> Tensor<T, D> generate(Context<D>& ctx, const Shape& shape, F f) {
  std::vector<T> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(f(static_cast<i64>(i)));
  return tensor(ctx, shape, values);
}

/// The i-th standard normal value of a key (Box-Muller on two Philox words).
inline double normal(RngKey key, i64 i) {
  const auto words = key.block(static_cast<u64>(i));
  const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(words.x[0]) + 1.0) * 0x1p-32));
  return radius * std::cos(2.0 * std::numbers::pi * static_cast<double>(words.x[1]) * 0x1p-32);
}

/// Standard normal values: element i depends on (key, i) only.
template <class T, class D> Tensor<T, D> randn(Context<D>& ctx, const Shape& shape, RngKey key) {
  return generate<T>(ctx, shape, [&](i64 i) { return normal(key, i); });
}

/// Uniform values in [low, high): element i depends on (key, i) only.
template <class T, class D>
Tensor<T, D> uniform(Context<D>& ctx, const Shape& shape, RngKey key, double low, double high) {
  return generate<T>(ctx, shape, [&](i64 i) {
    return low + (high - low) * static_cast<double>(key.block(static_cast<u64>(i)).x[0]) * 0x1p-32;
  });
}

}  // namespace dino::inline DINO_ABI
