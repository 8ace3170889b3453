// Sums and means over all elements.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/reduce.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

/// y[i] = value[0] * factor for all i: what the gradient of a sum is.
template <class T, class D> void spread(const Target<T>& y, i64 n, const Tensor<acc_t<T>, D>& value, acc_t<T> factor) {
  if (!y) return;
  launch(value.ctx(), kernels::Spread<T>{.y = y, .value = value.data(), .n = n, .factor = factor});
}

}  // namespace detail

namespace ops {

template <class T, class D> struct Sum {
  struct Attr {
    bool mean;
  };
  struct Saved {
    i64 n;
    acc_t<T> factor;
  };

  static Tensor<acc_t<T>, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    using Args = kernels::Sum<T>;
    const auto x = contiguous(input);
    require(x.numel() > 0, "sum: {} has no elements", x);
    const auto factor = at.mean ? 1 / static_cast<acc_t<T>>(x.numel()) : acc_t<T>(1);
    Tensor<acc_t<T>, D> out(x.ctx(), {1});
    const Tensor<acc_t<T>, D> partial(x.ctx(), {Args::blocks(x.numel())});
    launch(x.ctx(), Args{.out = {out.data(), false}, .partial = partial.data(), .x = x.data(), .n = x.numel(),
                         .factor = factor});
    if (keep) *keep = {x.numel(), factor};
    return out;
  }
  static void backward(Context<D>&, Saved& s, const Tensor<acc_t<T>, D>& dy, Grad<T, D> dx) {
    detail::spread<T, D>(dx.open(), s.n, dy, s.factor);
  }
};

}  // namespace ops

/// The sum of all elements, (1), in acc_t; in a fixed order.
template <class X> auto sum(const X& x) { return apply<ops::Sum<typename X::Scalar, typename X::Device>>({false}, x); }

/// The mean of all elements, (1), in acc_t.
template <class X> auto mean(const X& x) { return apply<ops::Sum<typename X::Scalar, typename X::Device>>({true}, x); }

}  // namespace dino::inline DINO_ABI
