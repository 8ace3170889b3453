// Checkpoints, and what a run leaves at its end.
#include "pretrain.hpp"
#include "run.hpp"

#include "../common/settings.hpp"

#include <dino/io/clock.hpp>

namespace programs {

void Pretrain::save() {
  const i64 done = trainer_->steps_done();
  trainer_->save([&](const std::vector<dino::TensorView>& views) {
    checkpoints_.save(done, views,
                      {{"epoch", std::to_string(done / plan_.dino.steps_per_epoch)},
                       {"cursor", std::to_string(done % plan_.dino.steps_per_epoch)},
                       {"seed", std::to_string(config_.common.seed)},
                       {"micro_batch", std::to_string(trainer_->config().micro_batch)},
                       {"device", device_name()},
                       {"window", epoch_.text()},
                       {"model", dino::model_text(exported_info())}});
  });
  saved_time_ = dino::monotonic_seconds();
  saved_step_ = done;
  event("checkpoint", str("step {}", done));
}

dino::BackboneInfo Pretrain::exported_info() const {
  auto info = backbone_info(config_.model);
  info.source = folder_.path().string();
  info.step = trainer_->steps_done();
  return info;
}

void Pretrain::finish() {
  if (saved_step_ != trainer_->steps_done() || started_at_ == trainer_->steps_done()) save();
  trainer_->export_teacher(folder_.exports() / "teacher_backbone.safetensors", exported_info());
  const auto done = trainer_->steps_done();
  event("stop", str("step {}", done));
  const auto page = write_run_report(folder_.path());
  progress_->finish();
  progress_.reset();
  if (pixels_ || untrained_ || trained_) say(comparison());
  say("wrote   " + (folder_.exports() / "teacher_backbone.safetensors").string());
  say("        " + page.string());
  if (done < plan_.last_step || done < trainer_->config().total_steps) {
    say(str("saved step {}. Continue with:  dino_pretrain --out {}{}", done, folder_.path().string(),
            done >= plan_.last_step ? " --max-steps 0" : ""));
  } else {
    say(str("next:   dino_knn --weights {} --data {}", folder_.path().string(), config_.common.data));
  }
}

}  // namespace programs
