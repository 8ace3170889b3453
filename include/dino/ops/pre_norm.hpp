// The two branches of a pre-norm transformer block, each as one op from norm to residual.
#pragma once

#include <dino/ops/attention.hpp>
#include <dino/ops/drop_path.hpp>
#include <dino/ops/layernorm.hpp>
#include <dino/ops/linear.hpp>
#include <dino/ops/map.hpp>

namespace dino::inline DINO_ABI {

/// What both branches of a block need beside their tensors.
struct PreNormSettings {
  double eps = 1e-6;     // of the layer norm
  double drop_rate = 0;  // of the branch, for whole images, on a Var only
};

namespace ops {

/// y = x + drop(core(norm(x) W_in^T + b_in) W_out^T + b_out), with an op of one operand between two linear layers.
/// One op in place of five or six, because its kernels do more in a pass: the second product adds x, and the backward of
/// the norm adds the gradient that passes the branch by and sums it for b_out. It keeps x, what enters the core, and
/// what the core keeps; the norm's output is computed again.
template <class Core, class T, class D> struct PreNorm {
  struct Attr {
    double eps;
    typename Core::Attr core;
    typename DropPath<T, D>::Attr drop;
  };
  struct Saved {
    Tensor<T, D> x, gamma, beta, w_in, w_out;
    Tensor<acc_t<T>, D> mean, rstd;
    typename Core::Saved core;
    Attr attr;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, const Tensor<T, D>& gamma,
                              const Tensor<T, D>& beta, const Tensor<T, D>& w_in, const Tensor<T, D>& b_in,
                              const Tensor<T, D>& w_out, const Tensor<T, D>& b_out, Saved* keep) {
    require(w_in.shape().rank() == 2 && w_in.cols() == input.cols() && b_in.shape() == Shape{w_in.rows()} &&
                w_out.shape().rank() == 2 && w_out.rows() == input.cols() && b_out.shape() == Shape{w_out.rows()},
            "pre-norm branch: x is {}, weights are {} and {}, biases are {} and {}", input, w_in, w_out, b_in, b_out);
    require(at.drop.rate == 0 || at.drop.segments.rows() == input.rows(), "drop_path: x is {}, {} tokens expected",
            input, at.drop.segments.rows());
    const auto x = contiguous(input);
    auto& ctx = x.ctx();
    typename LayerNorm<T, D>::Saved statistics;
    Tensor<T, D> hidden(ctx, {x.rows(), w_in.rows()}), y(ctx, x.shape());
    detail::linear_into(hidden, LayerNorm<T, D>::forward({at.eps}, x, gamma, beta, keep ? &statistics : nullptr), w_in,
                        b_in);
    typename Core::Saved kept;
    const auto active = Core::forward(at.core, hidden, keep ? &kept : nullptr);
    require(active.cols() == w_out.cols(), "pre-norm branch: {} values a row for a weight {}", active.cols(), w_out);
    if (at.drop.rate == 0) {
      detail::linear_into(y, active, w_out, b_out, x.data());
    } else {
      detail::linear_into(y, active, w_out, b_out);
      drop(at, Target<T>{y.data(), false}, y, x.data());
    }
    if (keep) *keep = {x, gamma, beta, w_in, w_out, statistics.mean, statistics.rstd, std::move(kept), at};
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dgamma,
                       Grad<acc_t<T>, D> dbeta, Grad<acc_t<T>, D> dw_in, Grad<acc_t<T>, D> db_in,
                       Grad<acc_t<T>, D> dw_out, Grad<acc_t<T>, D> db_out) {
    const bool drops = s.attr.drop.rate > 0;
    auto branch = dy;  // the gradient of what the second product gives
    if (drops) {
      branch = {ctx, dy.shape()};
      drop(s.attr, Target<T>{branch.data(), false}, dy, nullptr);
      detail::column_sum(db_out.open(), branch);
    }
    if (dw_out.wanted()) detail::linear_dw(dw_out.open(), branch, Core::output(s.core));
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
                     .dbias = drops ? Target<acc_t<T>>{} : db_out.open()});
    if (in_place) dx.accept(dy);
  }

 private:
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
    detail::linear_dx(Target<T>{dactive.data(), false}, branch, s.w_out);
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

}  // namespace ops

/// x + drop_path(proj(attention(qkv(layernorm(x))))), the first branch of a block.
/// x: (R,C), rows as `segments` lists them.  gamma, beta: (C).  qkv_weight: (3C,C).  proj_weight: (C,C).  Returns (R,C).
/// The same numbers as the ops one after the other, up to one rounding of the sum with x. Keeps 5 C values a row: x, qkv
/// and the result of attention. Source: vision_transformer.py, Block.
template <class X> auto pre_norm_attention(const X& x, const auto& gamma, const auto& beta, const auto& qkv_weight,
                                           const auto& qkv_bias, const auto& proj_weight, const auto& proj_bias,
                                           i64 heads, const Segments& segments, const PreNormSettings& settings = {}) {
  using T = typename X::Scalar;
  using D = typename X::Device;
  return apply<ops::PreNorm<ops::AttentionCore<T, D>, T, D>>(
      {settings.eps, {heads, segments}, detail::draw_drop_path(x, settings.drop_rate, segments)}, x, gamma, beta,
      qkv_weight, qkv_bias, proj_weight, proj_bias);
}

/// x + drop_path(fc2(gelu(fc1(layernorm(x))))), the second branch of a block; exact GELU.
/// x: (R,C).  gamma, beta: (C).  fc1_weight: (F,C).  fc2_weight: (C,F).  Returns (R,C).
/// Keeps x and the F values a row before the GELU. Source: vision_transformer.py, Block.
template <class X> auto pre_norm_mlp(const X& x, const auto& gamma, const auto& beta, const auto& fc1_weight,
                                     const auto& fc1_bias, const auto& fc2_weight, const auto& fc2_bias,
                                     const Segments& segments, const PreNormSettings& settings = {}) {
  using T = typename X::Scalar;
  using D = typename X::Device;
  return apply<ops::PreNorm<ops::GeluCore<T, D>, T, D>>(
      {settings.eps, {}, detail::draw_drop_path(x, settings.drop_rate, segments)}, x, gamma, beta, fc1_weight, fc1_bias,
      fc2_weight, fc2_bias);
}

}  // namespace dino::inline DINO_ABI
