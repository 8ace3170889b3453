// One warp, one tile: copied by cp_async, loaded by ldmatrix plain and transposed, multiplied by mma.
#pragma once

#include <dino/kernels/cuda/mma.cuh>

#include "mma_check.hpp"

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class T> DINO_GLOBAL void mma_check(const __grid_constant__ MmaCheck<T> args) {
  T* const a = dynamic_shared<T>();
  T* const b = a + 16 * 16;
  cp_async(a + 8 * lane(), args.a + 8 * lane());
  if (lane() < 16) cp_async(b + 8 * lane(), args.b + 8 * lane());
  cp_async_commit();
  cp_async_wait<0>();
  sync_warp();
  const int i = lane() / 8, j = lane() % 8;
  u32 left[4], right[4];
  ldmatrix_x4(left, a + (i % 2 * 8 + j) * 16 + i / 2 * 8);
  if (args.right_is_rows) {
    ldmatrix_x4(right, b + j * 16 + i % 2 * 8);
  } else {
    ldmatrix_x4_transposed(right, b + (i % 2 * 8 + j) * 8);
  }
  float c[4] = {};
  const u32 pair[2] = {right[0], right[1]};
  mma_16816<T>(c, left, pair);
  for (int k = 0; k < 4; ++k) args.c[(lane() / 4 + k / 2 * 8) * 8 + lane() % 4 * 2 + k % 2] = c[k];
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const MmaCheck<T>& args) {
  ctx.launch(detail::mma_check<T>, {.grid = {1}, .block = {warp_size}, .shared_bytes = (16 * 16 + 16 * 8) * 2}, args);
}

}  // namespace dino::inline DINO_ABI::kernels
