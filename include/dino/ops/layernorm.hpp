// Layer normalisation: shapes, what is kept, and the chain rule.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/layernorm.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct LayerNorm {
  struct Attr {
    double eps;
  };
  struct Saved {
    Tensor<T, D> x, gamma;
    Tensor<acc_t<T>, D> mean, rstd;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, const Tensor<T, D>& gamma,
                              const Tensor<T, D>& beta, Saved* keep) {
    require(gamma.shape() == Shape{input.cols()} && beta.shape() == gamma.shape(),
            "layernorm: x is {}, gamma is {}, beta is {}", input, gamma, beta);
    const auto x = contiguous(input);
    Tensor<T, D> y(x.ctx(), x.shape());
    if (keep) *keep = {x, gamma, {x.ctx(), {x.rows()}}, {x.ctx(), {x.rows()}}};
    launch(x.ctx(), kernels::LayerNormForward<T>{.y = y.data(),
                                                 .mean = keep ? keep->mean.data() : nullptr,
                                                 .rstd = keep ? keep->rstd.data() : nullptr,
                                                 .x = x.data(),
                                                 .gamma = gamma.data(),
                                                 .beta = beta.data(),
                                                 .rows = x.rows(),
                                                 .cols = x.cols(),
                                                 .eps = static_cast<acc_t<T>>(at.eps)});
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dgamma,
                       Grad<acc_t<T>, D> dbeta) {
    using Args = kernels::LayerNormBackward<T>;
    Tensor<acc_t<T>, D> partial;
    if (dgamma.wanted() || dbeta.wanted()) partial = {ctx, {Args::partial_values(s.x.rows(), s.x.cols())}};
    launch(ctx, Args{.dx = dx.open(),
                     .dgamma = dgamma.open(),
                     .dbeta = dbeta.open(),
                     .partial = partial.data(),
                     .dy = dy.data(),
                     .x = s.x.data(),
                     .gamma = s.gamma.data(),
                     .mean = s.mean.data(),
                     .rstd = s.rstd.data(),
                     .rows = s.x.rows(),
                     .cols = s.x.cols()});
  }
};

}  // namespace ops

/// y = (x - mean) * rstd * gamma + beta over the last axis, rstd = 1/sqrt(var + eps) with the biased variance.
/// x: (...,C).  gamma, beta: (C).  Returns the shape of x. Statistics in acc_t, two-pass.
/// Throws if gamma or beta is not (C). Keeps x, gamma and two numbers a row. Source: Ba et al. 2016.
template <class X> auto layernorm(const X& x, const auto& gamma, const auto& beta, double eps) {
  return apply<ops::LayerNorm<typename X::Scalar, typename X::Device>>({eps}, x, gamma, beta);
}

}  // namespace dino::inline DINO_ABI
