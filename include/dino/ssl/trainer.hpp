// One DINO training step after another: student, teacher, objective, optimizer.
#pragma once

#include <dino/data/loader.hpp>
#include <dino/data/multicrop.hpp>
#include <dino/optim/ema.hpp>
#include <dino/optim/optimizer.hpp>
#include <dino/ssl/config.hpp>
#include <dino/ssl/multicrop_model.hpp>
#include <dino/ssl/objective.hpp>

#include <cmath>

namespace dino::inline DINO_ABI {

/// What a step did and measured. step counts updates from 0: the values are those used in this step.
struct StepReport {
  i64 step = 0;
  double loss = 0, lr = 0, weight_decay = 0, momentum = 0, teacher_temp = 0;
  double grad_norm = 0, clipped = 0;              // over all tensors, before clipping; fraction of tensors clipped
  double teacher_entropy = 0, batch_entropy = 0;  // nats
  double center_norm = 0, feature_std = 0;
  bool skipped = false;  // the loss or a gradient was not finite: nothing was changed
};

/// Trains in the exact order of the reference (main_dino.py, train_one_epoch): teacher and student forward with the
/// weights of the last step, loss with the centre as it stands, centre update, backward, clipping per tensor, last
/// layer skipped while frozen, optimizer step, teacher average with the momentum of this step. A batch may be cut into
/// micro-batches: same result up to rounding, less memory. Centre, averages and schedules advance once.
template <class T, class D> class DinoTrainer {
 public:
  DinoTrainer(Context<D>& ctx, const DinoConfig& config, std::vector<CropGroup> groups)
      : config_(check(config, groups)),
        groups_(std::move(groups)),
        student_params_(ctx),
        teacher_params_(ctx),
        student_(Scope{student_params_}, with_drop_path(config), config.head),
        teacher_(Scope{teacher_params_}, config.backbone, teacher_head(config.head)),
        objective_(ctx, config.head.outputs, {config.student_temp, config.center_momentum}),
        optimizer_(config.optimizer, initialised(student_params_, config.seed)),
        state_(ctx) {
    teacher_params_.finalize(config.seed);
    teacher_params_.copy_from(student_params_);
  }

  const DinoConfig& config() const { return config_; }
  Context<D>& ctx() const { return student_params_.ctx(); }
  const MultiCropModel<T, D>& student() const { return student_; }
  const MultiCropModel<T, D>& teacher() const { return teacher_; }
  ParamStore<T, D>& student_params() { return student_params_; }
  ParamStore<T, D>& teacher_params() { return teacher_params_; }
  DinoObjective<acc_t<T>, D>& objective() { return objective_; }
  Optimizer<T, D>& optimizer() { return optimizer_; }
  i64 steps_done() const { return step_; }
  void set_steps_done(i64 step) { step_ = step; }  // for resuming
  bool finished() const { return step_ >= config_.total_steps; }

  /// One update from a batch of crops. With a loss or gradient that is not finite nothing changes but the count of
  /// steps.
  StepReport step(const Batch& batch) {
    require(batch.images == config_.batch, "trainer: a batch of {} images, expected {}", batch.images, config_.batch);
    StepReport report{.step = step_,
                      .lr = config_.lr_schedule()(step_),
                      .weight_decay = config_.decay_schedule()(step_),
                      .momentum = config_.momentum_schedule()(step_),
                      .teacher_temp = config_.teacher_temp_at(step_)};
    state_.set({.step = static_cast<u64>(step_),
                .lr = report.lr,
                .weight_decay = report.weight_decay,
                .momentum = report.momentum,
                .teacher_temp = report.teacher_temp});
    student_params_.clear_grads();
    const auto statistics = running_statistics();
    Monitors monitors;
    for (i64 first = 0; first < batch.images; first += config_.micro_batch) {
      pass(batch, first, std::min(config_.micro_batch, batch.images - first), report, monitors);
    }
    monitors.finish(report);
    update(report);
    if (report.skipped) restore(statistics);
    ++step_;
    return report;
  }

 private:
  /// Sums over the passes of a step.
  struct Monitors {
    std::vector<double> batch_mean;           // (K)
    std::vector<double> feature, feature_sq;  // (C): sums over rows
    double rows = 0;

    void finish(StepReport& report) const {
      for (const double q : batch_mean) report.batch_entropy -= q > 0 ? q * std::log(q) : 0;
      double total = 0;
      for (size_t c = 0; c < feature.size(); ++c) {
        const double mean = feature[c] / rows;
        total += std::sqrt(std::max(0.0, feature_sq[c] / rows - mean * mean));
      }
      report.feature_std = feature.empty() ? 0 : total / static_cast<double>(feature.size());
    }
  };

  static const DinoConfig& check(const DinoConfig& c, const std::vector<CropGroup>& groups) {
    require(c.batch >= 1 && c.micro_batch >= 1, ErrorKind::usage,
            "trainer: batch {} and micro-batch {} must be positive", c.batch, c.micro_batch);
    require(!c.head.use_bn || c.micro_batch >= c.batch, ErrorKind::usage,
            "micro_batch = {} with use_bn_in_head: batch norm needs the whole batch of {} in one pass. Set micro_batch "
            "= {}",
            c.micro_batch, c.batch, c.batch);
    require(!groups.empty() && groups[0].crops == 2, "trainer: the first group must be the 2 global crops");
    for (const auto& g : groups) {
      const i64 p = c.backbone.patch_size;
      require(g.height % p == 0 && g.width % p == 0, ErrorKind::usage,
              "crops of {} x {} pixels: sides must be multiples of patch_size {}", g.height, g.width, p);
    }
    return c;
  }
  static VitConfig with_drop_path(const DinoConfig& config) {
    VitConfig vit = config.backbone;
    vit.drop_path = config.drop_path;
    return vit;
  }
  static DinoHeadConfig teacher_head(DinoHeadConfig head) {
    head.norm_last_layer = true;  // as in the reference: without effect, since the average runs over every parameter
    return head;
  }
  static ParamStore<T, D>& initialised(ParamStore<T, D>& params, u64 seed) {
    params.finalize(seed);
    return params;
  }

  /// Images [first, first + count) of every crop of a group, on the device.
  Tensor<T, D> upload(const Batch& batch, size_t group, i64 first, i64 count) const {
    const auto& g = groups_[group];
    const i64 values = 3 * g.height * g.width;
    std::vector<T> host(static_cast<size_t>(g.crops * count * values));
    const auto& from = batch.groups[group];
    for (i64 crop = 0; crop < g.crops; ++crop) {
      const auto begin = from.begin() + (crop * batch.images + first) * values;
      std::transform(begin, begin + count * values, host.begin() + crop * count * values,
                     [](float x) { return from_acc<T>(static_cast<acc_t<T>>(x)); });
    }
    return tensor(ctx(), {g.crops * count, 3, g.height, g.width}, host);
  }

  /// Forward and backward of one micro-batch; gradients add up in the store.
  void pass(const Batch& batch, i64 first, i64 count, StepReport& report, Monitors& monitors) {
    std::vector<Tensor<T, D>> crops;
    for (size_t g = 0; g < groups_.size(); ++g) crops.push_back(upload(batch, g, first, count));
    const auto features = teacher_.backbone(crops[0]);  // (2B,C)
    const auto target = teacher_.head(features);        // (2B,K)
    DinoLossMonitors<acc_t<T>, D> measured;
    const double share = static_cast<double>(count) / static_cast<double>(batch.images);
    Tape<D> tape(ctx(), StepKey(config_.seed, stream_of("drop_path"), state_.step()),
                 {count, batch.images, first});
    const auto loss = objective_.loss(student_(tape.input(crops)), target, state_.teacher_temp(), &measured);
    objective_.observe(target, 2 * batch.images);
    const double value = static_cast<double>(item(loss.value));
    report.loss += share * value;
    report.teacher_entropy += share * static_cast<double>(item(measured.entropy));
    observe(monitors, to_vector(measured.batch_mean), to_vector(features), features.cols(), share);
    if (std::isfinite(value)) tape.backward(share == 1 ? loss : scale(loss, share));
  }

  static void observe(Monitors& m, const std::vector<acc_t<T>>& batch_mean, const std::vector<T>& features, i64 dim,
                      double share) {
    m.batch_mean.resize(batch_mean.size());
    for (size_t k = 0; k < batch_mean.size(); ++k) m.batch_mean[k] += share * static_cast<double>(batch_mean[k]);
    const auto width = static_cast<size_t>(dim);
    m.feature.resize(width);
    m.feature_sq.resize(width);
    for (size_t row = 0; row < features.size(); row += width) {
      double square = 0;
      for (size_t c = 0; c < width; ++c) square += std::pow(static_cast<double>(to_acc(features[row + c])), 2);
      const double inverse = 1 / std::max(std::sqrt(square), 1e-12);
      for (size_t c = 0; c < width; ++c) {
        const double x = static_cast<double>(to_acc(features[row + c])) * inverse;
        m.feature[c] += x;
        m.feature_sq[c] += x * x;
      }
      m.rows += 1;
    }
  }

  /// Copies of the running statistics of batch norm: forward changes them before the loss is known to be finite.
  std::vector<Tensor<acc_t<T>, D>> running_statistics() const {
    std::vector<Tensor<acc_t<T>, D>> copies;
    for (const auto* store : {&student_params_, &teacher_params_}) {
      for (const auto& buffer : store->buffers()) copies.push_back(clone(buffer.tensor));
    }
    return copies;
  }
  void restore(const std::vector<Tensor<acc_t<T>, D>>& copies) {
    auto copy = copies.begin();
    for (auto* store : {&student_params_, &teacher_params_}) {
      for (auto& buffer : store->buffers()) buffer.tensor = *copy++;
    }
  }

  void update(StepReport& report) {
    const bool frozen = step_ < config_.freeze_last_layer_steps;
    const UpdateSettings settings{
        .lr = state_.lr(),
        .weight_decay = state_.weight_decay(),
        .clip = config_.clip,
        .skip = [frozen](const ParamSegment& s) { return frozen && s.name.find("last_layer") != std::string::npos; }};
    auto plan = plan_update(student_params_, settings);
    if (!plan.ranges.empty()) {  // without any gradient when no pass had a finite loss
      double square = 0, clipped = 0;
      for (const auto norm : to_vector(plan.norms)) {
        square += static_cast<double>(norm) * static_cast<double>(norm);
        clipped += config_.clip > 0 && static_cast<double>(norm) > config_.clip ? 1 : 0;
      }
      report.grad_norm = std::sqrt(square);
      report.clipped = clipped / static_cast<double>(plan.ranges.size());
    }
    report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.grad_norm);
    if (report.skipped) {
      objective_.drop_observation();
      return;
    }
    objective_.update_center();
    for (const auto c : to_vector(objective_.center()))
      report.center_norm += static_cast<double>(c) * static_cast<double>(c);
    report.center_norm = std::sqrt(report.center_norm);
    optimizer_.step(plan, settings);
    ema_update(teacher_params_, student_params_, state_.momentum());
  }

  DinoConfig config_;
  std::vector<CropGroup> groups_;
  ParamStore<T, D> student_params_, teacher_params_;
  MultiCropModel<T, D> student_, teacher_;
  DinoObjective<acc_t<T>, D> objective_;  // of logits, which are never rounded to T
  Optimizer<T, D> optimizer_;
  StepState<D> state_;
  i64 step_ = 0;
};

}  // namespace dino::inline DINO_ABI
