// L2 normalisation of rows.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/normalize.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Normalize {
  struct Attr {
    double eps;
  };
  struct Saved {
    Tensor<T, D> y;
    Tensor<acc_t<T>, D> norm;
    acc_t<T> eps;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    const auto x = contiguous(input);
    const auto eps = static_cast<acc_t<T>>(at.eps);
    Tensor<T, D> y(x.ctx(), x.shape());
    if (keep) *keep = {y, {x.ctx(), {x.rows()}}, eps};
    launch(x.ctx(), kernels::NormalizeForward<T>{.y = y.data(),
                                                 .norm = keep ? keep->norm.data() : nullptr,
                                                 .x = x.data(),
                                                 .rows = x.rows(),
                                                 .cols = x.cols(),
                                                 .eps = eps});
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    launch(ctx, kernels::NormalizeBackward<T>{.dx = dx.open(),
                                              .dy = dy.data(),
                                              .y = s.y.data(),
                                              .norm = s.norm.data(),
                                              .rows = s.y.rows(),
                                              .cols = s.y.cols(),
                                              .eps = s.eps});
  }
};

}  // namespace ops

/// y = x / max(||x||, eps) over the last axis.  x: (...,C).  Keeps y and the norms.
/// Source: torch.nn.functional.normalize, eps 1e-12.
template <class X> auto normalize(const X& x, double eps = 1e-12) {
  return apply<ops::Normalize<typename X::Scalar, typename X::Device>>({eps}, x);
}

}  // namespace dino::inline DINO_ABI
