// Batch normalisation over the rows of a matrix.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/batchnorm.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct BatchNorm {
  /// With running statistics given and use_running set, those normalise; else the batch's do, and the running ones
  /// follow.
  struct Attr {
    double eps, momentum;
    Tensor<acc_t<T>, D> running_mean, running_variance;
    bool use_running;
  };
  struct Saved {
    Tensor<T, D> x, gamma;
    Tensor<acc_t<T>, D> mean, variance;
    acc_t<T> eps;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, const Tensor<T, D>& gamma,
                              const Tensor<T, D>& beta, Saved* keep) {
    require(gamma.shape() == Shape{input.cols()} && beta.shape() == gamma.shape(),
            "batchnorm: x is {}, gamma is {}, beta is {}", input, gamma, beta);
    require(!(at.use_running && keep), "batchnorm: running statistics are for evaluation, not for a tape");
    const auto x = contiguous(input);
    auto& ctx = x.ctx();
    auto mean = at.running_mean, variance = at.running_variance;
    if (!at.use_running) {
      using Args = kernels::BatchStatistics<T>;
      require(x.rows() > 1, "batchnorm: {} has one row; batch statistics need two or more", x);
      mean = {ctx, {x.cols()}};
      variance = {ctx, {x.cols()}};
      const Tensor<acc_t<T>, D> partial(ctx, {Args::blocks(x.rows()), x.cols()});
      launch(ctx, Args{.mean = mean.data(),
                       .variance = variance.data(),
                       .partial = partial.data(),
                       .x = x.data(),
                       .rows = x.rows(),
                       .cols = x.cols()});
      launch(ctx, kernels::RunningStatistics<acc_t<T>>{.running_mean = at.running_mean.data(),
                                                       .running_variance = at.running_variance.data(),
                                                       .mean = mean.data(),
                                                       .variance = variance.data(),
                                                       .rows = x.rows(),
                                                       .cols = x.cols(),
                                                       .momentum = static_cast<acc_t<T>>(at.momentum)});
    }
    const auto eps = static_cast<acc_t<T>>(at.eps);
    Tensor<T, D> y(ctx, x.shape());
    launch(ctx, kernels::BatchNormApply<T>{.y = y.data(),
                                           .x = x.data(),
                                           .gamma = gamma.data(),
                                           .beta = beta.data(),
                                           .mean = mean.data(),
                                           .variance = variance.data(),
                                           .rows = x.rows(),
                                           .cols = x.cols(),
                                           .eps = eps});
    if (keep) *keep = {x, gamma, mean, variance, eps};
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dgamma,
                       Grad<acc_t<T>, D> dbeta) {
    using Args = kernels::BatchNormBackward<T>;
    const i64 rows = s.x.rows(), cols = s.x.cols();
    const Tensor<acc_t<T>, D> sums(ctx, {2, cols}), partial(ctx, {2, Args::blocks(rows), cols});
    launch(ctx, Args{.dx = dx.open(),
                     .dgamma = dgamma.open(),
                     .dbeta = dbeta.open(),
                     .sums = sums.data(),
                     .partial = partial.data(),
                     .dy = dy.data(),
                     .x = s.x.data(),
                     .gamma = s.gamma.data(),
                     .mean = s.mean.data(),
                     .variance = s.variance.data(),
                     .rows = rows,
                     .cols = cols,
                     .eps = s.eps});
  }
};

}  // namespace ops

/// y = (x - mean) / sqrt(var + eps) * gamma + beta per column, mean and biased var over the rows.  x: (R,C), R >= 2.
/// running_mean, running_variance: (C); updated as (1 - momentum) running + momentum * batch (variance unbiased), or,
/// with use_running, used in place of the batch's. Keeps x, gamma and the statistics. Source: Ioffe and Szegedy 2015.
template <class X, class A> auto batchnorm(const X& x, const auto& gamma, const auto& beta,
                                           const Tensor<A, typename X::Device>& running_mean,
                                           const Tensor<A, typename X::Device>& running_variance, bool use_running,
                                           double eps = 1e-5, double momentum = 0.1) {
  return apply<ops::BatchNorm<typename X::Scalar, typename X::Device>>(
      {eps, momentum, running_mean, running_variance, use_running}, x, gamma, beta);
}

}  // namespace dino::inline DINO_ABI
