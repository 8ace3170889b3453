// A run that trains linear classifiers on frozen features: features, heads, evaluation and checkpoints in one folder.
#pragma once

#include "../common/training_run.hpp"
#include "probe.hpp"
#include "sets.hpp"

#include <dino/data/train_transform.hpp>
#include <dino/eval/feature_cache.hpp>

namespace programs {

using dino::i64;
using dino::str;

/// Its parts are compiled apart.
class LinearRun {
 public:
  LinearRun(const dino::Options& options, const std::vector<std::string>& command);

  /// Trains to the end, to --max-steps, to --time-limit, or to a signal; returns the exit code.
  int run();

  /// What the run would do, for people.
  const std::vector<std::string>& plan() const { return lines_; }

 private:
  // linear_plan.cpp
  dino::ProbeInput choose_input() const;
  void make_plan();
  void make_settings();
  void make_totals();
  void make_training(const std::optional<dino::LoadedCheckpoint>& resumed);
  dino::FeatureRows rows_of_images(const std::string& part, const dino::AnyDataset& set, dino::FeatureSet& memory);
  dino::Record facts();
  std::string device_name() const { return device_.cuda ? str("cuda:{}", device_.index) : "cpu"; }

  // linear.cpp
  void train();
  std::vector<double> augmented_step(dino::Loader<dino::TrainTransform>& loader);
  void after_step(const std::vector<double>& losses);
  void write_epoch();
  bool evaluation_planned(i64 done) const;
  double epochs_done() const {
    return static_cast<double>(probe_->steps_done()) / static_cast<double>(steps_per_epoch_);
  }

  // linear_save.cpp
  void restore_history();
  void evaluate();
  void write_heads(const std::vector<double>& accuracies) const;
  void save();
  void export_head(const std::string& prefix, i64 head);
  void finish();

  bool lbfgs() const { return config_.probe == "lbfgs"; }

  const dino::Options& options_;
  dino::FinetuneConfig config_;
  dino::DeviceChoice device_;
  dino::HostContext ctx_;
  StartModel model_;
  LabelledSets sets_;
  dino::ProbeInput input_;
  dino::ProbeSettings settings_;
  std::optional<TrainingRun> run_;
  std::unique_ptr<FrozenBackbone> backbone_;
  std::unique_ptr<ProbeTraining> probe_;
  std::optional<dino::TrainTransform> transform_;  // augmented: the views of each epoch
  dino::FeatureSet train_memory_, test_memory_;    // what rows without a cache refer to
  dino::FeatureRows test_;
  std::vector<std::string> lines_;
  i64 steps_per_epoch_ = 1, total_steps_ = 1, last_step_ = 0, started_at_ = 0;
  double epoch_loss_ = 0;
  i64 epoch_steps_ = 0;
  double best_top1_ = -1;
  i64 best_step_ = -1, best_head_ = 0;
};

}  // namespace programs
