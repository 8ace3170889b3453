// Cross-entropy of logits against labels, for classifiers.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/cross_entropy.hpp>
#include <dino/tensor/create.hpp>

namespace dino::inline DINO_ABI {

namespace ops {

template <class T, class D> struct CrossEntropy {
  /// What a row is of: label, or with other a share of label and the rest of other.
  struct Target {
    Tensor<i64, D> label, other;
    Tensor<acc_t<T>, D> share;
  };
  struct Attr {
    Target target;
    double smoothing;
  };
  struct Saved {
    Tensor<T, D> x;
    Target target;
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
                                                .label = at.target.label.data(),
                                                .rows = x.rows(),
                                                .cols = x.cols(),
                                                .smoothing = smoothing,
                                                .other = at.target.other.data(),
                                                .share = at.target.share.data()});
    if (keep) *keep = {x, at.target, lse, smoothing};
    return loss;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<acc_t<T>, D>& dloss, Grad<T, D> dx) {
    launch(ctx, kernels::CrossEntropyBackward<T>{.dx = dx.open(),
                                                 .dloss = dloss.data(),
                                                 .x = s.x.data(),
                                                 .lse = s.lse.data(),
                                                 .label = s.target.label.data(),
                                                 .rows = s.x.rows(),
                                                 .cols = s.x.cols(),
                                                 .smoothing = s.smoothing,
                                                 .other = s.target.other.data(),
                                                 .share = s.target.share.data()});
  }
};

}  // namespace ops

namespace detail {

template <class X> void check_labels(const X& x, const std::vector<i64>& label) {
  require(static_cast<i64>(label.size()) == x.rows() && x.rows() > 0, "cross_entropy: x is {}, {} labels", x,
          label.size());
  for (const i64 l : label) {
    require(0 <= l && l < x.cols(), ErrorKind::data, "cross_entropy: label {} for {} classes", l, x.cols());
  }
}

}  // namespace detail

/// Labels of rows that are mixed of two images: row r is share[r] of label[r], and 1 - share[r] of other[r]. Without
/// other, of label alone.
struct MixedLabels {
  std::vector<i64> label, other;
  std::vector<double> share;  // in [0, 1]
};

/// loss = mean over rows of lse(x) - (1 - s) (share x[label] + (1 - share) x[other]) - s mean(x), with label smoothing
/// s in [0, 1]. x: (R,C) logits.  labels: R each, in [0, C).  Returns (1), in acc_t<T>. dx = (softmax(x) - (1 - s)
/// (share onehot(label) + (1 - share) onehot(other)) - s/C) / R. Throws Error{data} for a label outside, and if there
/// are not R labels or a share is outside. Keeps x, the labels and one number per row. Source:
/// torch.nn.functional.cross_entropy; timm, mixup_target and SoftTargetCrossEntropy.
template <class X> auto cross_entropy(const X& x, const MixedLabels& labels, double smoothing = 0) {
  using T = typename X::Scalar;
  using Op = ops::CrossEntropy<T, typename X::Device>;
  require(smoothing >= 0 && smoothing <= 1, "cross_entropy: label smoothing {} is outside [0, 1]", smoothing);
  detail::check_labels(x, labels.label);
  typename Op::Target target{tensor(x.ctx(), {x.rows()}, labels.label), {}, {}};
  if (!labels.other.empty()) {
    detail::check_labels(x, labels.other);
    require(labels.share.size() == labels.label.size(), "cross_entropy: {} shares for {} labels", labels.share.size(),
            labels.label.size());
    std::vector<acc_t<T>> share;
    for (const double s : labels.share) {
      require(s >= 0 && s <= 1, "cross_entropy: a share of {} is outside [0, 1]", s);
      share.push_back(static_cast<acc_t<T>>(s));
    }
    target.other = tensor(x.ctx(), {x.rows()}, labels.other);
    target.share = tensor(x.ctx(), {x.rows()}, share);
  }
  return apply<Op>({target, smoothing}, x);
}

/// The same for rows of one label each.
template <class X> auto cross_entropy(const X& x, const std::vector<i64>& label, double smoothing = 0) {
  return cross_entropy(x, MixedLabels{label, {}, {}}, smoothing);
}

}  // namespace dino::inline DINO_ABI
