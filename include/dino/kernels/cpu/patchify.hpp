// Patch rows on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/patchify.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// Calls f(offset in the rows, offset in the image, values) for every run of `patch` values that stay together.
template <class F>
void for_each_patch_run(Context<Cpu>& ctx, i64 images, i64 channels, i64 height, i64 width, i64 patch, F f) {
  const i64 gh = height / patch, gw = width / patch, cols = channels * patch * patch;
  parallel_rows(ctx, images * gh, gw * cols, [&](i64 strip) {
    const i64 image = strip / gh, i = strip % gh;
    for (i64 c = 0; c < channels; ++c) {
      for (i64 y = 0; y < patch; ++y) {
        const i64 from = ((image * channels + c) * height + i * patch + y) * width;
        for (i64 j = 0; j < gw; ++j) f((strip * gw + j) * cols + (c * patch + y) * patch, from + j * patch, patch);
      }
    }
  });
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const Patchify<T>& a) {
  detail::for_each_patch_run(ctx, a.images, a.channels, a.height, a.width, a.patch,
                             [&](i64 row, i64 image, i64 n) { std::copy_n(a.x + image, n, a.rows + row); });
}

template <class T> void launch(Context<Cpu>& ctx, const Unpatchify<T>& a) {
  detail::for_each_patch_run(ctx, a.images, a.channels, a.height, a.width, a.patch, [&](i64 row, i64 image, i64 n) {
    for (i64 k = 0; k < n; ++k) a.dx.put(image + k, a.drows[row + k]);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
