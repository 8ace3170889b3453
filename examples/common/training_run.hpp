// What every training run does beside training: its folder, log, metrics, checkpoints, progress line and bad images.
#pragma once

#include <dino/data/loader.hpp>
#include <dino/io/checkpoint.hpp>
#include <dino/io/metrics.hpp>
#include <dino/io/program_config.hpp>
#include <dino/io/progress.hpp>
#include <dino/io/run_dir.hpp>

#include <functional>
#include <optional>

namespace programs {

/// The folder of one training run, from its start to its end (training_run.cpp). The program counts the steps.
class TrainingRun {
 public:
  using i64 = dino::i64;
  using Write = std::function<void(const std::vector<dino::TensorView>&)>;

  /// Takes the folder that the options name, or the next free one below runs/<program>/<model>.
  TrainingRun(const dino::Options& options, const dino::CommonConfig& common, const dino::RunConfig& run,
              const std::string& model);

  dino::RunDir& folder() { return folder_; }
  const dino::RunDir& folder() const { return folder_; }
  dino::CheckpointFolder& checkpoints() { return checkpoints_; }

  /// The newest checkpoint of the folder, after a check that its settings are ours; nothing for a run that is new.
  std::optional<dino::LoadedCheckpoint> restore();
  /// The folder holds a run from here on: command, options, facts about the machine, metrics behind this step.
  void begin(i64 step, const std::vector<std::string>& command, const dino::Record& facts);
  void print_header(i64 threads, const std::string& device, const std::vector<std::string>& plan);
  /// The progress line, and the first event.
  void start_progress(const dino::ProgressPlan& plan);
  /// Ends the progress line.
  void end_progress();

  /// One line to the terminal, unless quiet, and to train.log.
  void say(const std::string& line);
  void write(const dino::Record& record) { metrics_->write(record); }
  void event(i64 step, const std::string& what, const std::string& detail);
  void show(const dino::ProgressState& state) { progress_->update(state); }
  double images_per_second() const { return progress_->images_per_second(); }

  /// How images are loaded from step `start` on; bad ones are reported here.
  dino::LoaderOptions loading(i64 batch, i64 steps_per_epoch, i64 start);
  /// Names an image that could not be read: a line, and bad_samples.jsonl.
  void report_bad(const dino::BadSample& bad);
  /// Counts an update that was skipped because of a loss or gradient that is no number. Throws Error{numerical} at
  /// once with on_nan = stop, and otherwise after five in a row. step: updates done, this one included.
  void count_update(i64 step, double loss, double grad_norm, bool skipped);
  i64 skipped() const { return skipped_; }
  i64 bad_samples() const { return bad_samples_; }

  /// The clock of --time-limit and of the time between checkpoints starts now.
  void start_clock(i64 step);
  /// Says so when it is.
  bool time_is_over();
  /// Whether a checkpoint is due behind this step; never behind the last one, where the program saves anyway.
  bool save_due(i64 step, i64 steps_per_epoch, i64 last_step) const;
  /// save: calls its argument with the tensors of the checkpoint.
  void save(i64 step, const std::function<void(const Write&)>& save, const dino::Metadata& state);
  i64 saved_step() const { return saved_step_; }  // -1: none yet

  /// The command that goes on with this run: what to tell the user at the end.
  std::string continue_with(i64 step, i64 last_step) const;

 private:
  const dino::Options& options_;
  dino::CommonConfig common_;
  dino::RunConfig run_;
  dino::RunDir folder_;
  dino::CheckpointFolder checkpoints_;
  std::optional<dino::Metrics> metrics_;
  std::optional<dino::Progress> progress_;
  double begun_ = 0, saved_time_ = 0;
  i64 saved_step_ = -1, skipped_ = 0, skipped_in_row_ = 0, bad_samples_ = 0;
};

}  // namespace programs
