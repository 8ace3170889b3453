// Linear layer without bias whose weight is normalised row by row: the last layer of the DINO head.
#pragma once

#include <dino/kernels/normalize.hpp>
#include <dino/ops/linear.hpp>
#include <dino/tensor/copy.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct WeightNormLinear {
  struct Attr {};
  struct Saved {
    Tensor<T, D> x, v, g;
    Tensor<acc_t<T>, D> factor, inverse;
  };

  static Tensor<acc_t<T>, D> forward(const Attr&, const Tensor<T, D>& x, const Tensor<T, D>& v, const Tensor<T, D>& g,
                              Saved* keep) {
    require(v.shape().rank() == 2 && v.cols() == x.cols() && g.numel() == v.rows(),
            "weight_norm_linear: x is {}, v is {}, g is {}", x, v, g);
    auto& ctx = x.ctx();
    const i64 outputs = v.rows();
    const Tensor<acc_t<T>, D> factor(ctx, {outputs});
    Tensor<acc_t<T>, D> inverse;
    if (keep) inverse = {ctx, {outputs}};
    launch(ctx, kernels::WeightNormFactor<T>{.factor = factor.data(),
                                             .inverse = inverse.data(),
                                             .v = v.data(),
                                             .g = g.data(),
                                             .rows = outputs,
                                             .cols = v.cols()});
    Tensor<acc_t<T>, D> y(ctx, {x.rows(), outputs});
    // The factor is applied to the product: no normalised weight in memory.
    detail::linear_into(y, x, v, Tensor<T, D>());
    launch(ctx, kernels::ScaleColumns<acc_t<T>>{
                    .y = y.data(), .x = y.data(), .factor = factor.data(), .rows = y.rows(), .cols = outputs});
    if (keep) *keep = {x, v, g, factor, inverse};
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<acc_t<T>, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dv,
                       Grad<acc_t<T>, D> dg) {
    const i64 outputs = s.v.rows(), cols = s.v.cols();
    if (dx.wanted()) {
      const Tensor<acc_t<T>, D> scaled(ctx, dy.shape());
      launch(ctx,
             kernels::ScaleColumns<acc_t<T>>{
                 .y = scaled.data(), .x = dy.data(), .factor = s.factor.data(), .rows = dy.rows(), .cols = outputs});
      detail::linear_dx(dx.open(), operand(scaled), s.v);
    }
    if (!dv.wanted() && !dg.wanted()) return;
    const auto into = dv.open();
    Tensor<acc_t<T>, D> own;  // dw is built where dv will be, unless something stands there already
    if (!into || into.add) own = {ctx, {outputs, cols}};
    acc_t<T>* const dw = own.defined() ? own.data() : into.ptr;
    detail::linear_dw(Target<acc_t<T>>{dw, false}, operand(dy), s.x);
    launch(ctx, kernels::WeightNormBackward<T>{.dv = into,
                                               .dg = dg.open(),
                                               .dw = dw,
                                               .v = s.v.data(),
                                               .g = s.g.data(),
                                               .inverse = s.inverse.data(),
                                               .rows = outputs,
                                               .cols = cols});
  }

 private:
  /// A gradient as a product of T takes it.
  static Tensor<T, D> operand(const Tensor<acc_t<T>, D>& x) {
    if constexpr (std::is_same_v<T, acc_t<T>>) {
      return x;
    } else {
      return cast<T>(x);
    }
  }
};

}  // namespace ops

/// y = x W^T with W_k = g_k v_k / ||v_k||, without eps and without bias.
/// x: (R,C).  v: (K,C).  g: (K) or (K,1).  Returns (R,K) in acc_t<T>: a bf16 logit over a temperature of 0.04 would
/// make probabilities 5 % wrong.
/// dg_k = <dW_k, v_k>/||v_k||,  dv_k = g_k/||v_k|| (dW_k - dg_k v_k/||v_k||),  dx = dy W. Keeps x, v, g and two numbers
/// per output. Source: torch.nn.utils.weight_norm with dim 0; vision_transformer.py, DINOHead.
template <class X> auto weight_norm_linear(const X& x, const auto& v, const auto& g) {
  return apply<ops::WeightNormLinear<typename X::Scalar, typename X::Device>>({}, x, v, g);
}

}  // namespace dino::inline DINO_ABI
