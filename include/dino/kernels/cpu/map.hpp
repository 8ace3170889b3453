// Element-wise kernels on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/map.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

constexpr i64 map_grain = 1 << 14;  // elements per task: 64 KiB of float

/// out = f(i) for all i; the choice between = and += is made once per piece, so that both loops vectorise.
template <class T, class F> void map_into(Context<Cpu>& ctx, const Target<T>& out, i64 n, F f) {
  parallel_ranges(ctx, n, map_grain, [&](i64 begin, i64 end) {
    T* const ptr = out.ptr;
    if (out.add) {
      DINO_IVDEP
      for (i64 i = begin; i < end; ++i) ptr[i] += f(i);
    } else {
      DINO_IVDEP
      for (i64 i = begin; i < end; ++i) ptr[i] = f(i);
    }
  });
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const Fill<T>& a) {
  detail::map_into(ctx, Target<T>{a.y, false}, a.n, [value = a.value](i64) { return value; });
}

template <class T, class From> void launch(Context<Cpu>& ctx, const CopyRows<T, From>& a) {
  parallel_rows(ctx, a.x.rows, a.x.cols, [&](i64 r) {
    const From* const x = a.x[r];
    T* const y = a.y + r * a.x.cols;
    for (i64 c = 0; c < a.x.cols; ++c) {
      if constexpr (std::is_same_v<T, From>) {
        y[c] = x[c];
      } else {
        y[c] = from_acc<T>(static_cast<acc_t<T>>(to_acc(x[c])));
      }
    }
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Add<T>& a) {
  detail::map_into(ctx, a.out, a.n, [x = a.a, y = a.b](i64 i) { return x[i] + y[i]; });
}

template <class T> void launch(Context<Cpu>& ctx, const Scale<T>& a) {
  detail::map_into(ctx, a.out, a.n, [x = a.x, factor = a.factor](i64 i) { return factor * x[i]; });
}

template <class T> void launch(Context<Cpu>& ctx, const Multiply<T>& a) {
  detail::map_into(ctx, a.out, a.n, [x = a.a, y = a.b](i64 i) { return x[i] * y[i]; });
}

template <class F, class T> void launch(Context<Cpu>& ctx, const MapForward<F, T>& a) {
  detail::map_into(ctx, Target<T>{a.y, false}, a.n, [x = a.x](i64 i) { return F::f(x[i]); });
}

template <class F, class T> void launch(Context<Cpu>& ctx, const MapBackward<F, T>& a) {
  detail::map_into(ctx, a.dx, a.n, [x = a.x, dy = a.dy](i64 i) { return dy[i] * F::df(x[i]); });
}

}  // namespace dino::inline DINO_ABI::kernels
