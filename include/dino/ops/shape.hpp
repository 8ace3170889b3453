// The same elements under other extents.
#pragma once

#include <dino/autograd/apply.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Reshape {
  struct Attr {
    Shape shape;
  };
  struct Saved {
    Shape shape;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& x, Saved* keep) {
    if (keep) keep->shape = x.shape();
    return contiguous(x).reshape(at.shape);
  }
  static void backward(Context<D>&, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) { dx.accept(dy.reshape(s.shape)); }
};

}  // namespace ops

/// x under another shape of as many elements. Neither values nor gradients move.
template <class X> auto reshape(const X& x, const Shape& shape) {
  return apply<ops::Reshape<typename X::Scalar, typename X::Device>>({shape}, x);
}

}  // namespace dino::inline DINO_ABI
