// Cross-entropy of logits against labels, for classifiers.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/cross_entropy.hpp>
#include <dino/tensor/create.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct CrossEntropy {
  struct Attr {
    Tensor<i64, D> label;
    double smoothing;
  };
  struct Saved {
    Tensor<T, D> x;
    Tensor<i64, D> label;
    Tensor<acc_t<T>, D> lse;
    acc_t<T> smoothing;
  };

  static Tensor<acc_t<T>, D> forward(const Attr& at, const Tensor<T, D>& input, Saved* keep) {
    const auto x = contiguous(input);
    auto& ctx = x.ctx();
    const auto smoothing = static_cast<acc_t<T>>(at.smoothing);
    Tensor<acc_t<T>, D> loss(ctx, {1});
    const Tensor<acc_t<T>, D> row_loss(ctx, {x.rows()});
    Tensor<acc_t<T>, D> lse;
    if (keep) lse = {ctx, {x.rows()}};
    launch(ctx, kernels::CrossEntropyForward<T>{.loss = loss.data(),
                                                .row_loss = row_loss.data(),
                                                .lse = lse.data(),
                                                .x = x.data(),
                                                .label = at.label.data(),
                                                .rows = x.rows(),
                                                .cols = x.cols(),
                                                .smoothing = smoothing});
    if (keep) *keep = {x, at.label, lse, smoothing};
    return loss;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<acc_t<T>, D>& dloss, Grad<T, D> dx) {
    launch(ctx, kernels::CrossEntropyBackward<T>{.dx = dx.open(),
                                                 .dloss = dloss.data(),
                                                 .x = s.x.data(),
                                                 .lse = s.lse.data(),
                                                 .label = s.label.data(),
                                                 .rows = s.x.rows(),
                                                 .cols = s.x.cols(),
                                                 .smoothing = s.smoothing});
  }
};

}  // namespace ops

/// loss = mean over rows of lse(x) - (1 - s) x[label] - s mean(x), with label smoothing s in [0, 1].
/// x: (R,C) logits.  label: R numbers in [0, C).  Returns (1), in acc_t<T>.
/// dx = (softmax(x) - (1 - s) onehot(label) - s/C) / R. Throws Error{data} for a label outside, and if there are not R
/// labels. Keeps x, the labels and one number per row. Source: torch.nn.functional.cross_entropy.
template <class X> auto cross_entropy(const X& x, const std::vector<i64>& label, double smoothing = 0) {
  require(static_cast<i64>(label.size()) == x.rows() && x.rows() > 0, "cross_entropy: x is {}, {} labels", x,
          label.size());
  require(smoothing >= 0 && smoothing <= 1, "cross_entropy: label smoothing {} is outside [0, 1]", smoothing);
  for (const i64 l : label) {
    require(0 <= l && l < x.cols(), ErrorKind::data, "cross_entropy: label {} for {} classes", l, x.cols());
  }
  const auto on_device = tensor(x.ctx(), {x.rows()}, label);
  return apply<ops::CrossEntropy<typename X::Scalar, typename X::Device>>({on_device, smoothing}, x);
}

}  // namespace dino::inline DINO_ABI
