// The steps of a run, and what is written about each.
#include "run.hpp"

#include "../common/program.hpp"

#include <dino/io/clock.hpp>
#include <dino/io/contact_sheet.hpp>
#include <dino/io/image_write.hpp>

namespace programs {

int Pretrain::run() {
  run_.print_header(ctx_threads(), device_.why, plan_.lines);
  if (trainer_->steps_done() >= plan_.last_step) {
    run_.say(str("finished: {} of {} steps are done. Nothing to do", trainer_->steps_done(), plan_.last_step));
    return 0;
  }
  attempt("sample crops", [&] { write_sample_crops(); });
  start_progress();
  if (started_at_ == 0) {
    measure_baselines();
    attend();
  }
  train();
  finish();
  return exit_code();
}

void Pretrain::train() {
  const auto loading = run_.loading(config_.batch_size, plan_.dino.steps_per_epoch, trainer_->steps_done());
  dino::Loader loader(sets_.train, crops_, loading);
  dino::HealthMonitor health(config_.k_dim, config_.model.embed_dim, trainer_->config().warmup_steps);
  run_.start_clock(trainer_->steps_done());
  while (trainer_->steps_done() < plan_.last_step && stop_signal() == 0) {
    const auto& batch = loader.next();
    const double before = dino::monotonic_seconds();
    const auto report = trainer_->step(batch);
    after_step(report, batch, dino::monotonic_seconds() - before, health);
    if (run_.time_is_over()) break;
  }
}

void Pretrain::after_step(const dino::StepReport& r, const dino::Batch& batch, double seconds,
                          dino::HealthMonitor& health) {
  const i64 done = trainer_->steps_done();
  run_.count_update(done, r.loss, r.grad_norm, r.skipped);
  const double wait = batch.wait_seconds / (batch.wait_seconds + seconds);
  epoch_.add(r, wait);
  run_.show({.step = done, .loss = r.loss, .lr = r.lr, .data_wait = wait});
  if (done % std::max<i64>(1, config_.run.log_every) == 0 || done == plan_.last_step || done == started_at_ + 1)
    write_step(r, wait);
  for (const auto& alarm : health.observe(done, {r.loss, r.teacher_entropy, r.batch_entropy, r.feature_std})) {
    run_.say("  ! " + alarm);
    run_.event(done, "collapse", alarm);
    if (config_.on_collapse == "stop") {
      save();
      dino::fail(dino::ErrorKind::numerical, "{}. Saved step {}", alarm, done);
    }
  }
  const bool epoch_end = done % plan_.dino.steps_per_epoch == 0;
  if (epoch_end) write_epoch();
  if (evaluation_due(done)) evaluate();
  if (run_.save_due(done, plan_.dino.steps_per_epoch, plan_.last_step)) save();
}

void Pretrain::write_step(const dino::StepReport& r, double wait) {
  run_.write(dino::Record("step")
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
                 .set("img_s", run_.images_per_second())
                 .set("data_wait", wait)
                 .set("mem", trainer_->peak_bytes())
                 .set("skipped", run_.skipped())
                 .set("bad_samples", run_.bad_samples()));
}

void Pretrain::write_epoch() {
  run_.write(dino::Record("epoch")
                 .set("step", trainer_->steps_done())
                 .set("epoch", epochs_done())
                 .set("loss", epoch_.loss / epoch_.steps)
                 .set("teacher_entropy", epoch_.entropy / epoch_.steps)
                 .set("kl", (epoch_.loss - epoch_.entropy) / epoch_.steps)
                 .set("img_s", run_.images_per_second())
                 .set("data_wait", epoch_.wait / epoch_.steps));
  epoch_ = {};
}

double Pretrain::epochs_done() const {
  return static_cast<double>(trainer_->steps_done()) / static_cast<double>(plan_.dino.steps_per_epoch);
}

bool Pretrain::evaluation_due(i64 done) const {
  if (config_.eval_knn_every <= 0) return false;
  const i64 every = std::max<i64>(1, dino::steps_of_epochs(config_.eval_knn_every, plan_.dino.steps_per_epoch));
  return done % every == 0 || done == plan_.last_step;
}

/// A sheet of the crops of the first images, as the network sees them before normalisation.
void Pretrain::write_sample_crops() {
  std::filesystem::create_directories(run_.folder().file("report"));
  const i64 images = std::min<i64>(6, sets_.train.size());
  std::vector<dino::Image> tiles;
  for (i64 i = 0; i < images; ++i) {
    try {
      const auto sample = sets_.train.get(i);
      for (i64 c = 0; c < crops_.crops(); ++c) tiles.push_back(crops_.crop_image(sample.image, 0, i, c));
    } catch (const dino::Error& error) {
      run_.say(str("  ! sample crops: {}", error.what()));
    }
  }
  if (!tiles.empty()) {
    dino::write_png(run_.folder().file("report/crops.png"),
                    dino::contact_sheet(tiles, crops_.crops(), {.paper = {32, 36, 41}}, 2));
  }
}

}  // namespace programs
