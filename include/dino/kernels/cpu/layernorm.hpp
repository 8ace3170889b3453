// Layer normalisation on the CPU. A row belongs to one thread, a block of rows to one partial sum.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/layernorm.hpp>
#include <dino/kernels/reduce.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

template <class T> void launch(Context<Cpu>& ctx, const LayerNormForward<T>& a) {
  const i64 cols = a.cols;
  parallel_rows(ctx, a.rows, cols, [&](i64 r) {
    const T* const x = a.x + r * cols;
    T* const y = a.y + r * cols;
    const T mean = sum(x, cols) / static_cast<T>(cols);
    const T square = sum_over<T>(cols, [=](i64 c) { return (x[c] - mean) * (x[c] - mean); });
    const T rstd = 1 / std::sqrt(square / static_cast<T>(cols) + a.eps);
    DINO_IVDEP
    for (i64 c = 0; c < cols; ++c) y[c] = (x[c] - mean) * rstd * a.gamma[c] + a.beta[c];
    if (a.mean) {
      a.mean[r] = mean;
      a.rstd[r] = rstd;
    }
  });
}

namespace detail {

template <class T> void layernorm_dx_row(const LayerNormBackward<T>& a, i64 r) {
  const i64 cols = a.cols;
  const T *const x = a.x + r * cols, *const dy = a.dy + r * cols, *const gamma = a.gamma;
  T* const dx = a.dx.ptr + r * cols;
  const T mean = a.mean[r], rstd = a.rstd[r];
  const T g = sum_over<T>(cols, [=](i64 c) { return dy[c] * gamma[c]; }) / static_cast<T>(cols);
  const T gn = sum_over<T>(cols, [=](i64 c) { return dy[c] * gamma[c] * ((x[c] - mean) * rstd); }) /
               static_cast<T>(cols);
  const auto write = [&](auto plus) {
    DINO_IVDEP
    for (i64 c = 0; c < cols; ++c) dx[c] = plus(c) + rstd * (dy[c] * gamma[c] - g - (x[c] - mean) * rstd * gn);
  };
  const T* const residual = a.residual ? a.residual + r * cols : nullptr;
  if (residual && a.dx.add) {
    write([=](i64 c) { return dx[c] + residual[c]; });
  } else if (residual) {
    write([=](i64 c) { return residual[c]; });
  } else if (a.dx.add) {
    write([=](i64 c) { return dx[c]; });
  } else {
    write([](i64) { return T(0); });
  }
}

/// First stage of dgamma and dbeta: the sums over one block of rows.
template <class T> void layernorm_partial(const LayerNormBackward<T>& a, i64 block, i64 begin, i64 end) {
  const i64 cols = a.cols, blocks = LayerNormBackward<T>::blocks(a.rows);
  T* const dgamma = a.partial + block * cols;
  T* const dbeta = a.partial + (blocks + block) * cols;
  std::fill_n(dgamma, cols, T(0));
  std::fill_n(dbeta, cols, T(0));
  for (i64 r = begin; r < end; ++r) {
    const T *const x = a.x + r * cols, *const dy = a.dy + r * cols;
    const T mean = a.mean[r], rstd = a.rstd[r];
    DINO_IVDEP
    for (i64 c = 0; c < cols; ++c) {
      dgamma[c] += dy[c] * ((x[c] - mean) * rstd);
      dbeta[c] += dy[c];
    }
  }
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const LayerNormBackward<T>& a) {
  constexpr i64 block_rows = LayerNormBackward<T>::rows_per_block;
  const i64 cols = a.cols, blocks = LayerNormBackward<T>::blocks(a.rows);
  if (a.dbias) {  // before dx, which may take the place of the residual
    launch(ctx, ColumnSum<T>{.out = a.dbias,
                             .partial = a.partial + 2 * blocks * cols,
                             .x = a.residual,
                             .rows = a.rows,
                             .cols = cols,
                             .factor = 1});
  }
  ctx.threads().run(blocks, [&](i64 block) {
    const i64 begin = block * block_rows, end = std::min(a.rows, begin + block_rows);
    if (a.dx) {
      for (i64 r = begin; r < end; ++r) detail::layernorm_dx_row(a, r);
    }
    if (a.dgamma || a.dbeta) detail::layernorm_partial(a, block, begin, end);
  });
  const auto second_stage = [&](const Target<T>& out, const T* partial) {
    if (!out) return;
    for (i64 c = 0; c < cols; ++c) {
      T total = 0;
      for (i64 block = 0; block < blocks; ++block) total += partial[block * cols + c];
      out.put(c, total);
    }
  };
  second_stage(a.dgamma, a.partial);
  second_stage(a.dbeta, a.partial + blocks * cols);
}

}  // namespace dino::inline DINO_ABI::kernels
