// The two-layer perceptron of a transformer block, as one op.
#pragma once

#include <dino/kernels/map.hpp>
#include <dino/ops/linear.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Mlp {
  struct Attr {};
  struct Saved {
    Tensor<T, D> x, hidden, w1, w2;  // hidden: before the GELU, which backward computes again
  };
  using Act = kernels::Gelu;

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& x, const Tensor<T, D>& w1, const Tensor<T, D>& b1,
                              const Tensor<T, D>& w2, const Tensor<T, D>& b2, Saved* keep) {
    require(w1.cols() == x.cols() && w2.cols() == w1.rows() && b1.shape() == Shape{w1.rows()} &&
                b2.shape() == Shape{w2.rows()},
            "mlp: x is {}, weights are {} and {}, biases are {} and {}", x, w1, w2, b1, b2);
    Tensor<T, D> hidden(x.ctx(), {x.rows(), w1.rows()}), y(x.ctx(), {x.rows(), w2.rows()});
    detail::linear_into(hidden, x, w1, b1);
    const Tensor<T, D> active = keep ? Tensor<T, D>(x.ctx(), hidden.shape()) : hidden;
    launch(x.ctx(), kernels::MapForward<Act, T>{.y = active.data(), .x = hidden.data(), .n = hidden.numel()});
    detail::linear_into(y, active, w2, b2);
    if (keep) *keep = {x, hidden, w1, w2};
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dw1,
                       Grad<acc_t<T>, D> db1, Grad<acc_t<T>, D> dw2, Grad<acc_t<T>, D> db2) {
    const i64 n = s.hidden.numel();
    Tensor<T, D> dhidden(ctx, s.hidden.shape());
    if (dw2.wanted()) {
      const Tensor<T, D> active(ctx, s.hidden.shape());
      launch(ctx, kernels::MapForward<Act, T>{.y = active.data(), .x = s.hidden.data(), .n = n});
      detail::linear_dw(dw2.open(), dy, active);
    }
    detail::column_sum(db2.open(), dy);
    detail::linear_dx(Target<T>{dhidden.data(), false}, dy, s.w2);
    launch(ctx, kernels::MapBackward<Act, T>{.dx = {dhidden.data(), false}, .dy = dhidden.data(),
                                             .x = s.hidden.data(), .n = n});
    detail::linear_dx(dx.open(), dhidden, s.w1);
    detail::linear_dw(dw1.open(), dhidden, s.x);
    detail::column_sum(db1.open(), dhidden);
  }
};

}  // namespace ops

/// y = gelu(x W1^T + b1) W2^T + b2, exact GELU.  x: (R,C).  W1: (F,C).  W2: (C,F).  Returns (R,C).
/// Keeps x and the hidden values before the GELU (F a row); the GELU is computed again in backward.
template <class X> auto mlp(const X& x, const auto& w1, const auto& b1, const auto& w2, const auto& b2) {
  return apply<ops::Mlp<typename X::Scalar, typename X::Device>>({}, x, w1, b1, w2, b2);
}

}  // namespace dino::inline DINO_ABI
