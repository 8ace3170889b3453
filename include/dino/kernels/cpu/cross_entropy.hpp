// Cross-entropy on the CPU: a row belongs to one thread.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/cross_entropy.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const CrossEntropyForward<T>& a) {
  parallel_rows(ctx, a.rows, 4 * a.cols, [&](i64 r) {
    const T* const x = a.x + r * a.cols;
    const T largest = max_over<T>(a.cols, [x](i64 c) { return x[c]; });
    const T log_sum = std::log(exp_sum(x, a.cols, T(1), largest));
    const T mean = sum_over<T>(a.cols, [=](i64 c) { return x[c] - largest; }) / static_cast<T>(a.cols);
    // Differences from the largest: as large as the loss itself, whatever the logits are.
    const T share = a.other ? a.share[r] : T(1);
    T own = share * (x[a.label[r]] - largest);
    if (a.other) own += (1 - share) * (x[a.other[r]] - largest);
    a.row_loss[r] = log_sum - (1 - a.smoothing) * own - a.smoothing * mean;
    if (a.lse) a.lse[r] = largest + log_sum;
  });
  *a.loss = sum(a.row_loss, a.rows) / static_cast<T>(a.rows);
}

template <class T> void launch(Context<Cpu>& ctx, const CrossEntropyBackward<T>& a) {
  if (!a.dx) return;
  const T factor = *a.dloss / static_cast<T>(a.rows), even = a.smoothing / static_cast<T>(a.cols);
  parallel_rows(ctx, a.rows, 4 * a.cols, [&](i64 r) {
    constexpr i64 stretch = 512;
    const i64 label = a.label[r], other = a.other ? a.other[r] : -1;
    const T share = a.other ? a.share[r] : T(1);
    T p[stretch];
    for (i64 first = 0; first < a.cols; first += stretch) {
      const i64 count = std::min(stretch, a.cols - first), at = r * a.cols + first;
      exp_row(p, a.x + at, count, T(1), a.lse[r]);
      if (label >= first && label < first + count) p[label - first] -= (1 - a.smoothing) * share;
      if (other >= first && other < first + count) p[other - first] -= (1 - a.smoothing) * (1 - share);
      for (i64 c = 0; c < count; ++c) a.dx.put(at + c, factor * (p[c] - even));
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
