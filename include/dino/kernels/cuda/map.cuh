// Element-wise kernels for CUDA: a thread to each run of 128 bits, or to each value where pointers take no packs.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/map.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int map_threads = 256;

/// Calls f(w, i) for the run of this thread, which begins at element i; what n leaves over goes value by value.
/// The width is a constant, decltype(w)::value: f is a generic lambda.
template <int width, class F> DINO_DEVICE void each_run(i64 n, F f) {
  const i64 runs = n / width, t = global_thread();
  if (t < runs) {
    f(std::integral_constant<int, width>{}, t * width);
  } else if (t - runs < n - runs * width) {
    f(std::integral_constant<int, 1>{}, runs * width + t - runs);
  }
}

/// A thread for each run and each value left over.
inline LaunchConfig run_threads(i64 n, int width) { return threads(n / width + n % width, map_threads); }

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    fill(const __grid_constant__ Fill<T> a) {
  each_run<width>(a.n, [&](auto w, i64 i) {
    constexpr int each = decltype(w)::value;
    Pack<T, each> run;
    for (int k = 0; k < each; ++k) run[k] = a.value;
    store_run(a.y + i, run);
  });
}

/// `width` values, moved as they are where the types are the same, else converted through float.
template <int width, class T, class From> DINO_DEVICE void copy_run(T* to, const From* from) {
  if constexpr (std::is_same_v<T, From>) {
    store_run(to, load_run<width>(from));
  } else {
    constexpr int step = width < pack_width<T> ? width : pack_width<T>;
    float x[width];
    load_values<width>(x, from);
    DINO_UNROLL
    for (int k = 0; k < width; k += step) put_values<step>(Target<T>{to}, k, x + k);
  }
}

/// Rows without gaps: one long row.
template <class T, class From, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    copy_flat(const __grid_constant__ CopyRows<T, From> a) {
  each_run<width>(a.x.rows * a.x.cols,
                  [&](auto w, i64 i) { copy_run<decltype(w)::value>(a.y + i, a.x.data + i); });
}

/// Rows of whole runs.
template <class T, class From, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    copy_rows(const __grid_constant__ CopyRows<T, From> a) {
  const i64 i = width * global_thread(), r = i / a.x.cols;
  if (r < a.x.rows) copy_run<width>(a.y + i, a.x[r] + (i - r * a.x.cols));
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    add(const __grid_constant__ Add<T> a) {
  each_run<width>(a.n, [&](auto w, i64 i) {
    constexpr int each = decltype(w)::value;
    float x[each], y[each];
    load_values<each>(x, a.a + i);
    load_values<each>(y, a.b + i);
    for (int k = 0; k < each; ++k) x[k] += y[k];
    put_values<each>(a.out, i, x);
  });
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    scale(const __grid_constant__ Scale<T> a) {
  each_run<width>(a.n, [&](auto w, i64 i) {
    constexpr int each = decltype(w)::value;
    float x[each];
    load_values<each>(x, a.x + i);
    for (int k = 0; k < each; ++k) x[k] *= a.factor;
    put_values<each>(a.out, i, x);
  });
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    multiply(const __grid_constant__ Multiply<T> a) {
  each_run<width>(a.n, [&](auto w, i64 i) {
    constexpr int each = decltype(w)::value;
    float x[each], y[each];
    load_values<each>(x, a.a + i);
    load_values<each>(y, a.b + i);
    for (int k = 0; k < each; ++k) x[k] *= y[k];
    put_values<each>(a.out, i, x);
  });
}

template <class F, class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    map_forward(const __grid_constant__ MapForward<F, T> a) {
  each_run<width>(a.n, [&](auto w, i64 i) {
    constexpr int each = decltype(w)::value;
    float x[each];
    load_values<each>(x, a.x + i);
    for (int k = 0; k < each; ++k) x[k] = F::f(x[k]);
    put_values<each>(Target<T>{a.y}, i, x);
  });
}

template <class F, class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(map_threads)
    map_backward(const __grid_constant__ MapBackward<F, T> a) {
  each_run<width>(a.n, [&](auto w, i64 i) {
    constexpr int each = decltype(w)::value;
    float x[each], dy[each];
    load_values<each>(x, a.x + i);
    load_values<each>(dy, a.dy + i);
    for (int k = 0; k < each; ++k) dy[k] *= F::df(x[k]);
    put_values<each>(a.dx, i, dy);
  });
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const Fill<T>& a) {
  with_run_width<T>(rows_take_packs<T>(0, a.y), [&](auto width) {
    ctx.launch(detail::fill<T, width()>, detail::run_threads(a.n, width()), a);
  });
}

template <class T, class From> void launch(Context<Cuda>& ctx, const CopyRows<T, From>& a) {
  using Narrow = std::conditional_t<(sizeof(T) < sizeof(From)), T, From>;  // its packs hold the most values
  const i64 n = a.x.rows * a.x.cols;
  const bool gaps = a.x.rows > 1 && a.x.stride != a.x.cols;
  const bool packs = rows_take_packs<Narrow>(gaps ? a.x.cols : 0, a.y, a.x.data) &&
                     (!gaps || rows_take_packs<Narrow>(a.x.stride));
  with_run_width<Narrow>(packs, [&](auto width) {
    if (gaps) {
      ctx.launch(detail::copy_rows<T, From, width()>, threads(n / width(), detail::map_threads), a);
    } else {
      ctx.launch(detail::copy_flat<T, From, width()>, detail::run_threads(n, width()), a);
    }
  });
}

template <class T> void launch(Context<Cuda>& ctx, const Add<T>& a) {
  if (!a.out) return;
  with_run_width<T>(rows_take_packs<T>(0, a.out.ptr, a.a, a.b), [&](auto width) {
    ctx.launch(detail::add<T, width()>, detail::run_threads(a.n, width()), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const Scale<T>& a) {
  if (!a.out) return;
  with_run_width<T>(rows_take_packs<T>(0, a.out.ptr, a.x), [&](auto width) {
    ctx.launch(detail::scale<T, width()>, detail::run_threads(a.n, width()), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const Multiply<T>& a) {
  if (!a.out) return;
  with_run_width<T>(rows_take_packs<T>(0, a.out.ptr, a.a, a.b), [&](auto width) {
    ctx.launch(detail::multiply<T, width()>, detail::run_threads(a.n, width()), a);
  });
}

template <class F, class T> void launch(Context<Cuda>& ctx, const MapForward<F, T>& a) {
  with_run_width<T>(rows_take_packs<T>(0, a.y, a.x), [&](auto width) {
    ctx.launch(detail::map_forward<F, T, width()>, detail::run_threads(a.n, width()), a);
  });
}

template <class F, class T> void launch(Context<Cuda>& ctx, const MapBackward<F, T>& a) {
  if (!a.dx) return;
  with_run_width<T>(rows_take_packs<T>(0, a.dx.ptr, a.dy, a.x), [&](auto width) {
    ctx.launch(detail::map_backward<F, T, width()>, detail::run_threads(a.n, width()), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
