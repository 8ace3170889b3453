// Row norms on the CPU. A row belongs to one thread.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/normalize.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const NormalizeForward<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    const T* const x = a.x + r * a.cols;
    T* const y = a.y + r * a.cols;
    const T norm = std::sqrt(dot(x, x, a.cols));
    const T inverse = 1 / std::max(norm, a.eps);
    for (i64 c = 0; c < a.cols; ++c) y[c] = x[c] * inverse;
    if (a.norm) a.norm[r] = norm;
  });
}

template <class T> void launch(Context<Cpu>& ctx, const NormalizeBackward<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    const T *const dy = a.dy + r * a.cols, *const y = a.y + r * a.cols;
    const T norm = a.norm[r];
    const T along = norm > a.eps ? dot(dy, y, a.cols) : T(0);
    const T inverse = 1 / std::max(norm, a.eps);
    for (i64 c = 0; c < a.cols; ++c) a.dx.put(r * a.cols + c, (dy[c] - y[c] * along) * inverse);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const WeightNormFactor<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 k) {
    const T* const v = a.v + k * a.cols;
    const T inverse = 1 / std::sqrt(dot(v, v, a.cols));
    a.factor[k] = a.g[k] * inverse;
    if (a.inverse) a.inverse[k] = inverse;
  });
}

template <class T> void launch(Context<Cpu>& ctx, const ScaleColumns<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    const T* const x = a.x + r * a.cols;
    T* const y = a.y + r * a.cols;
    DINO_IVDEP
    for (i64 k = 0; k < a.cols; ++k) y[k] = x[k] * a.factor[k];
  });
}

template <class T> void launch(Context<Cpu>& ctx, const WeightNormBackward<T>& a) {
  parallel_rows(ctx, a.rows, 2 * a.cols, [&](i64 k) {
    const T *const dw = a.dw + k * a.cols, *const v = a.v + k * a.cols;
    const T inverse = a.inverse[k];
    const T dg = dot(dw, v, a.cols) * inverse;
    if (a.dg) a.dg.put(k, dg);
    if (!a.dv) return;
    const T factor = a.g[k] * inverse, along = dg * inverse;
    for (i64 c = 0; c < a.cols; ++c) a.dv.put(k * a.cols + c, factor * (dw[c] - along * v[c]));
  });
}

}  // namespace dino::inline DINO_ABI::kernels
