// What kernels share: where a thread stands, and sums over a warp and a block. One text for every compiler.
#pragma once

#include <dino/device/cuda_context.hpp>
#if DINO_CUDA == 2
#  include <dino/kernels/cuda/words_host.hpp>
#else
#  include <dino/kernels/cuda/words_nvcc.cuh>
#endif

#include <cstdint>

namespace dino::inline DINO_ABI::kernels {

inline constexpr int warp_size = 32;
inline constexpr float lowest_float = -0x1.fffffep127f;  // where the search for a maximum begins

DINO_DEVICE int block_thread() { return static_cast<int>(threadIdx.x); }
DINO_DEVICE int lane() { return block_thread() % warp_size; }
DINO_DEVICE int warp() { return block_thread() / warp_size; }
DINO_DEVICE int warps_per_block() { return static_cast<int>(blockDim.x) / warp_size; }
DINO_DEVICE i64 global_warp() { return static_cast<i64>(blockIdx.x) * warps_per_block() + warp(); }
DINO_DEVICE i64 global_thread() { return static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x; }
DINO_DEVICE i64 global_threads() { return static_cast<i64>(gridDim.x) * blockDim.x; }

/// The sum over the 32 lanes, in every lane, always added in the same order. Every lane of the warp calls it.
template <class T> DINO_DEVICE T warp_sum(T value DINO_SITE) {
  for (int flip = warp_size / 2; flip > 0; flip /= 2) value += shuffle_xor(value, flip, all_lanes DINO_AT);
  return value;
}

/// The largest of the 32 lanes, in every lane.
DINO_DEVICE float warp_max(float value DINO_SITE) {
  for (int flip = warp_size / 2; flip > 0; flip /= 2) {
    value = fmaxf(value, shuffle_xor(value, flip, all_lanes DINO_AT));
  }
  return value;
}

/// The sum over all threads of the block, in every thread, always added in the same order. Every thread calls it.
template <class T> DINO_DEVICE T block_sum(T value DINO_SITE) {
  DINO_SHARED(part, T[warp_size]);
  value = warp_sum(value DINO_AT);
  sync_block(DINO_AT_ONLY);  // the array may still be read on behalf of the sum before
  if (lane() == 0) part[warp()] = value;
  sync_block(DINO_AT_ONLY);
  T sum = part[0];
  for (int w = 1; w < warps_per_block(); ++w) sum += part[w];
  return sum;
}

/// The largest over all threads of the block, in every thread.
DINO_DEVICE float block_max(float value DINO_SITE) {
  DINO_SHARED(part, float[warp_size]);
  value = warp_max(value DINO_AT);
  sync_block(DINO_AT_ONLY);
  if (lane() == 0) part[warp()] = value;
  sync_block(DINO_AT_ONLY);
  float largest = part[0];
  for (int w = 1; w < warps_per_block(); ++w) largest = fmaxf(largest, part[w]);
  return largest;
}

/// Floats of device memory for the length of a launch function. The pool gives them out again in the order of the
/// stream, behind the kernels that use them.
class DeviceScratch {
 public:
  DeviceScratch(Context<Cuda>& ctx, i64 count)
      : pool_(ctx.pool()), data_(static_cast<float*>(pool_.allocate(static_cast<size_t>(count) * sizeof(float)))) {}
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;
  ~DeviceScratch() { pool_.release(data_); }

  float* data() const { return data_; }

 private:
  Pool<Cuda>& pool_;
  float* data_;
};

/// A grid in which each of `count` items has a thread of its own: the kernel finds its item with global_thread() and
/// must look whether it is there.
inline LaunchConfig threads(i64 count, i64 per_block = 256) {
  return {.grid = {(count + per_block - 1) / per_block}, .block = {per_block}, .shared_bytes = 0};
}

/// True if rows of `cols` values can be moved in packs of 128 bits: a row is whole packs, each pointer aligned or null.
template <class T, class... P> bool rows_take_packs(i64 cols, const P*... pointers) {
  return cols % pack_width<T> == 0 && ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace dino::inline DINO_ABI::kernels
