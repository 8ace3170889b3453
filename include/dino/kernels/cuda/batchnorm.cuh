// Batch normalisation for CUDA: statistics in two stages of fixed blocks of rows, then a thread to each value.
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

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    batchnorm_apply(const __grid_constant__ BatchNormApply<T> a) {
  const i64 i = global_thread(), c = i % a.cols;
  if (i >= a.rows * a.cols) return;
  const float n = (to_acc(a.x[i]) - a.mean[c]) * inverse_sqrt(a.variance[c] + a.eps);
  a.y[i] = round_to<T>(n * to_acc(a.gamma[c]) + to_acc(a.beta[c]));
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

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(reduce_threads)
    batchnorm_dx(const __grid_constant__ BatchNormBackward<T> a) {
  const i64 i = global_thread(), c = i % a.cols;
  if (i >= a.rows * a.cols) return;
  const float rstd = inverse_sqrt(a.variance[c] + a.eps), count = static_cast<float>(a.rows);
  const float n = (to_acc(a.x[i]) - a.mean[c]) * rstd;
  const float d = to_acc(a.dy[i]) - a.sums[a.cols + c] / count - n * a.sums[c] / count;
  const float dx = to_acc(a.gamma[c]) * rstd * d;
  put_values<1>(a.dx, i, &dx);
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
  ctx.launch(detail::batchnorm_apply<T>, threads(a.rows * a.cols, detail::reduce_threads), a);
}

template <class T> void launch(Context<Cuda>& ctx, const BatchNormBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "batch norm on CUDA: float and 16-bit numbers only");
  detail::launch_column_sums(ctx, detail::BatchNormGamma<T>{a});
  detail::launch_column_sums(ctx, detail::BatchNormBeta<T>{a});
  if (a.dx) ctx.launch(detail::batchnorm_dx<T>, threads(a.rows * a.cols, detail::reduce_threads), a);
}

template <class A> void launch(Context<Cuda>& ctx, const RunningStatistics<A>& a) {
  ctx.launch(detail::running_statistics<A>, threads(a.cols, detail::reduce_threads), a);
}

}  // namespace dino::inline DINO_ABI::kernels
