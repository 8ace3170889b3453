// Checkpoints, and what a run leaves at its end.
#include "pretrain.hpp"
#include "run.hpp"

#include "../common/report.hpp"
#include "../common/settings.hpp"

namespace programs {

void Pretrain::save() {
  const i64 done = trainer_->steps_done();
  run_.save(done, [&](const TrainingRun::Write& write) { trainer_->save(write); },
            {{"epoch", std::to_string(done / plan_.dino.steps_per_epoch)},
             {"cursor", std::to_string(done % plan_.dino.steps_per_epoch)},
             {"seed", std::to_string(config_.common.seed)},
             {"micro_batch", std::to_string(trainer_->config().micro_batch)},
             {"device", device_name()},
             {"window", epoch_.text()},
             {"model", dino::model_text(exported_info())}});
}

dino::BackboneInfo Pretrain::exported_info() const {
  auto info = backbone_info(config_.model);
  info.source = run_.folder().path().string();
  info.step = trainer_->steps_done();
  return info;
}

void Pretrain::finish() {
  if (run_.saved_step() != trainer_->steps_done() || started_at_ == trainer_->steps_done()) save();
  trainer_->export_teacher(run_.folder().exports() / "teacher_backbone.safetensors", exported_info());
  const auto done = trainer_->steps_done();
  run_.event(done, "stop", str("step {}", done));
  draw_pictures();
  const auto& folder = run_.folder().path();
  const auto page = write_run_report(folder);
  run_.end_progress();
  if (pixels_ || untrained_ || trained_) run_.say(comparison());
  run_.say("wrote   " + (run_.folder().exports() / "teacher_backbone.safetensors").string());
  run_.say("        " + page.string());
  if (done < plan_.last_step || done < trainer_->config().total_steps) {
    run_.say(run_.continue_with(done, plan_.last_step));
  } else {
    run_.say(str("next:   dino_knn --weights {} --data {}", folder.string(), config_.common.data));
  }
}

}  // namespace programs
