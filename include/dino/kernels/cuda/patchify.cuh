// Patch rows for CUDA: one thread for each run of values that neighbour in the image and in the patch.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/patchify.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int patchify_threads = 256;

/// Where a run of `run` values starts, in the patch rows and in the images. Runs are numbered along the image lines.
struct PatchRun {
  i64 rows, image;
};

template <int run, class A> DINO_DEVICE PatchRun patch_run(const A& a, i64 number) {
  const int patch = static_cast<int>(a.patch);
  const i64 gh = a.height / patch, gw = a.width / patch, runs = gw * patch / run, lines = gh * patch;
  const i64 line = number / runs, plane = line / lines;
  const int x = static_cast<int>(number - line * runs) * run, y = static_cast<int>(line - plane * lines);
  const i64 image = plane / a.channels, c = plane - image * a.channels;
  const int i = y / patch, j = x / patch;
  const i64 row = (image * gh + i) * gw + j, col = (c * patch + y - i * patch) * patch + x - j * patch;
  return {row * a.channels * patch * patch + col, (plane * a.height + y) * a.width + x};
}

template <class A> DINO_SHARED_CODE i64 patch_runs(const A& a, i64 run) {
  return a.images * a.channels * (a.height / a.patch * a.patch) * (a.width / a.patch * a.patch / run);
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(patchify_threads)
    patchify(const __grid_constant__ Patchify<T> a) {
  if (global_thread() >= patch_runs(a, width)) return;
  const auto at = patch_run<width>(a, global_thread());
  store_run(a.rows + at.rows, load_run<width>(a.x + at.image));
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(patchify_threads)
    unpatchify(const __grid_constant__ Unpatchify<T> a) {
  if (global_thread() >= patch_runs(a, width)) return;
  const auto at = patch_run<width>(a, global_thread());
  float drows[width];
  load_values<width>(drows, a.drows + at.rows);
  put_values<width>(a.dx, at.image, drows);
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const Patchify<T>& a) {
  const bool packs = rows_take_packs<T>(a.patch, a.rows, a.x) && rows_take_packs<T>(a.width);
  with_run_width<T>(packs, [&](auto width) {
    ctx.launch(detail::patchify<T, width()>, threads(detail::patch_runs(a, width()), detail::patchify_threads), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const Unpatchify<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "unpatchify on CUDA: float and 16-bit numbers only");
  const bool packs = rows_take_packs<T>(a.patch, a.dx.ptr, a.drows) && rows_take_packs<T>(a.width);
  with_run_width<T>(packs, [&](auto width) {
    ctx.launch(detail::unpatchify<T, width()>, threads(detail::patch_runs(a, width()), detail::patchify_threads), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
