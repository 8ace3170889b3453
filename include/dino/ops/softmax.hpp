// Softmax over the last axis, with temperature.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/softmax.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct Softmax {
  struct Attr {
    double temperature;
  };
  struct Saved {
    Tensor<T, D> y;
    acc_t<T> temperature;
  };

  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    require(at.temperature > 0, "softmax: temperature {} is not positive", at.temperature);
    const auto x = contiguous(input);
    const auto temperature = static_cast<acc_t<T>>(at.temperature);
    Tensor<T, D> y(x.ctx(), x.shape());
    launch(x.ctx(), kernels::SoftmaxForward<T>{
                        .y = y.data(), .x = x.data(), .rows = x.rows(), .cols = x.cols(), .temperature = temperature});
    if (keep) *keep = {y, temperature};
    return y;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    launch(ctx, kernels::SoftmaxBackward<T>{.dx = dx.open(),
                                            .dy = dy.data(),
                                            .y = s.y.data(),
                                            .rows = s.y.rows(),
                                            .cols = s.y.cols(),
                                            .temperature = s.temperature});
  }
};

}  // namespace ops

/// y = softmax(x / temperature) over the last axis.  x: (...,C).  Throws if the temperature is not positive. Keeps y.
template <class X> auto softmax(const X& x, double temperature = 1) {
  return apply<ops::Softmax<typename X::Scalar, typename X::Device>>({temperature}, x);
}

}  // namespace dino::inline DINO_ABI
