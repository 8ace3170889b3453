// The words that kernels use in place of CUDA's own, for nvcc. Every `__name` and all assembly of kernels stays in this
// file and in mma_nvcc.cuh. words_host.hpp has the same words for a host compiler.
#pragma once

#include <dino/base/types.hpp>

#include <type_traits>

// A kernel. Always a template, and static: one with external linkage in a header links twice or not at all.
#define DINO_GLOBAL static __global__
#define DINO_DEVICE __device__ __forceinline__
#define DINO_LAUNCH_BOUNDS(...) __launch_bounds__(__VA_ARGS__)
// A variable of the block:  DINO_SHARED(part, float[32]);
#define DINO_SHARED(name, type) __shared__ ::std::type_identity_t<type> name
// The place of a call, for the reports of the host executor; nothing here. As last parameter (DINO_SITE), as the only
// one (DINO_SITE_ONLY), and to hand it on (DINO_AT, DINO_AT_ONLY).
#define DINO_SITE
#define DINO_SITE_ONLY
#define DINO_AT
#define DINO_AT_ONLY

namespace dino::inline DINO_ABI::kernels {

inline constexpr u32 all_lanes = 0xffffffffu;

/// A barrier of the block: every thread reaches it, at the same place.
DINO_DEVICE void sync_block() { __syncthreads(); }
DINO_DEVICE void sync_warp(u32 mask = all_lanes) { __syncwarp(mask); }

/// The value of lane `from`; every lane of the mask calls it.
template <class T> DINO_DEVICE T shuffle(T value, int from, u32 mask = all_lanes) {
  return __shfl_sync(mask, value, from);
}
/// The value of the lane whose number differs in the bits of `flip`.
template <class T> DINO_DEVICE T shuffle_xor(T value, int flip, u32 mask = all_lanes) {
  return __shfl_xor_sync(mask, value, flip);
}
/// The value of the lane `distance` above; its own where there is none.
template <class T> DINO_DEVICE T shuffle_down(T value, int distance, u32 mask = all_lanes) {
  return __shfl_down_sync(mask, value, static_cast<unsigned>(distance));
}
/// One bit for each lane of the mask: whether its predicate holds.
DINO_DEVICE u32 ballot(bool predicate, u32 mask = all_lanes) { return __ballot_sync(mask, predicate); }

DINO_DEVICE float inverse_sqrt(float x) { return rsqrtf(x); }
/// 2^x, two units in the last place; results below 2^-126 are zero.
DINO_DEVICE float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

DINO_DEVICE int atomic_add(int* at, int value) { return atomicAdd(at, value); }

/// Dynamic shared memory of the block, 16-byte aligned; its size is LaunchConfig::shared_bytes.
template <class T> DINO_DEVICE T* dynamic_shared() {
  extern __shared__ uint4 dino_dynamic_shared[];
  return reinterpret_cast<T*>(dino_dynamic_shared);
}

/// from_acc by the conversion instruction: one in place of the six that round by integer arithmetic, same values.
template <class T> DINO_DEVICE T round_to(float x) {
  if constexpr (std::is_same_v<T, bf16>) {
    u16 bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return {bits};
  } else if constexpr (std::is_same_v<T, f16>) {
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return {bits};
  } else {
    return from_acc<T>(x);
  }
}

/// Two numbers rounded to T = bf16 or f16 in one word, `low` in the lower half: an element pair of a matrix fragment.
template <class T> DINO_DEVICE u32 pack2(float low, float high) {
  u32 word;
  if constexpr (std::is_same_v<T, bf16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  } else {
    static_assert(std::is_same_v<T, f16>);
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  }
  return word;
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
