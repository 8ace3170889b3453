// The steps of a run that trains everything, and what is written about each.
#include "run.hpp"

#include "../common/program.hpp"
#include "finetune.hpp"

#include <dino/io/clock.hpp>
#include <dino/io/contact_sheet.hpp>
#include <dino/io/image_write.hpp>

namespace programs {

int train_full(const dino::Options& options, const std::vector<std::string>& command) {
  if (dino::resolve_finetune(options).common.dry_run) {
    const Finetune planned(options, command);
    for (const auto& line : planned.plan()) std::cout << line << '\n';
    return 0;
  }
  stop_on_signals();
  return Finetune(options, command).run();
}

int Finetune::run() {
  run_->print_header(ctx_.threads().threads(), device_.why, lines_);
  if (trainer_->steps_done() >= last_step_) {
    run_->say(str("finished: {} of {} steps are done. Nothing to do", trainer_->steps_done(), last_step_));
    return 0;
  }
  write_sample_images();
  run_->start_progress({.epochs = (settings_.total_steps + steps_per_epoch_ - 1) / steps_per_epoch_,
                        .steps_per_epoch = steps_per_epoch_,
                        .samples_per_step = config_.batch_size,
                        .first_step = trainer_->steps_done(),
                        .last_step = last_step_});
  train();
  finish();
  return exit_code();
}

void Finetune::train() {
  dino::Loader loader(sets_->train, *transform_, run_->loading(config_.batch_size, steps_per_epoch_, started_at_));
  run_->start_clock(started_at_);
  while (trainer_->steps_done() < last_step_ && stop_signal() == 0) {
    const auto& batch = loader.next();
    const double before = dino::monotonic_seconds();
    const auto report = trainer_->step(batch);
    after_step(report, batch, dino::monotonic_seconds() - before);
    if (run_->time_is_over()) break;
  }
}

void Finetune::after_step(const dino::FinetuneReport& r, const dino::Batch& batch, double seconds) {
  const i64 done = trainer_->steps_done();
  run_->count_update(done, r.loss, r.grad_norm, r.skipped);
  const double wait = batch.wait_seconds / (batch.wait_seconds + seconds);
  if (!r.skipped) epoch_.loss += r.loss, epoch_.wait += wait, epoch_.steps += 1;
  run_->show({.step = done, .loss = r.loss, .lr = r.lr, .data_wait = wait});
  if (done % std::max<i64>(1, config_.run.log_every) == 0 || done == last_step_ || done == started_at_ + 1)
    write_step(r, wait);
  if (done % steps_per_epoch_ == 0) write_epoch();
  if (evaluation_planned(done) || done == last_step_) evaluate();
  if (run_->save_due(done, steps_per_epoch_, last_step_)) save();
}

void Finetune::write_step(const dino::FinetuneReport& r, double wait) {
  run_->write(dino::Record("step")
                  .set("step", trainer_->steps_done())
                  .set("epoch", epochs_done())
                  .set("loss", r.loss)
                  .set("lr", r.lr)
                  .set("wd", settings_.weight_decay)
                  .set("grad_norm", r.grad_norm)
                  .set("img_s", run_->images_per_second())
                  .set("data_wait", wait)
                  .set("mem", trainer_->peak_bytes())
                  .set("skipped", run_->skipped())
                  .set("bad_samples", run_->bad_samples()));
}

void Finetune::write_epoch() {
  run_->write(dino::Record("epoch")
                  .set("step", trainer_->steps_done())
                  .set("epoch", epochs_done())
                  .set("loss", epoch_.loss / epoch_.steps)
                  .set("img_s", run_->images_per_second())
                  .set("data_wait", epoch_.wait / epoch_.steps));
  epoch_ = {};
}

/// Whether a run that is never stopped evaluates here: only such an evaluation can be the best one, so that stops
/// change nothing.
bool Finetune::evaluation_planned(i64 done) const {
  if (done == settings_.total_steps) return true;
  if (config_.eval_every <= 0) return false;
  return done % std::max<i64>(1, dino::steps_of_epochs(config_.eval_every, steps_per_epoch_)) == 0;
}

/// A sheet of the first images as the network sees them in eight epochs, before normalisation and mixing.
void Finetune::write_sample_images() {
  std::filesystem::create_directories(run_->folder().file("report"));
  constexpr i64 epochs = 8;
  std::vector<dino::Image> tiles;
  for (i64 i = 0; i < std::min<i64>(6, sets_->train.size()); ++i) {
    try {
      const auto sample = sets_->train.get(i);
      for (i64 e = 0; e < epochs; ++e) {
        tiles.push_back(transform_->train_image(sample.image, static_cast<dino::u64>(e), i));
      }
    } catch (const dino::Error& error) {
      run_->say(str("  ! sample images: {}", error.what()));
    }
  }
  if (!tiles.empty()) {
    dino::write_png(run_->folder().file("report/crops.png"), dino::contact_sheet(tiles, epochs));
  }
}

}  // namespace programs
