// Token matrices on the CPU.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/tokens.hpp>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const AssembleTokens<T>& a) {
  const i64 special = 1 + a.register_count, tokens = special + a.n;
  parallel_rows(ctx, a.images * tokens, a.cols, [&](i64 r) {
    const i64 j = r % tokens, image = r / tokens;
    T* const out = a.out + r * a.cols;
    if (j > 0 && j < special) {
      std::copy_n(a.registers + (j - 1) * a.cols, a.cols, out);
      return;
    }
    const T* const x = j == 0 ? a.cls : a.patches + (image * a.n + j - special) * a.cols;
    const T* const position = j == 0 ? a.first : a.positions + (j - special) * a.cols;
    for (i64 c = 0; c < a.cols; ++c) out[c] = x[c] + position[c];
  });
}

template <class T> void launch(Context<Cpu>& ctx, const AssembleTokensBackward<T>& a) {
  const i64 special = 1 + a.register_count, tokens = special + a.n;
  parallel_rows(ctx, tokens, a.images * a.cols, [&](i64 j) {
    T* const total = a.dsum ? a.dsum + j * a.cols : nullptr;
    if (total) std::fill_n(total, a.cols, T(0));
    for (i64 image = 0; image < a.images; ++image) {
      const T* const dout = a.dout + (image * tokens + j) * a.cols;
      if (total) {
        for (i64 c = 0; c < a.cols; ++c) total[c] += dout[c];
      }
      if (a.dpatches && j >= special) {
        const i64 row = (image * a.n + j - special) * a.cols;
        for (i64 c = 0; c < a.cols; ++c) a.dpatches.put(row + c, dout[c]);
      }
    }
  });
}

template <class T> void launch(Context<Cpu>& ctx, const DropPath<T>& a) {
  i64 first = 0;
  const T inverse = static_cast<T>(1 / (1 - a.rate));
  const RngKey key = a.key.get();
  for (const auto& s : *a.segments) {
    parallel_rows(ctx, s.images, s.tokens * a.cols, [&](i64 image) {
      const bool keep = static_cast<double>(key.uniform(static_cast<u64>(first + a.window.number(image)))) >= a.rate;
      const T factor = keep ? inverse : T(0);
      const i64 begin = (s.row + image * s.tokens) * a.cols;
      const i64 end = begin + s.tokens * a.cols;
      for (i64 i = begin; i < end; ++i) a.out.put(i, factor * a.x[i]);
      if (!a.residual) return;
      for (i64 i = begin; i < end; ++i) a.out.ptr[i] += a.residual[i];
    });
    first += a.window.images == 0 ? s.images : s.images / a.window.images * a.window.batch;
  }
}

template <class T> void launch(Context<Cpu>& ctx, const GatherRows<T>& a) {
  parallel_rows(ctx, a.n, a.cols, [&](i64 i) { std::copy_n(a.x + a.index[i] * a.cols, a.cols, a.y + i * a.cols); });
}

template <class T> void launch(Context<Cpu>& ctx, const GatherRowsBackward<T>& a) {
  if (!a.dx.add) {
    parallel_ranges(ctx, a.rows * a.cols, 1 << 16,
                    [&](i64 begin, i64 end) { std::fill(a.dx.ptr + begin, a.dx.ptr + end, T(0)); });
  }
  for (i64 i = 0; i < a.n; ++i) {
    T* const dx = a.dx.ptr + a.index[i] * a.cols;
    const T* const dy = a.dy + i * a.cols;
    for (i64 c = 0; c < a.cols; ++c) dx[c] += dy[c];
  }
}

}  // namespace dino::inline DINO_ABI::kernels
