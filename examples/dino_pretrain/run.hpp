// A pre-training run: data, trainer, k-NN, checkpoints, metrics and report, in one folder.
#pragma once

#include "../common/training_run.hpp"
#include "pictures.hpp"
#include "plan.hpp"
#include "training.hpp"

#include <dino/data/loader.hpp>
#include <dino/data/multicrop.hpp>
#include <dino/eval/knn.hpp>
#include <dino/io/weights.hpp>
#include <dino/ssl/health.hpp>

#include <functional>
#include <optional>
#include <sstream>

namespace programs {

using dino::i64;
using dino::str;

/// Its parts are compiled apart.
class Pretrain {
 public:
  Pretrain(const dino::Options& options, const std::vector<std::string>& command);

  /// Trains to the end, to --max-steps, to --time-limit, or to a signal; returns the exit code.
  int run();

 private:
  // start.cpp
  dino::Record facts() const;
  i64 ctx_threads() const { return const_cast<dino::HostContext&>(ctx_).threads().threads(); }
  std::string device_name() const { return device_.cuda ? str("cuda:{}", device_.index) : "cpu"; }
  void start_progress();

  // train.cpp
  void train();
  void after_step(const dino::StepReport& r, const dino::Batch& batch, double seconds, dino::HealthMonitor& health);
  void write_step(const dino::StepReport& r, double wait);
  void write_epoch();
  double epochs_done() const;
  bool evaluation_due(i64 done) const;
  void write_sample_crops();

  // evaluate.cpp
  dino::EvalTransform transform() const;
  void record_knn(const std::vector<dino::KnnScore>& scores, const std::string& baseline);
  std::vector<dino::KnnScore> pixel_knn();
  std::vector<dino::KnnScore> teacher_knn();
  void attend();
  void keep_unlabelled();
  void draw_pictures();
  void attempt(const std::string& what, const std::function<void()>& draw);
  void measure_baselines();
  void evaluate();
  std::string comparison() const;

  // save.cpp
  void save();
  dino::BackboneInfo exported_info() const;
  void finish();

  struct EpochSums {
    double loss = 0, entropy = 0, wait = 0, steps = 0;
    void add(const dino::StepReport& r, double waited) {
      if (r.skipped) return;
      loss += r.loss, entropy += r.teacher_entropy, wait += waited, steps += 1;
    }
    std::string text() const {
      return str("{} {} {} {}", dino::number_text(loss), dino::number_text(entropy), dino::number_text(wait),
                 dino::number_text(steps));
    }
    void read(const std::string& text) { std::istringstream(text) >> loss >> entropy >> wait >> steps; }
  };

  static constexpr i64 knn_k = 20;

  const dino::Options& options_;
  dino::PretrainConfig config_;
  dino::DeviceChoice device_;  // before the folder: a device that is missing leaves nothing behind
  Sets sets_;
  dino::MultiCrop crops_;
  TrainingRun run_;
  dino::HostContext ctx_;
  std::unique_ptr<Training> trainer_;
  RunPictures pictures_;
  std::optional<double> pixels_, untrained_, trained_;
  EpochSums epoch_;
  Plan plan_;
  i64 started_at_ = 0;
};

}  // namespace programs
