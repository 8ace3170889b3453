// The words that kernels use in place of CUDA's own, for nvcc. Every `__name` and all assembly stays in this file.
#pragma once

#include <dino/base/types.hpp>

#include <type_traits>

// A kernel. Always a template, and static: one with external linkage in a header links twice or not at all.
#define DINO_GLOBAL static __global__
#define DINO_DEVICE __device__ __forceinline__
#define DINO_LAUNCH_BOUNDS(threads) __launch_bounds__(threads)
// A variable of the block:  DINO_SHARED(part, float[32]);
#define DINO_SHARED(name, type) __shared__ ::std::type_identity_t<type> name

namespace dino::inline DINO_ABI::kernels {

inline constexpr u32 all_lanes = 0xffffffffu;

DINO_DEVICE void sync_block() { __syncthreads(); }

/// The value of the lane whose number differs in the bits of `mask`; every lane of the warp calls it.
template <class T> DINO_DEVICE T shuffle_xor(T value, int mask) { return __shfl_xor_sync(all_lanes, value, mask); }

DINO_DEVICE float inverse_sqrt(float x) { return rsqrtf(x); }

/// from_acc by the conversion instruction: one in place of the six that round by integer arithmetic, same values.
template <class T> DINO_DEVICE T round_to(float x) {
  if constexpr (std::is_same_v<T, bf16>) {
    u16 bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return {bits};
  } else {
    return from_acc<T>(x);
  }
}

/// W neighbouring values, moved by one access.
template <class T, int W> struct alignas(W * sizeof(T)) Pack {
  T value[W];

  DINO_DEVICE T& operator[](int i) { return value[i]; }
  DINO_DEVICE const T& operator[](int i) const { return value[i]; }
};

/// How many values fill the widest access of the device, 128 bits.
template <class T> inline constexpr int pack_width = static_cast<int>(16 / sizeof(T));

template <int W, class T> DINO_DEVICE Pack<T, W> load_pack(const T* from) {
  static_assert(W * sizeof(T) == 16);
  return __builtin_bit_cast(Pack<T, W>, *reinterpret_cast<const uint4*>(from));
}

template <class T, int W> DINO_DEVICE void store_pack(T* to, const Pack<T, W>& pack) {
  static_assert(W * sizeof(T) == 16);
  *reinterpret_cast<uint4*>(to) = __builtin_bit_cast(uint4, pack);
}

}  // namespace dino::inline DINO_ABI::kernels
