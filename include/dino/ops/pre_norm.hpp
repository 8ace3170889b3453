// The two branches of a pre-norm transformer block, each as one op from norm to residual.
#pragma once

#include <dino/kernels/layer_scale.hpp>
#include <dino/ops/attention.hpp>
#include <dino/ops/drop_path.hpp>
#include <dino/ops/layernorm.hpp>
#include <dino/ops/linear.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/swiglu.hpp>

namespace dino::inline DINO_ABI {

/// What both branches of a block need beside their tensors.
struct PreNormSettings {
  double eps = 1e-6;     // of the layer norm
  double drop_rate = 0;  // of the branch, for whole images, on a Var only
};

namespace ops {

/// y = x + drop(scale * (core(norm(x) W_in^T + b_in) W_out^T + b_out)), with an op of one operand between two linear
/// layers. scale: one number a channel (LayerScale), or undefined: none.
/// One op in place of five or six, because its kernels do more in a pass: the second product adds x, and the backward
/// of the norm adds the gradient that passes the branch by and sums it for b_out. The scale is multiplied into W_out
/// and b_out: no pass over activations, and none kept for its gradient. Kept are x, what enters the core, and what the
/// core keeps; the norm's output is computed again.
template <class Core, class T, class D> struct PreNorm {
  struct Attr {
    double eps;
    typename Core::Attr core;
    typename DropPath<T, D>::Attr drop;
  };
  struct Saved {
    Tensor<T, D> x, gamma, beta, w_in, w_out, b_out, scale;  // b_out: with a scale only
    Tensor<acc_t<T>, D> mean, rstd;
    typename Core::Saved core;
    Attr attr;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, const Tensor<T, D>& gamma,
                              const Tensor<T, D>& beta, const Tensor<T, D>& w_in, const Tensor<T, D>& b_in,
                              const Tensor<T, D>& w_out, const Tensor<T, D>& b_out, const Tensor<T, D>& scale,
                              Saved* keep) {
    require(w_in.shape().rank() == 2 && w_in.cols() == input.cols() && b_in.shape() == Shape{w_in.rows()} &&
                w_out.shape().rank() == 2 && w_out.rows() == input.cols() && b_out.shape() == Shape{w_out.rows()},
            "pre-norm branch: x is {}, weights are {} and {}, biases are {} and {}", input, w_in, w_out, b_in, b_out);
    require(at.drop.rate == 0 || at.drop.segments.rows() == input.rows(), "drop_path: x is {}, {} tokens expected",
            input, at.drop.segments.rows());
    require(!scale.defined() || scale.shape() == Shape{input.cols()}, "layer scale: x is {}, gamma is {}", input,
            scale);
    const auto x = contiguous(input), w_second = contiguous(w_out);
    auto& ctx = x.ctx();
    typename LayerNorm<T, D>::Saved statistics;
    Tensor<T, D> hidden(ctx, {x.rows(), w_in.rows()}), y(ctx, x.shape());
    detail::linear_into(hidden, LayerNorm<T, D>::forward({at.eps}, x, gamma, beta, keep ? &statistics : nullptr), w_in,
                        b_in);
    typename Core::Saved kept;
    const auto active = Core::forward(at.core, hidden, keep ? &kept : nullptr);
    require(active.cols() == w_out.cols(), "pre-norm branch: {} values a row for a weight {}", active.cols(), w_out);
    const Rows out = scaled_rows(w_second, b_out, scale);
    if (at.drop.rate == 0) {
      detail::linear_into(y, active, out.weight, out.bias, x.data());
    } else {
      detail::linear_into(y, active, out.weight, out.bias);
      drop(at, Target<T>{y.data(), false}, y, x.data());
    }
    if (keep) {
      *keep = {x, gamma, beta, w_in, w_second, scale.defined() ? b_out : scale, scale, statistics.mean, statistics.rstd,
               std::move(kept), at};
    }
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dgamma,
                       Grad<acc_t<T>, D> dbeta, Grad<acc_t<T>, D> dw_in, Grad<acc_t<T>, D> db_in,
                       Grad<acc_t<T>, D> dw_out, Grad<acc_t<T>, D> db_out, Grad<acc_t<T>, D> dscale) {
    const bool drops = s.attr.drop.rate > 0, scaled = s.scale.defined();
    Tensor<acc_t<T>, D> dw_scaled, db_scaled;  // gradients of the second layer's rows as they were applied
    if (scaled) dw_scaled = {ctx, s.w_out.shape()}, db_scaled = {ctx, s.b_out.shape()};
    const auto into_w = [&] { return scaled ? Target<acc_t<T>>{dw_scaled.data(), false} : dw_out.open(); };
    const auto into_b = [&] { return scaled ? Target<acc_t<T>>{db_scaled.data(), false} : db_out.open(); };
    auto branch = dy;  // the gradient of what the second product gives
    if (drops) {
      branch = {ctx, dy.shape()};
      drop(s.attr, Target<T>{branch.data(), false}, dy, nullptr);
      detail::column_sum(into_b(), branch);
    }
    if (dw_out.wanted() || dscale.wanted()) detail::linear_dw(into_w(), branch, Core::output(s.core));
    const auto dhidden = core_backward(ctx, s, branch);
    branch = {};
    detail::column_sum(db_in.open(), dhidden);
    if (dw_in.wanted()) {
      detail::linear_dw(dw_in.open(), dhidden, LayerNorm<T, D>::forward({s.attr.eps}, s.x, s.gamma, s.beta, nullptr));
    }
    const Tensor<T, D> dnorm(ctx, s.x.shape());
    detail::linear_dx(Target<T>{dnorm.data(), false}, dhidden, s.w_in);
    const bool in_place = dx.wanted() && dy.use_count() == 1;  // nobody else reads dy: its memory becomes dx
    using Args = kernels::LayerNormBackward<T>;
    const Tensor<acc_t<T>, D> partial(ctx, {Args::partial_values(s.x.rows(), s.x.cols())});
    launch(ctx, Args{.dx = in_place ? Target<T>{dy.data(), false} : dx.open(),
                     .dgamma = dgamma.open(),
                     .dbeta = dbeta.open(),
                     .partial = partial.data(),
                     .dy = dnorm.data(),
                     .x = s.x.data(),
                     .gamma = s.gamma.data(),
                     .mean = s.mean.data(),
                     .rstd = s.rstd.data(),
                     .rows = s.x.rows(),
                     .cols = s.x.cols(),
                     .residual = dy.data(),
                     .dbias = drops ? Target<acc_t<T>>{} : into_b()});
    if (scaled) {
      launch(ctx, kernels::LayerScaleBackward<T>{.dw = dw_out.open(),
                                                 .db = db_out.open(),
                                                 .dgamma = dscale.open(),
                                                 .dscaled_w = dw_scaled.data(),
                                                 .dscaled_b = db_scaled.data(),
                                                 .w = s.w_out.data(),
                                                 .b = s.b_out.data(),
                                                 .gamma = s.scale.data(),
                                                 .rows = s.w_out.rows(),
                                                 .cols = s.w_out.cols()});
    }
    if (in_place) dx.accept(dy);
  }

 private:
  /// The second linear layer as it is applied.
  struct Rows {
    Tensor<T, D> weight, bias;
  };
  static Rows scaled_rows(const Tensor<T, D>& w, const Tensor<T, D>& b, const Tensor<T, D>& scale) {
    if (!scale.defined()) return {w, b};
    const Rows scaled{{w.ctx(), w.shape()}, {w.ctx(), b.shape()}};
    launch(w.ctx(), kernels::LayerScaleForward<T>{.scaled_w = scaled.weight.data(),
                                                  .scaled_b = scaled.bias.data(),
                                                  .w = w.data(),
                                                  .b = b.data(),
                                                  .gamma = scale.data(),
                                                  .rows = w.rows(),
                                                  .cols = w.cols()});
    return scaled;
  }

  static void drop(const Attr& at, const Target<T>& out, const Tensor<T, D>& x, const T* residual) {
    launch(x.ctx(), kernels::DropPath<T>{.out = out,
                                         .x = x.data(),
                                         .segments = &at.drop.segments,
                                         .cols = x.cols(),
                                         .key = at.drop.key,
                                         .window = at.drop.window,
                                         .rate = at.drop.rate,
                                         .residual = residual});
  }

  /// The gradient of what enters the core. A core whose result has the shape of its operand overwrites its gradient.
  static Tensor<T, D> core_backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& branch) {
    const Tensor<T, D> dactive(ctx, {branch.rows(), s.w_out.cols()});
    detail::linear_dx(Target<T>{dactive.data(), false}, branch, scaled_rows(s.w_out, s.b_out, s.scale).weight);
    GradSlot<D> slot;
    slot.ctx = &ctx;
    slot.shape = {branch.rows(), s.w_in.rows()};
    if (slot.shape == dactive.shape()) {
      slot.storage = dactive.storage();
      slot.data = dactive.data();
    }
    Core::backward(ctx, s.core, dactive, Sink<D>{&slot});
    s.core = {};
    return slot.template tensor<T>();
  }
};

template <class T, class D> struct AttentionCore : Attention<T, D> {
  static Tensor<T, D> output(const typename Attention<T, D>::Saved& s) { return s.out; }
};

/// Keeps what enters the GELU only.
template <class T, class D> struct GeluCore : Map<kernels::Gelu, T, D> {
  static Tensor<T, D> output(const typename Map<kernels::Gelu, T, D>::Saved& s) {
    return Map<kernels::Gelu, T, D>::forward({}, s.x, nullptr);
  }
};

/// Keeps what enters the gate only.
template <class T, class D> struct SwiGluCore : SwiGlu<T, D> {
  static Tensor<T, D> output(const typename SwiGlu<T, D>::Saved& s) { return SwiGlu<T, D>::forward({}, s.x, nullptr); }
};

}  // namespace ops

