// The gate of a SwiGLU perceptron on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/swiglu.hpp>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const SwiGluForward<T>& a) {
  parallel_rows(ctx, a.rows, 2 * a.cols, [&](i64 r) {
    const T *const gate = a.x + 2 * r * a.cols, *const value = gate + a.cols;
    T* const y = a.y + r * a.cols;
    DINO_IVDEP
    for (i64 c = 0; c < a.cols; ++c) y[c] = Silu::f(gate[c]) * value[c];
  });
}

template <class T> void launch(Context<Cpu>& ctx, const SwiGluBackward<T>& a) {
  if (!a.dx) return;
  parallel_rows(ctx, a.rows, 2 * a.cols, [&](i64 r) {
    const T *const gate = a.x + 2 * r * a.cols, *const value = gate + a.cols, *const dy = a.dy + r * a.cols;
    T *const dgate = a.dx.ptr + 2 * r * a.cols, *const dvalue = dgate + a.cols;
    if (a.dx.add) {
      DINO_IVDEP
      for (i64 c = 0; c < a.cols; ++c) {
        dgate[c] += dy[c] * value[c] * Silu::df(gate[c]);
        dvalue[c] += dy[c] * Silu::f(gate[c]);
      }
    } else {
      DINO_IVDEP
      for (i64 c = 0; c < a.cols; ++c) {
        dgate[c] = dy[c] * value[c] * Silu::df(gate[c]);
        dvalue[c] = dy[c] * Silu::f(gate[c]);
      }
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
