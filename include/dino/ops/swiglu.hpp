// The gate of a SwiGLU perceptron.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/swiglu.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct SwiGlu {
  struct Attr {};
  struct Saved {
    Tensor<T, D> x;
  };

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& input, Saved* keep) {
    require(input.cols() % 2 == 0, "swiglu: x is {}, an even number of columns expected", input);
    const auto x = contiguous(input);
    const i64 cols = x.cols() / 2;
    Tensor<T, D> y(x.ctx(), {x.rows(), cols});
    launch(x.ctx(), kernels::SwiGluForward<T>{.y = y.data(), .x = x.data(), .rows = x.rows(), .cols = cols});
    if (keep) keep->x = x;
    return y;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    launch(ctx, kernels::SwiGluBackward<T>{
                    .dx = dx.open(), .dy = dy.data(), .x = s.x.data(), .rows = dy.rows(), .cols = dy.cols()});
  }
};

}  // namespace ops

/// silu(x1) * x2 of x = [x1, x2], silu(x) = x / (1 + exp(-x)).  x: (R,2C).  Returns (R,C). Throws if the columns are
/// not even in number. Keeps x. Source: Shazeer 2020; swiglu_ffn.py of DINOv2.
template <class X> auto swiglu(const X& x) { return apply<ops::SwiGlu<typename X::Scalar, typename X::Device>>({}, x); }

}  // namespace dino::inline DINO_ABI
