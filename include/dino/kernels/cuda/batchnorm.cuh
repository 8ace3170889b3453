// Batch normalisation for CUDA: statistics in two stages of fixed blocks of rows, then a thread to each 128 bits.
#pragma once

#include <dino/kernels/batchnorm.hpp>
#include <dino/kernels/cuda/reduce.cuh>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class T> struct BatchMean : BatchStatistics<T> {
  DINO_DEVICE float term(i64 r, i64 c) const { return to_acc(this->x[r * this->cols + c]); }
  DINO_DEVICE void finish(i64 c, float sum) const { this->mean[c] = sum / static_cast<float>(this->rows); }
};

template <class T> struct BatchVariance : BatchStatistics<T> {
  DINO_DEVICE float term(i64 r, i64 c) const {
    const float d = to_acc(this->x[r * this->cols + c]) - this->mean[c];
    return d * d;
  }
  DINO_DEVICE void finish(i64 c, float sum) const { this->variance[c] = sum / static_cast<float>(this->rows); }
};

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    batchnorm_apply(const __grid_constant__ BatchNormApply<T> a) {
  const i64 i = width * global_thread(), c = i % a.cols;
  if (i >= a.rows * a.cols) return;
  float x[width], mean[width], variance[width], gamma[width], beta[width];
  load_values<width>(x, a.x + i);
  load_values<width>(mean, a.mean + c);
  load_values<width>(variance, a.variance + c);
  load_values<width>(gamma, a.gamma + c);
  load_values<width>(beta, a.beta + c);
  for (int k = 0; k < width; ++k) {
    x[k] = (x[k] - mean[k]) * inverse_sqrt(variance[k] + a.eps) * gamma[k] + beta[k];
  }
  put_values<width>(Target<T>{a.y}, i, x);
}

/// sum_r dy n, to sums[0] and dgamma.
template <class T> struct BatchNormGamma : BatchNormBackward<T> {
  DINO_DEVICE float term(i64 r, i64 c) const {
    const i64 i = r * this->cols + c;
    const float n = (to_acc(this->x[i]) - this->mean[c]) * inverse_sqrt(this->variance[c] + this->eps);
    return to_acc(this->dy[i]) * n;
  }
  DINO_DEVICE void finish(i64 c, float sum) const {
    this->sums[c] = sum;
    if (this->dgamma) this->dgamma.put(c, sum);
  }
};

/// sum_r dy, to sums[1] and dbeta.
template <class T> struct BatchNormBeta : BatchNormBackward<T> {
  DINO_DEVICE float term(i64 r, i64 c) const { return to_acc(this->dy[r * this->cols + c]); }
  DINO_DEVICE void finish(i64 c, float sum) const {
    this->sums[this->cols + c] = sum;
    if (this->dbeta) this->dbeta.put(c, sum);
  }
};

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    batchnorm_dx(const __grid_constant__ BatchNormBackward<T> a) {
  const i64 i = width * global_thread(), c = i % a.cols;
  if (i >= a.rows * a.cols) return;
  const float inverse = 1 / static_cast<float>(a.rows);
  float dy[width], x[width], gamma[width], mean[width], variance[width], dgamma[width], dbeta[width];
  load_values<width>(dy, a.dy + i);
  load_values<width>(x, a.x + i);
  load_values<width>(gamma, a.gamma + c);
  load_values<width>(mean, a.mean + c);
  load_values<width>(variance, a.variance + c);
  load_values<width>(dgamma, a.sums + c);
  load_values<width>(dbeta, a.sums + a.cols + c);
  for (int k = 0; k < width; ++k) {
    const float rstd = inverse_sqrt(variance[k] + a.eps), n = (x[k] - mean[k]) * rstd;
    dy[k] = gamma[k] * rstd * (dy[k] - inverse * (dbeta[k] + n * dgamma[k]));
  }
  put_values<width>(a.dx, i, dy);
}

template <class A> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    running_statistics(const __grid_constant__ RunningStatistics<A> a) {
  const i64 c = global_thread();
  if (c >= a.cols) return;
  const A unbiased = a.rows > 1 ? static_cast<A>(a.rows) / static_cast<A>(a.rows - 1) : A(1);
  a.running_mean[c] = (1 - a.momentum) * a.running_mean[c] + a.momentum * a.mean[c];
  a.running_variance[c] = (1 - a.momentum) * a.running_variance[c] + a.momentum * unbiased * a.variance[c];
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const BatchStatistics<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "batch norm on CUDA: float and 16-bit numbers only");
  detail::launch_column_sums(ctx, detail::BatchMean<T>{a});
  detail::launch_column_sums(ctx, detail::BatchVariance<T>{a});
}

template <class T> void launch(Context<Cuda>& ctx, const BatchNormApply<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "batch norm on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.y, a.x, a.gamma, a.beta, a.mean, a.variance), [&](auto width) {
    ctx.launch(detail::batchnorm_apply<T, width()>, threads(a.rows * a.cols / width(), detail::reduce_threads), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const BatchNormBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "batch norm on CUDA: float and 16-bit numbers only");
  detail::launch_column_sums(ctx, detail::BatchNormGamma<T>{a});
  detail::launch_column_sums(ctx, detail::BatchNormBeta<T>{a});
  if (!a.dx) return;
  const bool packs = rows_take_packs<T>(a.cols, a.dx.ptr, a.sums, a.dy, a.x, a.gamma, a.mean, a.variance);
  with_run_width<T>(packs, [&](auto width) {
    ctx.launch(detail::batchnorm_dx<T, width()>, threads(a.rows * a.cols / width(), detail::reduce_threads), a);
  });
}

template <class A> void launch(Context<Cuda>& ctx, const RunningStatistics<A>& a) {
  ctx.launch(detail::running_statistics<A>, threads(a.cols, detail::reduce_threads), a);
}

}  // namespace dino::inline DINO_ABI::kernels
