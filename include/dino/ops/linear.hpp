// Linear layer: y = x W^T + b.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/gemm.hpp>
#include <dino/kernels/reduce.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

/// y (R,N) = x (R,K) W^T + b + residual, W (N,K); b may be undefined, residual (R,N) null. y is of T, or of acc_t<T>:
/// then the sums are not rounded.
template <class Out, class T, class D>
void linear_into(const Tensor<Out, D>& y, const Tensor<T, D>& x, const Tensor<T, D>& w, const Tensor<T, D>& b,
                 const Out* residual = nullptr) {
  launch(x.ctx(), kernels::Gemm<T, Out>{.c = y.data(), .a = x.data(), .b = w.data(), .bias = b.data(),
                                   .m = x.rows(), .n = w.rows(), .k = x.cols(),
                                   .stride_c = y.row_stride(), .stride_a = x.row_stride(), .stride_b = w.row_stride(),
                                   .transpose_a = false, .transpose_b = true, .add = false,
                                   .residual = residual});
}

/// dx = dy W.
template <class T, class D> void linear_dx(const Target<T>& dx, const Tensor<T, D>& dy, const Tensor<T, D>& w) {
  if (!dx) return;
  launch(dy.ctx(), kernels::Gemm<T>{.c = dx.ptr, .a = dy.data(), .b = w.data(), .bias = nullptr,
                                    .m = dy.rows(), .n = w.cols(), .k = w.rows(),
                                    .stride_c = w.cols(), .stride_a = dy.row_stride(), .stride_b = w.row_stride(),
                                    .transpose_a = false, .transpose_b = false, .add = dx.add});
}

/// dW = dy^T x.
template <class T, class D>
void linear_dw(const Target<acc_t<T>>& dw, const Tensor<T, D>& dy, const Tensor<T, D>& x) {
  if (!dw) return;
  launch(dy.ctx(), kernels::Gemm<T, acc_t<T>>{.c = dw.ptr, .a = dy.data(), .b = x.data(), .bias = nullptr,
                                              .m = dy.cols(), .n = x.cols(), .k = x.rows(),
                                              .stride_c = x.cols(), .stride_a = dy.row_stride(),
                                              .stride_b = x.row_stride(),
                                              .transpose_a = true, .transpose_b = false, .add = dw.add});
}

/// out = factor * sum over the rows of x.
template <class T, class D>
void column_sum(const Target<acc_t<T>>& out, const Tensor<T, D>& x, acc_t<T> factor = 1) {
  if (!out) return;
  using Args = kernels::ColumnSum<T>;
  const Tensor<acc_t<T>, D> partial(x.ctx(), {Args::blocks(x.rows()), x.cols()});
  launch(x.ctx(), Args{.out = out, .partial = partial.data(), .x = x.data(), .rows = x.rows(), .cols = x.cols(),
                       .factor = factor});
}

}  // namespace detail

namespace ops {

template <class T, class D> struct Linear {
  struct Attr {};
  struct Saved {
    Tensor<T, D> x, w;
  };

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& x, const Tensor<T, D>& w, const Tensor<T, D>& b,
                              Saved* keep) {
    require(w.shape().rank() == 2 && w.cols() == x.cols() && (!b.defined() || b.shape() == Shape{w.rows()}),
            "linear: x is {}, weight is {}, bias is {}", x, w, b);
    Tensor<T, D> y(x.ctx(), {x.rows(), w.rows()});
    detail::linear_into(y, x, w, b);
    if (keep) *keep = {x, w};
    return y;
  }

  static void backward(Context<D>&, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx, Grad<acc_t<T>, D> dw,
                       Grad<acc_t<T>, D> db) {
    detail::linear_dx(dx.open(), dy, s.w);
    detail::linear_dw(dw.open(), dy, s.x);
    detail::column_sum(db.open(), dy);
  }
};

}  // namespace ops

/// y = x W^T + b.  x: (R,K), a view of columns is welcome.  W: (N,K).  b: (N).  Returns (R,N).
/// dx = dy W,  dW = dy^T x,  db = sum of dy over rows. Throws if shapes differ. Keeps x and W.
template <class X> auto linear(const X& x, const auto& weight, const auto& bias) {
  return apply<ops::Linear<typename X::Scalar, typename X::Device>>({}, x, weight, bias);
}

/// y = x W^T.
template <class X> auto linear(const X& x, const auto& weight) {
  return linear(x, weight, Tensor<typename X::Scalar, typename X::Device>());
}

}  // namespace dino::inline DINO_ABI
