// Sums on the CPU: partial sums per fixed block, added in order.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/reduce.hpp>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const ColumnSum<T>& a) {
  constexpr i64 block_rows = ColumnSum<T>::rows_per_block;
  const i64 cols = a.cols, blocks = ColumnSum<T>::blocks(a.rows);
  parallel_rows(ctx, blocks, block_rows * cols, [&](i64 block) {
    T* const part = a.partial + block * cols;
    std::fill_n(part, cols, T(0));
    const i64 end = std::min(a.rows, (block + 1) * block_rows);
    for (i64 r = block * block_rows; r < end; ++r) {
      const T* const x = a.x + r * cols;
      DINO_IVDEP
      for (i64 c = 0; c < cols; ++c) part[c] += x[c];
    }
  });
  parallel_ranges(ctx, cols, 4096, [&](i64 begin, i64 end) {
    for (i64 c = begin; c < end; ++c) {
      T total = 0;
      for (i64 block = 0; block < blocks; ++block) total += a.partial[block * cols + c];
      a.out.put(c, a.factor * total);
    }
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Sum<T>& a) {
  const i64 blocks = Sum<T>::blocks(a.n);
  ctx.threads().run(blocks, [&](i64 block) {
    const i64 begin = block * Sum<T>::block;
    a.partial[block] = sum(a.x + begin, std::min(a.n - begin, Sum<T>::block));
  });
  T total = 0;
  for (i64 block = 0; block < blocks; ++block) total += a.partial[block];
  a.out.put(0, a.factor * total);
}

template <class T> void launch(Context<Cpu>& ctx, const Spread<T>& a) {
  const T value = a.factor * *a.value;
  parallel_ranges(ctx, a.n, 1 << 14, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) a.y.put(i, value);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
