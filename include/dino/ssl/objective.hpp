// The DINO objective with its state: temperatures, and the centre of the teacher's outputs.
#pragma once

#include <dino/kernels/optimizer.hpp>
#include <dino/ops/dino_loss.hpp>
#include <dino/ops/linear.hpp>
#include <dino/tensor/create.hpp>

namespace dino::inline DINO_ABI {

struct DinoObjectiveConfig {
  double student_temp = 0.1;
  double center_momentum = 0.9;
};

/// loss() uses the centre as it stands; the raw teacher logits of all micro-batches of a step are averaged by
/// observe(), and update_center() takes them in once per step:   c = m c + (1 - m) mean(t).   The first step uses c =
/// 0. Source: main_dino.py, DINOLoss.
template <class T, class D> class DinoObjective {
 public:
  DinoObjective(Context<D>& ctx, i64 outputs, const DinoObjectiveConfig& config = {})
      : config_(config), center_(zeros<acc_t<T>>(ctx, {outputs})), mean_(zeros<acc_t<T>>(ctx, {outputs})) {}

  /// student: (V*B,K) on a tape; pass it as a temporary, and its memory becomes the gradient.  teacher: (2*B,K).
  Var<acc_t<T>, D> loss(Var<T, D> student, const Tensor<T, D>& teacher, const StepScalar& teacher_temp,
                        DinoLossMonitors<T, D>* monitors = nullptr) const {
    return dino_loss(std::move(student), teacher, center_, config_.student_temp, teacher_temp, monitors);
  }

  /// Adds these rows to the mean of the step; total: rows of the teacher in the whole step.
  void observe(const Tensor<T, D>& teacher, i64 total) {
    detail::column_sum(Target<acc_t<T>>{mean_.data(), observed_}, teacher, 1 / static_cast<acc_t<T>>(total));
    observed_ = true;
  }
  void update_center() {
    require(observed_, "objective: the centre is updated without an observation");
    launch(center_.ctx(), kernels::Ema<acc_t<T>>{.average = center_.data(),
                                                 .copy = nullptr,
                                                 .p = mean_.data(),
                                                 .n = center_.numel(),
                                                 .momentum = config_.center_momentum});
    observed_ = false;
  }
  /// Forgets what was observed in a step that is not carried out.
  void drop_observation() { observed_ = false; }

  const Tensor<acc_t<T>, D>& center() const { return center_; }

 private:
  DinoObjectiveConfig config_;
  Tensor<acc_t<T>, D> center_, mean_;
  bool observed_ = false;
};

}  // namespace dino::inline DINO_ABI
