// What kernels share: where a thread stands, and sums over a warp. One text for every compiler.
#pragma once

#include <dino/device/cuda.hpp>
#include <dino/kernels/cuda/words_nvcc.cuh>

#include <cstdint>

namespace dino::inline DINO_ABI::kernels {

inline constexpr int warp_size = 32;

DINO_DEVICE int block_thread() { return static_cast<int>(threadIdx.x); }
DINO_DEVICE int lane() { return block_thread() % warp_size; }
DINO_DEVICE int warp() { return block_thread() / warp_size; }
DINO_DEVICE int warps_per_block() { return static_cast<int>(blockDim.x) / warp_size; }
DINO_DEVICE i64 global_warp() { return static_cast<i64>(blockIdx.x) * warps_per_block() + warp(); }

/// The sum over the 32 lanes, in every lane, always added in the same order. Every lane of the warp calls it.
template <class T> DINO_DEVICE T warp_sum(T value) {
  for (int mask = warp_size / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

/// True if rows of `cols` values can be moved in packs of 128 bits: a row is whole packs, each pointer aligned or null.
template <class T, class... P> bool rows_take_packs(i64 cols, const P*... pointers) {
  return cols % pack_width<T> == 0 && ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace dino::inline DINO_ABI::kernels
