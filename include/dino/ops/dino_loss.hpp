// The DINO loss: cross-entropy between teacher and student over all pairs of different views.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/kernels/dino_loss.hpp>

namespace dino::inline DINO_ABI {

/// What the loss measures beside itself, for the collapse monitors.
template <class T, class D> struct DinoLossMonitors {
  Tensor<acc_t<T>, D> entropy;     // (1): mean entropy of the teacher's outputs, nats
  Tensor<acc_t<T>, D> batch_mean;  // (K): mean of the teacher's outputs over the batch
};

namespace ops {

template <class T, class D> struct DinoLoss {
  struct Attr {
    double tau_s;
    StepScalar tau_t;
    DinoLossMonitors<T, D>* monitors;
  };
  struct Saved {
    Tensor<T, D> s, t;
    Tensor<acc_t<T>, D> center, lse_s, lse_t;
    i64 views, images;
    acc_t<T> tau_s;
    StepScalar tau_t;
  };

  static Tensor<acc_t<T>, D> forward(const Attr& at, const Tensor<T, D>& s, const Tensor<T, D>& t,
                                     const Tensor<acc_t<T>, D>& center, Saved* keep) {
    require(t.rows() % 2 == 0 && t.rows() > 0 && s.rows() % (t.rows() / 2) == 0 && s.cols() == t.cols() &&
                center.numel() == s.cols(),
            "dino_loss: student is {}, teacher is {}, center is {}", s, t, center);
    const i64 images = t.rows() / 2, views = s.rows() / images;
    require(views >= 2, "dino_loss: {} views, at least 2", views);
    require(at.tau_s > 0 && (at.tau_t.at || at.tau_t.value > 0), "dino_loss: temperatures {} and {} must be positive",
            at.tau_s, at.tau_t.value);
    require(s.is_contiguous() && t.is_contiguous(), "dino_loss: logits {} and {} are views of columns", s, t);
    auto& ctx = s.ctx();
    Tensor<acc_t<T>, D> loss(ctx, {1}), entropy(ctx, {1}), batch_mean;
    const Tensor<acc_t<T>, D> lse_s(ctx, {s.rows()}), lse_t(ctx, {t.rows()}), partial(ctx, {2, images});
    if (at.monitors) batch_mean = {ctx, {s.cols()}};
    const auto tau_s = static_cast<acc_t<T>>(at.tau_s);
    launch(ctx, kernels::DinoLossForward<T>{.loss = loss.data(),
                                            .entropy = entropy.data(),
                                            .lse_s = lse_s.data(),
                                            .lse_t = lse_t.data(),
                                            .batch_mean = batch_mean.data(),
                                            .partial = partial.data(),
                                            .s = s.data(),
                                            .t = t.data(),
                                            .center = center.data(),
                                            .views = views,
                                            .images = images,
                                            .outputs = s.cols(),
                                            .tau_s = tau_s,
                                            .tau_t = at.tau_t});
    if (at.monitors) *at.monitors = {entropy, batch_mean};
    if (keep) *keep = {s, t, center, lse_s, lse_t, views, images, tau_s, at.tau_t};
    return loss;
  }

  static void backward(Context<D>& ctx, Saved& s, const Tensor<acc_t<T>, D>& dy, Grad<T, D> ds, Grad<T, D>,
                       Grad<acc_t<T>, D>) {
    if (!ds.wanted()) return;
    const bool in_place = s.s.use_count() == 1;  // the logits were a temporary: their memory becomes the gradient
    launch(ctx, kernels::DinoLossBackward<T>{.ds = in_place ? Target<T>{s.s.data(), false} : ds.open(),
                                             .dloss = dy.data(),
                                             .s = s.s.data(),
                                             .t = s.t.data(),
                                             .center = s.center.data(),
                                             .lse_s = s.lse_s.data(),
                                             .lse_t = s.lse_t.data(),
                                             .views = s.views,
                                             .images = s.images,
                                             .outputs = s.s.cols(),
                                             .tau_s = s.tau_s,
                                             .tau_t = s.tau_t});
    if (in_place) ds.accept(s.s);
  }
};

}  // namespace ops

/// Cross-entropy between teacher and student over all pairs of different views, averaged over pairs and images:
///     loss = 1/(M B) sum_b sum_{i, v != i} [ lse(s_v / tau_s) - <q_i, s_v> / tau_s ],   q_i = softmax((t_i - center) /
///     tau_t)
/// student: (V*B,K) logits, rows crop-major, the two global crops first.  teacher: (2*B,K).  center: (K).  M = 2V - 2.
/// Returns (1) in acc_t. The teacher and the center get no gradient.
/// Gradient: 1/(tau_s M B) (n_v softmax(s_v / tau_s) - sum_{i != v} q_i), n_v = number of teacher views paired with v;
/// written over the student's logits when they are solely owned.  monitors may be null. Throws if shapes differ, V < 2,
/// or a temperature is not positive. Keeps both logits and one number a row. Source: Caron et al. 2021, eq. 3;
/// main_dino.py, DINOLoss.forward.
template <class X, class T, class D> auto dino_loss(const X& student, const Tensor<T, D>& teacher,
                                                    const Tensor<acc_t<T>, D>& center, double tau_s,
                                                    const StepScalar& tau_t,
                                                    DinoLossMonitors<T, D>* monitors = nullptr) {
  return apply<ops::DinoLoss<T, D>>({tau_s, tau_t, monitors}, student, teacher, center);
}

}  // namespace dino::inline DINO_ABI
