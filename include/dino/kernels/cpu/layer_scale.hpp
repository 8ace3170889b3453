// LayerScale folded into a linear layer, on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/layer_scale.hpp>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const LayerScaleForward<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    const T gamma = a.gamma[r];
    const T* const w = a.w + r * a.cols;
    T* const scaled = a.scaled_w + r * a.cols;
    DINO_IVDEP
    for (i64 k = 0; k < a.cols; ++k) scaled[k] = gamma * w[k];
    a.scaled_b[r] = gamma * a.b[r];
  });
}

template <class T> void launch(Context<Cpu>& ctx, const LayerScaleBackward<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    const T gamma = a.gamma[r], db = a.dscaled_b[r];
    const i64 first = r * a.cols;
    if (a.dgamma) a.dgamma.put(r, dot(a.w + first, a.dscaled_w + first, a.cols) + a.b[r] * db);
    if (a.db) a.db.put(r, gamma * db);
    if (!a.dw) return;
    const T* const dscaled = a.dscaled_w + first;
    T* const dw = a.dw.ptr + first;
    if (a.dw.add) {
      DINO_IVDEP
      for (i64 k = 0; k < a.cols; ++k) dw[k] += gamma * dscaled[k];
    } else {
      DINO_IVDEP
      for (i64 k = 0; k < a.cols; ++k) dw[k] = gamma * dscaled[k];
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
