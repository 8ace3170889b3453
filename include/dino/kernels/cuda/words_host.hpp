// The words that kernels use in place of CUDA's own, for the host executor. words_nvcc.cuh says what each one does.
#pragma once

#include <dino/base/types.hpp>
#include <dino/device/simt.hpp>

#include <math.h>  // sqrtf and its kin, as CUDA has them: in the global namespace

#include <atomic>
#include <cstring>
#include <type_traits>

#define DINO_GLOBAL static
#define DINO_DEVICE inline
#define DINO_LAUNCH_BOUNDS(...)
#define __grid_constant__
#define DINO_SHARED(name, type)                                                                        \
  static char name##_key;                                                                              \
  auto& name = *static_cast<::std::type_identity_t<type>*>(::dino::simt::Machine::current().shared(    \
      &name##_key, sizeof(::std::type_identity_t<type>), alignof(::std::type_identity_t<type>), #name, \
      ::dino::simt::Site::here()))
#define DINO_SITE_ONLY ::dino::simt::Site where = ::dino::simt::Site::here()
#define DINO_SITE , DINO_SITE_ONLY
#define DINO_AT_ONLY where
#define DINO_AT , where

namespace dino::inline DINO_ABI::kernels {

using simt::blockDim, simt::blockIdx, simt::gridDim, simt::threadIdx;

inline constexpr u32 all_lanes = 0xffffffffu;

DINO_DEVICE void sync_block(DINO_SITE_ONLY) { simt::Machine::current().block_barrier(where); }

DINO_DEVICE void sync_warp(u32 mask = all_lanes DINO_SITE) {
  simt::Machine::current().collective("sync_warp", mask, where, nullptr, [](void* const*, u32) {});
}

namespace detail {

/// The value of lane `from`, which must be in the mask.
template <class T> DINO_DEVICE T exchange(const char* operation, T value, int from, u32 mask, simt::Site where) {
  struct Slot {
    T in, out;
    int from;
  } slot{value, value, from};
  auto& machine = simt::Machine::current();
  const int lane = machine.lane();
  machine.check(from >= 0 && from < 32, where, "lane {} reads lane {}", lane, from);
  machine.check(((mask >> from) & 1u) != 0, where, "lane {} reads lane {}, which is not in the mask", lane, from);
  machine.collective(operation, mask, where, &slot, [](void* const* slots, u32 group) {
    for (int i = 0; i < 32; ++i) {
      if (((group >> i) & 1u) == 0) continue;
      auto* const mine = static_cast<Slot*>(slots[i]);
      mine->out = static_cast<const Slot*>(slots[mine->from])->in;
    }
  });
  return slot.out;
}

}  // namespace detail

template <class T> DINO_DEVICE T shuffle(T value, int from, u32 mask = all_lanes DINO_SITE) {
  return detail::exchange("shuffle", value, from, mask, where);
}
template <class T> DINO_DEVICE T shuffle_xor(T value, int flip, u32 mask = all_lanes DINO_SITE) {
  return detail::exchange("shuffle_xor", value, simt::Machine::current().lane() ^ flip, mask, where);
}
template <class T> DINO_DEVICE T shuffle_down(T value, int distance, u32 mask = all_lanes DINO_SITE) {
  const int lane = simt::Machine::current().lane(), from = lane + distance;
  return detail::exchange("shuffle_down", value, from < 32 ? from : lane, mask, where);
}

DINO_DEVICE u32 ballot(bool predicate, u32 mask = all_lanes DINO_SITE) {
  struct Slot {
    bool in;
    u32 out;
  } slot{predicate, 0};
  simt::Machine::current().collective("ballot", mask, where, &slot, [](void* const* slots, u32 group) {
    u32 votes = 0;
    for (int i = 0; i < 32; ++i) {
      if (((group >> i) & 1u) != 0 && static_cast<const Slot*>(slots[i])->in) votes |= u32{1} << i;
    }
    for (int i = 0; i < 32; ++i) {
      if ((group >> i) & 1u) static_cast<Slot*>(slots[i])->out = votes;
    }
  });
  return slot.out;
}

// As the device has them, one instruction: those of the C library are calls.
DINO_DEVICE float fmaxf(float x, float y) { return x > y || y != y ? x : y; }
DINO_DEVICE float fminf(float x, float y) { return x < y || y != y ? x : y; }

DINO_DEVICE float inverse_sqrt(float x) { return 1.0f / sqrtf(x); }
DINO_DEVICE float exp2_approx(float x) {
  const float y = exp2f(x);
  return y < 0x1p-126f ? 0.0f : y;
}

DINO_DEVICE int atomic_add(int* at, int value) { return std::atomic_ref<int>(*at).fetch_add(value); }

template <class T> DINO_DEVICE T* dynamic_shared(DINO_SITE_ONLY) {
  return static_cast<T*>(simt::Machine::current().dynamic_shared(where));
}

template <class T> DINO_DEVICE T round_to(float x) { return from_acc<T>(x); }

template <class T> DINO_DEVICE u32 pack2(float low, float high) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
  return u32{from_acc<T>(low).bits} | (u32{from_acc<T>(high).bits} << 16);
}

template <class T, int W> struct alignas(W * sizeof(T)) Pack {
  T value[W];

  DINO_DEVICE T& operator[](int i) { return value[i]; }
  DINO_DEVICE const T& operator[](int i) const { return value[i]; }
};

template <class T> inline constexpr int pack_width = static_cast<int>(16 / sizeof(T));

template <int W, class T> DINO_DEVICE Pack<T, W> load_pack(const T* from DINO_SITE) {
  static_assert(W * sizeof(T) == 16);
  simt::Machine::current().check(reinterpret_cast<u64>(from) % 16 == 0, where, "misaligned 16-byte load");
  Pack<T, W> pack;
  std::memcpy(&pack, from, 16);
  return pack;
}

template <class T, int W> DINO_DEVICE void store_pack(T* to, const Pack<T, W>& pack DINO_SITE) {
  static_assert(W * sizeof(T) == 16);
  simt::Machine::current().check(reinterpret_cast<u64>(to) % 16 == 0, where, "misaligned 16-byte store");
  std::memcpy(to, &pack, 16);
}

}  // namespace dino::inline DINO_ABI::kernels
