// The steps of a run that trains linear classifiers, and what is written about each.
#include "linear_run.hpp"

#include "../common/program.hpp"
#include "finetune.hpp"

#include <dino/io/clock.hpp>

namespace programs {

int train_linear(const dino::Options& options, const std::vector<std::string>& command) {
  if (dino::resolve_finetune(options).common.dry_run) {
    const LinearRun run(options, command);  // outlives the loop over its lines
    for (const auto& line : run.plan()) std::cout << line << '\n';
    return 0;
  }
  stop_on_signals();
  return LinearRun(options, command).run();
}

int LinearRun::run() {
  if (probe_->finished() || started_at_ >= last_step_) {
    run_->say(str("finished: {} of {} steps are done. Nothing to do", started_at_, last_step_));
    return 0;
  }
  run_->start_progress({.epochs = (total_steps_ + steps_per_epoch_ - 1) / steps_per_epoch_,
                        .steps_per_epoch = steps_per_epoch_,
                        .samples_per_step = lbfgs() ? settings_.rows : settings_.batch,
                        .first_step = started_at_,
                        .last_step = last_step_});
  train();
  finish();
  return exit_code();
}

void LinearRun::train() {
  std::optional<dino::Loader<dino::TrainTransform>> loader;
  if (config_.augment) {
    loader.emplace(sets_.train, *transform_, run_->loading(settings_.batch, steps_per_epoch_, started_at_));
  }
  run_->start_clock(started_at_);
  while (!probe_->finished() && probe_->steps_done() < last_step_ && stop_signal() == 0) {
    const i64 before = probe_->steps_done();
    const auto losses = loader ? augmented_step(*loader) : probe_->step();
    if (probe_->steps_done() > before) after_step(losses);
    if (run_->time_is_over()) break;
  }
  const i64 done = probe_->steps_done();
  if (!evaluation_planned(done) && (done == last_step_ || probe_->finished())) evaluate();
}

std::vector<double> LinearRun::augmented_step(dino::Loader<dino::TrainTransform>& loader) {
  const auto& batch = loader.next();
  return probe_->step(backbone_->features(batch.groups[0], batch.images), batch.labels);
}

void LinearRun::after_step(const std::vector<double>& losses) {
  const i64 done = probe_->steps_done();
  double loss = std::numeric_limits<double>::quiet_NaN();  // of the best head
  for (const double l : losses)
    if (std::isfinite(l) && !(l >= loss)) loss = l;
  dino::require(std::isfinite(loss), dino::ErrorKind::numerical, "step {}: the loss is not finite. Try a lower --lr",
                done);
  epoch_loss_ += loss;
  ++epoch_steps_;
  const double rate = lbfgs() ? 0 : settings_.rate(settings_.heads[0], done - 1);
  run_->show({.step = done, .loss = loss, .lr = rate, .data_wait = 0});
  if (done % std::max<i64>(1, config_.run.log_every) == 0 || done == last_step_ || done == started_at_ + 1) {
    run_->write(dino::Record("step")
                    .set("step", done)
                    .set("epoch", epochs_done())
                    .set("loss", loss)
                    .set("lr", rate)
                    .set("img_s", run_->images_per_second()));
  }
  if (done % steps_per_epoch_ == 0 && !lbfgs()) write_epoch();
  if (evaluation_planned(done)) evaluate();
  if (run_->save_due(done, steps_per_epoch_, last_step_)) save();
}

void LinearRun::write_epoch() {
  run_->write(dino::Record("epoch")
                  .set("step", probe_->steps_done())
                  .set("epoch", epochs_done())
                  .set("loss", epoch_loss_ / static_cast<double>(epoch_steps_)));
  epoch_loss_ = 0;
  epoch_steps_ = 0;
}

/// Whether a run that is never stopped evaluates here: only such an evaluation can be the best one.
bool LinearRun::evaluation_planned(i64 done) const {
  if (done == total_steps_) return true;
  if (config_.eval_every <= 0 || lbfgs()) return false;
  return done % std::max<i64>(1, dino::steps_of_epochs(config_.eval_every, steps_per_epoch_)) == 0;
}

}  // namespace programs
