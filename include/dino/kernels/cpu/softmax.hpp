// Softmax on the CPU. A row belongs to one thread.
#pragma once

#include <dino/base/math.hpp>
#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/softmax.hpp>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const SoftmaxForward<T>& a) {
  const i64 cols = a.cols;
  const T factor = 1 / a.temperature;
  parallel_rows(ctx, a.rows, 4 * cols, [&](i64 r) {
    const T* const x = a.x + r * cols;
    T* const y = a.y + r * cols;
    exp_shifted_row(y, x, cols, factor, max_over<T>(cols, [x](i64 c) { return x[c]; }));
    const T inverse = 1 / sum(y, cols);
    DINO_IVDEP
    for (i64 c = 0; c < cols; ++c) y[c] *= inverse;
  });
}

template <class T> void launch(Context<Cpu>& ctx, const SoftmaxBackward<T>& a) {
  const i64 cols = a.cols;
  const T factor = 1 / a.temperature;
  parallel_rows(ctx, a.rows, cols, [&](i64 r) {
    const T *const dy = a.dy + r * cols, *const y = a.y + r * cols;
    const T mean = dot(dy, y, cols);
    for (i64 c = 0; c < cols; ++c) a.dx.put(r * cols + c, factor * y[c] * (dy[c] - mean));
  });
}

}  // namespace dino::inline DINO_ABI::kernels
