// Element-wise ops: sums, products, scaling, activations.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/map.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Add {
  struct Attr {};
  struct Saved {};

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& a, const Tensor<T, D>& b, Saved*) {
    require(a.shape() == b.shape(), "add: a is {}, b is {}", a, b);
    const auto left = contiguous(a), right = contiguous(b);
    Tensor<T, D> y(a.ctx(), a.shape());
    launch(a.ctx(), kernels::Add<T>{.out = {y.data(), false}, .a = left.data(), .b = right.data(), .n = y.numel()});
    return y;
  }
  static void backward(Context<D>&, Saved&, const Tensor<T, D>& dy, Grad<T, D> da, Grad<T, D> db) {
    da.accept(dy);
    db.accept(dy);
  }
};

template <class T, class D> struct Multiply {
  struct Attr {};
  struct Saved {
    Tensor<T, D> a, b;
  };

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& a, const Tensor<T, D>& b, Saved* keep) {
    require(a.shape() == b.shape(), "multiply: a is {}, b is {}", a, b);
    const auto left = contiguous(a), right = contiguous(b);
    Tensor<T, D> y(a.ctx(), a.shape());
    launch(a.ctx(),
           kernels::Multiply<T>{.out = {y.data(), false}, .a = left.data(), .b = right.data(), .n = y.numel()});
    if (keep) *keep = {left, right};
    return y;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> da, Grad<T, D> db) {
    const auto product = [&](const Target<T>& out, const Tensor<T, D>& other) {
      if (out) launch(ctx, kernels::Multiply<T>{.out = out, .a = dy.data(), .b = other.data(), .n = dy.numel()});
    };
    product(da.open(), s.b);  // opened and written one after the other: a and b may be the same value
    product(db.open(), s.a);
  }
};

template <class T, class D> struct Scale {
  struct Attr {
    double factor;
  };
  struct Saved {
    acc_t<T> factor;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    const auto x = contiguous(input);
    const auto factor = static_cast<acc_t<T>>(at.factor);
    Tensor<T, D> y(x.ctx(), x.shape());
    launch(x.ctx(), kernels::Scale<T>{.out = {y.data(), false}, .x = x.data(), .n = x.numel(), .factor = factor});
    if (keep) keep->factor = factor;
    return y;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    launch(ctx, kernels::Scale<T>{.out = dx.open(), .x = dy.data(), .n = dy.numel(), .factor = s.factor});
  }
};

/// An activation from a functor with f and df.
template <class F, class T, class D> struct Map {
  struct Attr {};
  struct Saved {
    Tensor<T, D> x;
  };

  static Tensor<T, D> forward(const Attr&, const Tensor<T, D>& input, Saved* keep) {
    const auto x = contiguous(input);
    Tensor<T, D> y(x.ctx(), x.shape());
    launch(x.ctx(), kernels::MapForward<F, T>{.y = y.data(), .x = x.data(), .n = x.numel()});
    if (keep) keep->x = x;
    return y;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    launch(ctx, kernels::MapBackward<F, T>{.dx = dx.open(), .dy = dy.data(), .x = s.x.data(), .n = dy.numel()});
  }
};

}  // namespace ops

/// a + b, shapes equal. The gradient passes through both unchanged: shared, not copied. Keeps nothing.
template <class X> auto add(const X& a, const auto& b) {
  return apply<ops::Add<typename X::Scalar, typename X::Device>>({}, a, b);
}

/// a * b element by element, shapes equal. Keeps both.
template <class X> auto multiply(const X& a, const auto& b) {
  return apply<ops::Multiply<typename X::Scalar, typename X::Device>>({}, a, b);
}

/// factor * x.
template <class X> auto scale(const X& x, double factor) {
  return apply<ops::Scale<typename X::Scalar, typename X::Device>>({factor}, x);
}

/// x/2 (1 + erf(x / sqrt 2)). Keeps x.
template <class X> auto gelu(const X& x) {
  return apply<ops::Map<kernels::Gelu, typename X::Scalar, typename X::Device>>({}, x);
}

/// max(x, 0). Keeps x.
template <class X> auto relu(const X& x) {
  return apply<ops::Map<kernels::Relu, typename X::Scalar, typename X::Device>>({}, x);
}

}  // namespace dino::inline DINO_ABI