namespace detail {

template <template <class, class> class Core, class X, class... Operands>
auto pre_norm(const typename Core<typename X::Scalar, typename X::Device>::Attr& core, const Segments& segments,
              const PreNormSettings& settings, const X& x, const Operands&... operands) {
  using T = typename X::Scalar;
  using D = typename X::Device;
  return apply<ops::PreNorm<Core<T, D>, T, D>>(
      {settings.eps, core, draw_drop_path(x, settings.drop_rate, segments)}, x, operands...);
}

template <class X> Tensor<typename X::Scalar, typename X::Device> no_scale(const X&) { return {}; }

}  // namespace detail

/// x + drop_path(scale * proj(attention(qkv(layernorm(x))))), the first branch of a block.
/// x: (R,C), rows as `segments` lists them.  gamma, beta: (C).  qkv_weight: (3C,C).  proj_weight: (C,C).
/// layer_scale: (C), or undefined: none.  Returns (R,C).
/// The same numbers as the ops one after the other, up to one rounding of the sum with x, and one of the scaled rows of
/// proj. Keeps 5 C values a row: x, qkv and the result of attention. Source: vision_transformer.py, Block; LayerScale:
/// Touvron et al. 2021, layer_scale.py of DINOv2.
template <class X> auto pre_norm_attention(const X& x, const auto& gamma, const auto& beta, const auto& qkv_weight,
                                           const auto& qkv_bias, const auto& proj_weight, const auto& proj_bias,
                                           const auto& layer_scale, i64 heads, const Segments& segments,
                                           const PreNormSettings& settings) {
  return detail::pre_norm<ops::AttentionCore>({heads, segments}, segments, settings, x, gamma, beta, qkv_weight,
                                              qkv_bias, proj_weight, proj_bias, layer_scale);
}
template <class X> auto pre_norm_attention(const X& x, const auto& gamma, const auto& beta, const auto& qkv_weight,
                                           const auto& qkv_bias, const auto& proj_weight, const auto& proj_bias,
                                           i64 heads, const Segments& segments, const PreNormSettings& settings = {}) {
  return pre_norm_attention(x, gamma, beta, qkv_weight, qkv_bias, proj_weight, proj_bias, detail::no_scale(x), heads,
                            segments, settings);
}

