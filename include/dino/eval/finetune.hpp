// Training of a whole classifier, backbone and linear head together.
#pragma once

#include <dino/data/loader.hpp>
#include <dino/data/mixup.hpp>
#include <dino/eval/classifier.hpp>
#include <dino/ops/cross_entropy.hpp>
#include <dino/optim/layer_decay.hpp>
#include <dino/optim/optimizer.hpp>
#include <dino/optim/schedule.hpp>

#include <cmath>

namespace dino::inline DINO_ABI {

/// The recipe of BEiT and DeiT, in steps. Everything that is counted in epochs elsewhere is in steps here.
struct FinetuneSettings {
  VitConfig backbone{};
  i64 classes = 2;
  ProbeInput input{};  // what the head sees: to be trained, the last class token alone
  double drop_path = 0.1;

  i64 total_steps = 1;
  i64 batch = 64;        // images per optimizer step
  i64 micro_batch = 64;  // images per pass: a step is cut into batch / micro_batch passes, the last one smaller

  std::string optimizer = "adamw";
  double lr = 1e-3, warmup_start_lr = 1e-6, final_lr = 1e-6;
  i64 warmup_steps = 0;
  double weight_decay = 0.05;
  double layer_decay = 0.75;  // of the rate, from a block to the one before it; 1: none
  MixSettings mix;
  double label_smoothing = 0.1;
  u64 seed = 0;

  CosineSchedule lr_schedule() const {
    return {lr, final_lr, total_steps, warmup_steps, std::min(warmup_start_lr, lr)};
  }
};

/// What an update did and measured. step counts updates from 0: the values are those used in this step.
struct FinetuneReport {
  i64 step = 0;
  double loss = 0, lr = 0, grad_norm = 0;
  bool skipped = false;  // the loss or a gradient was not finite: nothing was changed
};

/// Trains backbone and head with one rate for each layer: mix the batch, forward with drop path, cross-entropy with the
/// mixed and smoothed labels, backward, update. Neither 1-D parameters nor biases, class token and positions are
/// decayed (BEiT, no_weight_decay). A batch may be cut into passes: the same result up to rounding, less memory.
template <class T, class D> class FinetuneTrainer {
 public:
  FinetuneTrainer(Context<D>& ctx, const FinetuneSettings& settings)
      : settings_(check(settings)),
        params_(ctx),
        model_(Scope{params_}, with_drop_path(settings), settings.classes, settings.input),
        optimizer_(settings.optimizer, prepared()),
        state_(ctx) {}

  const FinetuneSettings& settings() const { return settings_; }
  Context<D>& ctx() const { return params_.ctx(); }
  const Classifier<T, D>& model() const { return model_; }
  ParamStore<T, D>& params() { return params_; }
  Optimizer<T, D>& optimizer() { return optimizer_; }
  i64 steps_done() const { return step_; }
  void set_steps_done(i64 step) { step_ = step; }  // for resuming

  /// One update from a batch of one group of images (B,3,S,S). With a loss or gradient that is not finite nothing
  /// changes but the count of steps. Throws Error{data} for a label that is no class.
  FinetuneReport step(const Batch& batch) {
    require(batch.images == settings_.batch && batch.groups.size() == 1, "finetune: a batch of {} images, expected {}",
            batch.images, settings_.batch);
    const i64 size = settings_.backbone.image_size;
    const auto plan = plan_mix(settings_.mix, settings_.seed, step_, size, size);
    auto images = batch.groups[0];
    mix_images(images, size, size, plan);
    FinetuneReport report{.step = step_, .lr = settings_.lr_schedule()(step_)};
    state_.set({.step = static_cast<u64>(step_), .lr = report.lr, .weight_decay = settings_.weight_decay});
    params_.clear_grads();
    for (i64 first = 0; first < batch.images; first += settings_.micro_batch) {
      const i64 count = std::min(settings_.micro_batch, batch.images - first);
      pass(images, mixed_labels(batch.labels, plan, first, count), first, report);
    }
    update(report);
    ++step_;
    return report;
  }

 private:
  static const FinetuneSettings& check(const FinetuneSettings& s) {
    require(s.batch >= 1 && s.micro_batch >= 1, ErrorKind::usage,
            "finetune: batch {} and micro-batch {} must be positive", s.batch, s.micro_batch);
    require(s.classes >= 2, ErrorKind::data, "finetune: {} class{}: there is nothing to tell apart", s.classes,
            s.classes == 1 ? "" : "es");
    return s;
  }
  static VitConfig with_drop_path(const FinetuneSettings& s) {
    VitConfig vit = s.backbone;
    vit.drop_path = s.drop_path;
    return vit;
  }
  ParamStore<T, D>& prepared() {
    params_.finalize(settings_.seed);
    for (auto& segment : params_.segments()) {
      if (segment.name == "backbone.cls_token" || segment.name == "backbone.pos_embed") segment.decay = false;
    }
    set_layer_decay(params_, settings_.layer_decay, settings_.backbone.depth);
    return params_;
  }

  /// Labels of images [first, first + count) of the batch: of the image itself, and of the one that came to it.
  static MixedLabels mixed_labels(const std::vector<i64>& labels, const MixPlan& plan, i64 first, i64 count) {
    MixedLabels out{{labels.begin() + first, labels.begin() + first + count}, {}, {}};
    if (!plan.mixes()) return out;
    out.other.assign(labels.rbegin() + first, labels.rbegin() + first + count);
    out.share.assign(static_cast<size_t>(count), plan.share);
    return out;
  }

  /// Forward and backward of some images of the batch; gradients add up in the store.
  void pass(const std::vector<float>& images, const MixedLabels& labels, i64 first, FinetuneReport& report) {
    const i64 size = settings_.backbone.image_size, values = 3 * size * size;
    const i64 count = static_cast<i64>(labels.label.size());
    std::vector<T> host(static_cast<size_t>(count * values));
    std::transform(images.begin() + first * values, images.begin() + (first + count) * values, host.begin(),
                   [](float x) { return from_acc<T>(static_cast<acc_t<T>>(x)); });
    const auto pixels = tensor(ctx(), {count, 3, size, size}, host);
    Tape<D> tape(ctx(), StepKey(settings_.seed, stream_of("drop_path"), state_.step()),
                 {count, settings_.batch, first});
    const auto loss = cross_entropy(model_(tape.input(pixels)), labels, settings_.label_smoothing);
    const double value = static_cast<double>(item(loss.value));
    const double share = static_cast<double>(count) / static_cast<double>(settings_.batch);
    report.loss += share * value;
    if (std::isfinite(value)) tape.backward(share == 1 ? loss : scale(loss, share));
  }

  void update(FinetuneReport& report) {
    const UpdateSettings update{.lr = state_.lr(), .weight_decay = state_.weight_decay()};
    auto plan = plan_update(params_, update);
    if (!plan.ranges.empty()) {  // without any gradient when no pass had a finite loss
      double square = 0;
      for (const auto norm : to_vector(plan.norms)) square += static_cast<double>(norm) * static_cast<double>(norm);
      report.grad_norm = std::sqrt(square);
    }
    report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.grad_norm);
    if (!report.skipped) optimizer_.step(plan, update);
  }

  FinetuneSettings settings_;
  ParamStore<T, D> params_;
  Classifier<T, D> model_;
  Optimizer<T, D> optimizer_;
  StepState<D> state_;
  i64 step_ = 0;
};

}  // namespace dino::inline DINO_ABI
