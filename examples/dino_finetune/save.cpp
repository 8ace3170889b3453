// Evaluation and checkpoints, and what a run leaves at its end.
#include "run.hpp"

#include "../common/report.hpp"
#include "results.hpp"

namespace programs {

/// The best result so far, from the metrics up to the step that the run goes on from.
void Finetune::restore_history() {
  for (const auto& record : dino::read_metrics(run_->folder().file("metrics.jsonl"))) {
    const auto step = record.kind() == "eval" ? static_cast<i64>(record.number("step")) : -1;
    if (step < 0 || !evaluation_planned(step) || !(record.number("top1") > best_top1_)) continue;
    best_top1_ = record.number("top1");
    best_step_ = step;
  }
  if (best_step_ >= 0) run_->checkpoints().protect(best_step_);
}

void Finetune::evaluate() {
  const i64 done = trainer_->steps_done();
  dino::BadImages bad(sets_->test.size(), config_.common.max_bad_fraction);
  const auto logits = trainer_->logits(ctx_, sets_->test, model_->transform(), &bad);
  if (!tested_) {  // once, not in every evaluation
    for (const auto& reason : logits.skipped) run_->say("  ! bad test image: " + reason + "; skipped");
  }
  tested_ = true;
  const auto m = metrics_of(logits, settings_.classes, sets_->test.title());
  auto record = dino::Record("eval").set("step", done).set("epoch", epochs_done()).set("name", "finetune");
  dino::add_classification(record, m);
  run_->write(record);
  const bool best = evaluation_planned(done) && m.top1() > best_top1_;
  run_->say(str("  + {}{}   step {}", metrics_text(m), best ? "  (best)" : "", done));
  if (best || best_step_ < 0) write_metrics(run_->folder().file("report"), m, sets_->classes());
  if (!best) return;
  best_top1_ = m.top1();
  best_step_ = done;
  trainer_->export_to(run_->folder().exports() / "best_classifier.safetensors", exported_info(), sets_->classes());
  run_->checkpoints().protect(done);
  save();
}

void Finetune::save() {
  const i64 done = trainer_->steps_done();
  run_->save(done, [&](const TrainingRun::Write& write) { trainer_->save(write); },
             {{"epoch", std::to_string(done / steps_per_epoch_)},
              {"cursor", std::to_string(done % steps_per_epoch_)},
              {"seed", std::to_string(config_.common.seed)},
              {"micro_batch", std::to_string(settings_.micro_batch)},
              {"device", device_name()},
              {"window", epoch_.text()},
              {"model", dino::model_text(exported_info())}});
}

dino::BackboneInfo Finetune::exported_info() const {
  auto info = model_->info;
  info.name = model_name(info);
  info.source = run_->folder().path().string();
  info.step = trainer_->steps_done();
  return info;
}

void Finetune::finish() {
  const i64 done = trainer_->steps_done();
  if (run_->saved_step() != done || started_at_ == done) save();
  const auto& folder = run_->folder();
  trainer_->export_to(folder.exports() / "classifier.safetensors", exported_info(), sets_->classes());
  run_->event(done, "stop", str("step {}", done));
  const auto page = write_run_report(folder.path());
  run_->end_progress();
  if (best_step_ >= 0)
    run_->say(str("best    top-1 {} % at step {}", dino::number_text(std::round(best_top1_ * 100) / 100), best_step_));
  run_->say("wrote   " + (folder.exports() / "classifier.safetensors").string());
  if (best_step_ >= 0) {
    run_->say("        " + (folder.exports() / "best_classifier.safetensors").string());
    run_->say("        " + (folder.file("report") / "confusion.csv").string() + ", confusion.png, class_accuracy.csv");
  }
  run_->say("        " + page.string());
  if (done < last_step_ || done < settings_.total_steps) {
    run_->say(run_->continue_with(done, last_step_));
  } else {
    run_->say(str("next:   dino_finetune --weights {} --predict IMAGES", folder.path().string()));
  }
}

}  // namespace programs