/// x + drop_path(scale * fc2(gelu(fc1(layernorm(x))))), the second branch of a block; exact GELU.
/// x: (R,C).  gamma, beta: (C).  fc1_weight: (F,C).  fc2_weight: (C,F).  layer_scale: (C) or undefined.  Returns (R,C).
/// Keeps x and the F values a row before the GELU. Source: vision_transformer.py, Block.
template <class X> auto pre_norm_mlp(const X& x, const auto& gamma, const auto& beta, const auto& fc1_weight,
                                     const auto& fc1_bias, const auto& fc2_weight, const auto& fc2_bias,
                                     const auto& layer_scale, const Segments& segments,
                                     const PreNormSettings& settings) {
  return detail::pre_norm<ops::GeluCore>({}, segments, settings, x, gamma, beta, fc1_weight, fc1_bias, fc2_weight,
                                         fc2_bias, layer_scale);
}
template <class X> auto pre_norm_mlp(const X& x, const auto& gamma, const auto& beta, const auto& fc1_weight,
                                     const auto& fc1_bias, const auto& fc2_weight, const auto& fc2_bias,
                                     const Segments& segments, const PreNormSettings& settings = {}) {
  return pre_norm_mlp(x, gamma, beta, fc1_weight, fc1_bias, fc2_weight, fc2_bias, detail::no_scale(x), segments,
                      settings);
}

/// x + drop_path(scale * w3(silu(x1) * x2)), [x1, x2] = w12(layernorm(x)): the second branch with a gated perceptron.
/// x: (R,C).  gamma, beta: (C).  w12_weight: (2F,C).  w3_weight: (C,F).  layer_scale: (C) or undefined.  Returns (R,C).
/// Keeps x and the 2F values a row before the gate. Source: swiglu_ffn.py of DINOv2.
template <class X> auto pre_norm_swiglu(const X& x, const auto& gamma, const auto& beta, const auto& w12_weight,
                                        const auto& w12_bias, const auto& w3_weight, const auto& w3_bias,
                                        const auto& layer_scale, const Segments& segments,
                                        const PreNormSettings& settings) {
  return detail::pre_norm<ops::SwiGluCore>({}, segments, settings, x, gamma, beta, w12_weight, w12_bias, w3_weight,
                                           w3_bias, layer_scale);
}

}  // namespace dino::inline DINO_ABI
