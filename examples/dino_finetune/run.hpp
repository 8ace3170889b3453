// A run that trains a whole classifier: data, trainer, evaluation, checkpoints, metrics and report, in one folder.
#pragma once

#include "../common/training_run.hpp"
#include "sets.hpp"
#include "start.hpp"
#include "training.hpp"

#include <dino/data/train_transform.hpp>
#include <dino/eval/classification.hpp>

namespace programs {

using dino::i64;
using dino::str;

/// Its parts are compiled apart.
class Finetune {
 public:
  Finetune(const dino::Options& options, const std::vector<std::string>& command);

  /// Trains to the end, to --max-steps, to --time-limit, or to a signal; returns the exit code.
  int run();

  /// What the run would do, for people.
  const std::vector<std::string>& plan() const { return lines_; }

 private:
  // plan.cpp
  void open();
  void make_plan(i64 micro_batch);
  dino::FinetuneSettings settings(i64 micro_batch) const;
  std::string device_name() const { return device_.cuda ? str("cuda:{}", device_.index) : "cpu"; }
  dino::Record facts();

  // full.cpp
  void train();
  void after_step(const dino::FinetuneReport& r, const dino::Batch& batch, double seconds);
  void write_step(const dino::FinetuneReport& r, double wait);
  void write_epoch();
  double epochs_done() const {
    return static_cast<double>(trainer_->steps_done()) / static_cast<double>(steps_per_epoch_);
  }
  bool evaluation_planned(i64 done) const;
  void write_sample_images();

  // save.cpp
  void restore_history();
  void evaluate();
  void save();
  dino::BackboneInfo exported_info() const;
  void finish();

  struct EpochSums {
    double loss = 0, wait = 0, steps = 0;
    std::string text() const {
      return str("{} {} {}", dino::number_text(loss), dino::number_text(wait), dino::number_text(steps));
    }
    void read(const std::string& text) { std::istringstream(text) >> loss >> wait >> steps; }
  };

  const dino::Options& options_;
  dino::FinetuneConfig config_;
  dino::DeviceChoice device_;
  std::optional<StartModel> model_;
  std::optional<LabelledSets> sets_;
  std::optional<TrainingRun> run_;
  dino::HostContext ctx_;
  std::optional<dino::TrainTransform> transform_;
  std::unique_ptr<ClassifierTraining> trainer_;
  dino::FinetuneSettings settings_;
  std::vector<std::string> lines_;
  i64 steps_per_epoch_ = 1, last_step_ = 0, checkpoint_bytes_ = 0, started_at_ = 0;
  EpochSums epoch_;
  double best_top1_ = -1;
  i64 best_step_ = -1;
  bool tested_ = false;
};

}  // namespace programs
