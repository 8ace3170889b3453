// The steps of a run, and what is written about each.
#include "run.hpp"

#include "../common/program.hpp"

#include <dino/io/clock.hpp>
#include <dino/io/contact_sheet.hpp>
#include <dino/io/image_write.hpp>

namespace programs {

int Pretrain::run() {
  print_header();
  if (trainer_->steps_done() >= plan_.last_step) {
    say(str("finished: {} of {} steps are done. Nothing to do", trainer_->steps_done(), plan_.last_step));
    return 0;
  }
  write_sample_crops();
  start_progress();
  event(started_at_ > 0 ? "resume" : "start", str("step {}", started_at_));
  if (started_at_ == 0) measure_baselines();
  train();
  finish();
  if (stop_signal() != 0) return stop_signal() == SIGTERM ? 143 : 130;
  return 0;
}

void Pretrain::say(const std::string& line) {
  folder_.log(line);
  if (progress_) {
    progress_->note(line);
  } else if (!config_.common.quiet) {
    std::cerr << line << '\n';
  }
}

void Pretrain::event(const std::string& what, const std::string& detail) {
  metrics_->write(dino::Record("event").set("step", trainer_->steps_done()).set("what", what).set("detail", detail));
}

void Pretrain::train() {
  dino::LoaderOptions loading;
  loading.batch = config_.batch_size;
  loading.seed = static_cast<dino::u64>(config_.common.seed);
  loading.workers = config_.common.workers >= 0 ? config_.common.workers : 1;
  loading.start = {static_cast<dino::u64>(trainer_->steps_done() / plan_.dino.steps_per_epoch),
                   trainer_->steps_done() % plan_.dino.steps_per_epoch};
  loading.max_bad_fraction = config_.common.max_bad_fraction;
  loading.on_bad = [this](const dino::BadSample& bad) { report_bad(bad); };
  dino::Loader loader(sets_.train, crops_, loading);
  dino::HealthMonitor health(config_.k_dim, config_.model.embed_dim, trainer_->config().warmup_steps);
  const double begun = dino::monotonic_seconds();
  saved_time_ = begun;
  saved_step_ = trainer_->steps_done();
  while (trainer_->steps_done() < plan_.last_step && stop_signal() == 0) {
    const auto& batch = loader.next();
    const double before = dino::monotonic_seconds();
    const auto report = trainer_->step(batch);
    after_step(report, batch, dino::monotonic_seconds() - before, health);
    if (config_.time_limit > 0 && dino::monotonic_seconds() - begun > config_.time_limit) {
      say("time limit reached");
      break;
    }
  }
}

void Pretrain::after_step(const dino::StepReport& r, const dino::Batch& batch, double seconds,
                          dino::HealthMonitor& health) {
  const i64 done = trainer_->steps_done();
  check_finite(r);
  const double wait = batch.wait_seconds / (batch.wait_seconds + seconds);
  epoch_.add(r, wait);
  progress_->update({.step = done, .loss = r.loss, .lr = r.lr, .data_wait = wait});
  if (done % std::max<i64>(1, config_.log_every) == 0 || done == plan_.last_step || done == started_at_ + 1)
    write_step(r, wait);
  for (const auto& alarm : health.observe(done, {r.loss, r.teacher_entropy, r.batch_entropy, r.feature_std})) {
    say("  ! " + alarm);
    event("collapse", alarm);
    if (config_.on_collapse == "stop") {
      save();
      dino::fail(dino::ErrorKind::numerical, "{}. Saved step {}", alarm, done);
    }
  }
  const bool epoch_end = done % plan_.dino.steps_per_epoch == 0;
  if (epoch_end) write_epoch();
  if (knn_due(done)) evaluate();
  if (save_due(done)) save();
}

void Pretrain::check_finite(const dino::StepReport& r) {
  skipped_in_row_ = r.skipped ? skipped_in_row_ + 1 : 0;
  if (!r.skipped) return;
  ++skipped_;
  const auto text = str("step {}: loss is {}, gradient norm {}: update skipped ({} in a row)", trainer_->steps_done(),
                        dino::number_text(r.loss), dino::number_text(r.grad_norm), skipped_in_row_);
  say("  ! " + text);
  event("nan", text);
  if (config_.on_nan == "stop" || skipped_in_row_ >= 5) {
    dino::fail(dino::ErrorKind::numerical, "{}. Last checkpoint: step {}. Try a lower --lr, or --clip-grad 1", text,
               saved_step_);
  }
}

void Pretrain::write_step(const dino::StepReport& r, double wait) {
  metrics_->write(dino::Record("step")
                      .set("step", trainer_->steps_done())
                      .set("epoch", epochs_done())
                      .set("loss", r.loss)
                      .set("lr", r.lr)
                      .set("wd", r.weight_decay)
                      .set("momentum", r.momentum)
                      .set("teacher_temp", r.teacher_temp)
                      .set("grad_norm", r.grad_norm)
                      .set("clipped", r.clipped)
                      .set("teacher_entropy", r.teacher_entropy)
                      .set("kl", r.loss - r.teacher_entropy)
                      .set("batch_entropy", r.batch_entropy)
                      .set("center_norm", r.center_norm)
                      .set("feat_std", r.feature_std)
                      .set("img_s", progress_->images_per_second())
                      .set("data_wait", wait)
                      .set("mem", trainer_->peak_bytes())
                      .set("skipped", skipped_)
                      .set("bad_samples", bad_samples_));
}

void Pretrain::write_epoch() {
  metrics_->write(dino::Record("epoch")
                      .set("step", trainer_->steps_done())
                      .set("epoch", epochs_done())
                      .set("loss", epoch_.loss / epoch_.steps)
                      .set("teacher_entropy", epoch_.entropy / epoch_.steps)
                      .set("kl", (epoch_.loss - epoch_.entropy) / epoch_.steps)
                      .set("img_s", progress_->images_per_second())
                      .set("data_wait", epoch_.wait / epoch_.steps));
  epoch_ = {};
}

double Pretrain::epochs_done() const {
  return static_cast<double>(trainer_->steps_done()) / static_cast<double>(plan_.dino.steps_per_epoch);
}

bool Pretrain::knn_due(i64 done) const {
  if (!sets_.queries) return false;
  const i64 every = std::max<i64>(1, dino::steps_of_epochs(config_.eval_knn_every, plan_.dino.steps_per_epoch));
  return done % every == 0 || done == plan_.last_step;
}

bool Pretrain::save_due(i64 done) const {
  const auto& every = config_.save_every;
  if (done == plan_.last_step) return false;  // finish() saves
  switch (every.unit) {
    case dino::OptionInterval::Unit::steps:
      return done % std::max<i64>(1, static_cast<i64>(every.amount)) == 0;
    case dino::OptionInterval::Unit::epochs:
      return done % std::max<i64>(1, dino::steps_of_epochs(every.amount, plan_.dino.steps_per_epoch)) == 0;
    default:
      return dino::monotonic_seconds() - saved_time_ > every.amount;
  }
}

void Pretrain::report_bad(const dino::BadSample& bad) {
  ++bad_samples_;
  say(str("  ! bad image (#{}): {}; skipped", bad_samples_, bad.reason));
  dino::append_line(folder_.file("bad_samples.jsonl"), dino::to_json(dino::Record()
                                                                         .set("index", bad.index)
                                                                         .set("name", bad.name)
                                                                         .set("reason", bad.reason)
                                                                         .set("epoch", static_cast<i64>(bad.epoch))
                                                                         .set("step", bad.step)));
}

/// A sheet of the crops of the first images, as the network sees them before normalisation.
void Pretrain::write_sample_crops() {
  std::filesystem::create_directories(folder_.file("report"));
  const i64 images = std::min<i64>(6, sets_.train.size());
  std::vector<dino::Image> tiles;
  for (i64 i = 0; i < images; ++i) {
    try {
      const auto sample = sets_.train.get(i);
      for (i64 c = 0; c < crops_.crops(); ++c) tiles.push_back(crops_.crop_image(sample.image, 0, i, c));
    } catch (const dino::Error& error) {
      say(str("  ! sample crops: {}", error.what()));
    }
  }
  if (!tiles.empty()) dino::write_png(folder_.file("report/crops.png"), dino::contact_sheet(tiles, crops_.crops()));
}

}  // namespace programs
