// Runs of neighbouring values: one 128-bit pack, or a single value where rows or pointers take no packs.
#pragma once

#include <dino/base/view.hpp>
#include <dino/kernels/cuda/common.cuh>

#include <type_traits>

namespace dino::inline DINO_ABI::kernels {

/// `width` values as stored: a whole pack, or one value.
template <int width, class T> DINO_DEVICE Pack<T, width> load_run(const T* from DINO_SITE) {
  if constexpr (width == 1) {
    return {{*from}};
  } else {
    return load_pack<width>(from DINO_AT);
  }
}

template <class T, int width> DINO_DEVICE void store_run(T* to, const Pack<T, width>& run DINO_SITE) {
  if constexpr (width == 1) {
    *to = run[0];
  } else {
    store_pack(to, run DINO_AT);
  }
}

/// `width` values widened: by several packs where a pack of T holds less than `width`.
template <int width, class T> DINO_DEVICE void load_values(float* x, const T* from DINO_SITE) {
  constexpr int step = width < pack_width<T> ? width : pack_width<T>;
  DINO_UNROLL
  for (int i = 0; i < width; i += step) {
    const auto run = load_run<step>(from + i DINO_AT);
    DINO_UNROLL
    for (int k = 0; k < step; ++k) x[i + k] = to_acc(run[k]);
  }
}

/// to[at + i] = x[i], or += x[i]: added in float, rounded once.
template <int width, class T> DINO_DEVICE void put_values(const Target<T>& to, i64 at, const float* x DINO_SITE) {
  Pack<T, width> run{};
  if (to.add) run = load_run<width>(to.ptr + at DINO_AT);
  DINO_UNROLL
  for (int i = 0; i < width; ++i) run[i] = round_to<T>(to.add ? to_acc(run[i]) + x[i] : x[i]);
  store_run(to.ptr + at, run DINO_AT);
}

/// Calls f with the number of values that a thread moves at once, as a constant.
template <class T, class F> void with_run_width(bool packs, F f) {
  if (packs) {
    f(std::integral_constant<int, pack_width<T>>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

}  // namespace dino::inline DINO_ABI::kernels
