// Number types: integers by width, bf16 and f16 storage types, and the type in which sums are kept.
#pragma once

#include <dino/base/config.hpp>
#include <dino/base/probe.hpp>

#include <bit>
#include <cstdint>
#include <type_traits>

static_assert(std::endian::native == std::endian::little, "dino reads and writes little-endian files only");

namespace dino::inline DINO_ABI {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;  // every size and offset: 12 x 65536 logits pass 2^31 at 2,731 images

/// Brain float: the upper half of a float, 8 bits of significand. Layout of __nv_bfloat16.
struct bf16 {
  u16 bits;
};

/// IEEE half: 11 bits of significand, largest value 65504. Layout of __half. For logits only.
struct f16 {
  u16 bits;
};

namespace detail {
template <class T> struct Acc { using type = float; };
template <> struct Acc<double> { using type = double; };
}  // namespace detail

/// The type of statistics, losses, parameter gradients and optimizer state: double for double, else float.
template <class T> using acc_t = typename detail::Acc<T>::type;

/// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
DINO_SHARED_CODE inline bf16 to_bf16(float x) {
  const u32 bits = __builtin_bit_cast(u32, x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<u16>((bits >> 16) | 0x40u)};
  return {static_cast<u16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

DINO_SHARED_CODE inline float to_float(bf16 x) { return __builtin_bit_cast(float, static_cast<u32>(x.bits) << 16); }

/// Rounds to nearest, ties to even; overflow gives infinity; a NaN stays a (quiet) NaN.
DINO_SHARED_CODE inline f16 to_f16(float x) {
  const u32 bits = __builtin_bit_cast(u32, x);
  const u32 sign = (bits >> 16) & 0x8000u;
  const u32 magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<u16>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu))};
  if (magnitude >= 0x477ff000u) return {static_cast<u16>(sign | 0x7c00u)};  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {                                            // below 2^-14: subnormal
    // Adding 0.5 aligns the units of the last place of an f16 subnormal (2^-24) with those of the float.
    const float aligned = __builtin_bit_cast(float, magnitude) + 0.5f;
    return {static_cast<u16>(sign | (__builtin_bit_cast(u32, aligned) - 0x3f000000u))};
  }
  const u32 rebased = magnitude - 0x38000000u;
  return {static_cast<u16>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13))};
}

DINO_SHARED_CODE inline float to_float(f16 x) {
  const u32 sign = static_cast<u32>(x.bits & 0x8000u) << 16;
  const u32 exponent = (x.bits >> 10) & 0x1fu;
  const u32 fraction = x.bits & 0x3ffu;
  if (exponent == 0x1fu) return __builtin_bit_cast(float, sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) {  // subnormal: fraction * 2^-24, exact in float
    const float value = static_cast<float>(fraction) * 5.9604644775390625e-8f;
    return __builtin_bit_cast(float, sign | __builtin_bit_cast(u32, value));
  }
  return __builtin_bit_cast(float, sign | ((exponent + 112u) << 23) | (fraction << 13));
}

/// Widens a stored number to the type that sums are kept in.
template <class T> DINO_SHARED_CODE constexpr acc_t<T> to_acc(T x) {
  if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
    return to_float(x);
  } else {
    return x;
  }
}

/// Rounds a sum to the stored type.
template <class T> DINO_SHARED_CODE constexpr T from_acc(acc_t<T> x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return to_bf16(x);
  } else if constexpr (std::is_same_v<T, f16>) {
    return to_f16(x);
  } else {
    return x;
  }
}

/// The number types of tensors.
template <class T>
concept Number = std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bf16> ||
                 std::is_same_v<T, f16> || std::is_same_v<T, u8> || std::is_same_v<T, i32> || std::is_same_v<T, i64>;

}  // namespace dino::inline DINO_ABI
