// Batch normalisation on the CPU: partial sums per fixed block of rows, added in order.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/batchnorm.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// out_c = sum_r f(r, c), first into partial, a block of rows at a time.
template <class T, class F>
void batch_column_sums(Context<Cpu>& ctx, T* out, T* partial, i64 rows, i64 cols, i64 rows_per_block, F f) {
  const i64 blocks = (rows + rows_per_block - 1) / rows_per_block;
  ctx.threads().run(blocks, [&](i64 block) {
    T* const part = partial + block * cols;
    std::fill_n(part, cols, T(0));
    const i64 end = std::min(rows, (block + 1) * rows_per_block);
    for (i64 r = block * rows_per_block; r < end; ++r) {
      DINO_IVDEP
      for (i64 c = 0; c < cols; ++c) part[c] += f(r, c);
    }
  });
  for (i64 c = 0; c < cols; ++c) {
    out[c] = 0;
    for (i64 block = 0; block < blocks; ++block) out[c] += partial[block * cols + c];
  }
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const BatchStatistics<T>& a) {
  const T inverse = 1 / static_cast<T>(a.rows);
  const auto average = [&](T* out, auto f) {
    detail::batch_column_sums(ctx, out, a.partial, a.rows, a.cols, BatchStatistics<T>::rows_per_block, f);
    for (i64 c = 0; c < a.cols; ++c) out[c] *= inverse;
  };
  average(a.mean, [&](i64 r, i64 c) { return a.x[r * a.cols + c]; });
  average(a.variance, [&](i64 r, i64 c) {
    const T d = a.x[r * a.cols + c] - a.mean[c];
    return d * d;
  });
}

template <class T> void launch(Context<Cpu>& ctx, const BatchNormApply<T>& a) {
  parallel_rows(ctx, a.rows, a.cols, [&](i64 r) {
    DINO_IVDEP
    for (i64 c = 0; c < a.cols; ++c) {
      const T rstd = 1 / std::sqrt(a.variance[c] + a.eps);
      a.y[r * a.cols + c] = (a.x[r * a.cols + c] - a.mean[c]) * rstd * a.gamma[c] + a.beta[c];
    }
  });
}

template <class T> void launch(Context<Cpu>& ctx, const BatchNormBackward<T>& a) {
  const i64 cols = a.cols, block = BatchNormBackward<T>::rows_per_block, blocks = a.blocks(a.rows);
  T *const dgamma = a.sums, *const dbeta = a.sums + cols;
  const auto normalised = [&](i64 r, i64 c) {
    return (a.x[r * cols + c] - a.mean[c]) * (1 / std::sqrt(a.variance[c] + a.eps));
  };
  detail::batch_column_sums(ctx, dgamma, a.partial, a.rows, cols, block,
                            [&](i64 r, i64 c) { return a.dy[r * cols + c] * normalised(r, c); });
  detail::batch_column_sums(ctx, dbeta, a.partial + blocks * cols, a.rows, cols, block,
                            [&](i64 r, i64 c) { return a.dy[r * cols + c]; });
  if (a.dx) {
    const T inverse = 1 / static_cast<T>(a.rows);
    parallel_rows(ctx, a.rows, cols, [&](i64 r) {
      for (i64 c = 0; c < cols; ++c) {
        const T rstd = 1 / std::sqrt(a.variance[c] + a.eps);
        const T g = a.dy[r * cols + c] - inverse * (dbeta[c] + normalised(r, c) * dgamma[c]);
        a.dx.put(r * cols + c, a.gamma[c] * rstd * g);
      }
    });
  }
  for (i64 c = 0; c < cols; ++c) {
    if (a.dgamma) a.dgamma.put(c, dgamma[c]);
    if (a.dbeta) a.dbeta.put(c, dbeta[c]);
  }
}

template <class A> void launch(Context<Cpu>&, const RunningStatistics<A>& a) {
  const A unbiased = static_cast<A>(a.rows) / static_cast<A>(std::max<i64>(1, a.rows - 1));
  for (i64 c = 0; c < a.cols; ++c) {
    a.running_mean[c] += a.momentum * (a.mean[c] - a.running_mean[c]);
    a.running_variance[c] += a.momentum * (unbiased * a.variance[c] - a.running_variance[c]);
  }
}

}  // namespace dino::inline DINO_ABI::kernels
