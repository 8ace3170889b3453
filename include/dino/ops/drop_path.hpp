// Stochastic depth: a branch is dropped for whole images.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/tokens.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct DropPath {
  struct Attr {
    double rate = 0;
    Segments segments;
    StepKey key;
    BatchWindow window;
  };
  using Saved = Attr;

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    require(input.rows() == at.segments.rows(), "drop_path: x is {}, {} tokens expected", input, at.segments.rows());
    const auto x = contiguous(input);
    Tensor<T, D> y(x.ctx(), x.shape());
    run(x.ctx(), at, Target<T>{y.data(), false}, x);
    if (keep) *keep = at;
    return y;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) { run(ctx, s, dx.open(), dy); }

 private:
  static void run(Context<D>& ctx, const Attr& at, const Target<T>& out, const Tensor<T, D>& x) {
    launch(ctx, kernels::DropPath<T>{.out = out,
                                     .x = x.data(),
                                     .segments = &at.segments,
                                     .cols = x.cols(),
                                     .key = at.key,
                                     .window = at.window,
                                     .rate = at.rate});
  }
};

}  // namespace ops

namespace detail {

/// The draw of the next branch: none on a Tensor or at rate 0.
template <class T, class D>
typename ops::DropPath<T, D>::Attr draw_drop_path(const Tensor<T, D>&, double, const Segments&) { return {}; }

template <class T, class D>
typename ops::DropPath<T, D>::Attr draw_drop_path(const Var<T, D>& x, double rate, const Segments& segments) {
  require(rate >= 0 && rate < 1, "drop_path: rate {} is outside [0, 1)", rate);
  if (rate == 0) return {};
  return {rate, segments, x.tape->next_key(), x.tape->window()};
}

}  // namespace detail

/// y = x * keep / (1 - rate), one draw per image: P(keep) = 1 - rate. On a Tensor (teacher, evaluation) nothing is
/// dropped. x: (R,C).  rate in [0, 1). Keeps the key, not the mask. Source: Huang et al. 2016; vision_transformer.py,
/// drop_path.
template <class T, class D> Tensor<T, D> drop_path(const Tensor<T, D>& x, double, const Segments&) { return x; }

template <class T, class D> Var<T, D> drop_path(const Var<T, D>& x, double rate, const Segments& segments) {
  const auto draw = detail::draw_drop_path(x, rate, segments);
  return draw.rate == 0 ? x : apply<ops::DropPath<T, D>>(draw, x);
}

}  // namespace dino::inline DINO_ABI
