// The widest vector that this file is compiled for, as a value with arithmetic.
#pragma once

#include <dino/base/types.hpp>

namespace dino::inline DINO_ABI::kernels {

#if defined(__AVX512F__)
inline constexpr i64 vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr i64 vector_bytes = 32;
#else
inline constexpr i64 vector_bytes = 16;
#endif

/// Values of T in one register; + - * / work element by element, also with a scalar. Never part of a function's
/// signature: how it is passed depends on the compiler flags.
template <class T> struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes)));
  /// As it lies in memory.
  typedef T unaligned __attribute__((vector_size(vector_bytes), aligned(sizeof(T)), may_alias));
  static constexpr i64 size = vector_bytes / static_cast<i64>(sizeof(T));
};

}  // namespace dino::inline DINO_ABI::kernels
