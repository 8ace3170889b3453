// Evaluation and checkpoints of linear classifiers, and what a run leaves at its end.
#include "linear_run.hpp"

#include "../common/report.hpp"
#include "results.hpp"

#include <dino/eval/linear_sweep.hpp>

namespace programs {

/// The best result so far, from the metrics up to the step that the run goes on from.
void LinearRun::restore_history() {
  for (const auto& record : dino::read_metrics(run_->folder().file("metrics.jsonl"))) {
    if (record.kind() != "eval" || !(record.number("top1") > best_top1_)) continue;
    best_top1_ = record.number("top1");
    best_step_ = static_cast<i64>(record.number("step"));
    best_head_ = static_cast<i64>(record.number("head"));
  }
}

/// Of several heads, the figures are those of the best one.
void LinearRun::evaluate() {
  const i64 done = probe_->steps_done();
  const auto accuracies = probe_->accuracies(test_);
  const i64 head = dino::best_head(accuracies);
  const auto m = probe_->evaluate(test_, head);
  auto record = dino::Record("eval").set("step", done).set("epoch", epochs_done()).set("name", "linear");
  record.set("head", head).set("probe", lbfgs() ? "lbfgs" : settings_.heads[static_cast<size_t>(head)].name);
  dino::add_classification(record, m);
  run_->write(record);
  const bool best = m.top1() > best_top1_;
  run_->say(str("  + {}{}   step {}{}", metrics_text(m), best ? "  (best)" : "", done,
                accuracies.size() > 1 ? "  " + settings_.heads[static_cast<size_t>(head)].name : ""));
  if (accuracies.size() > 1) write_heads(accuracies);
  if (!best) return;
  best_top1_ = m.top1();
  best_step_ = done;
  best_head_ = head;
  write_metrics(run_->folder().file("report"), m, sets_.classes());
  export_head("best_", head);
}

/// heads.csv: the accuracy of every head at the last evaluation.
void LinearRun::write_heads(const std::vector<double>& accuracies) const {
  std::string text = "head,columns,lr,top1\n";
  for (size_t i = 0; i < accuracies.size(); ++i) {
    const auto& h = settings_.heads[i];
    text +=
        str("{},{}..{},{},{}\n", h.name, h.begin, h.end - 1, dino::number_text(h.lr), dino::number_text(accuracies[i]));
  }
  std::filesystem::create_directories(run_->folder().file("report"));
  dino::write_file_atomic(run_->folder().file("report/heads.csv"), text);
}

void LinearRun::save() {
  const i64 done = probe_->steps_done();
  run_->save(done, [&](const TrainingRun::Write& write) { probe_->save(write); },
             {{"epoch", std::to_string(done / steps_per_epoch_)},
              {"seed", std::to_string(config_.common.seed)},
              {"device", device_name()},
              {"backbone", backbone_->hash()}});
}

/// <prefix>classifier.safetensors: backbone and head, for --predict and --eval-only. Beside it, where the head sees
/// more than the last class token, <prefix>linear.safetensors: the head alone.
void LinearRun::export_head(const std::string& prefix, i64 index) {
  const auto& at =
      lbfgs() ? dino::ProbeHead{"lbfgs", 0, backbone_->dim(), 1} : settings_.heads[static_cast<size_t>(index)];
  const i64 width = model_.info.vit.dim, columns = at.end - at.begin;
  const bool pooled = at.end > input_.blocks * width;
  const auto trained = probe_->head(index);
  dino::LinearHead head{{columns / width - (pooled ? 1 : 0), pooled}, {}, sets_.classes()};
  head.tensors.add("weight", dino::tensor_data({settings_.classes, columns}, trained.weight));
  head.tensors.add("bias", dino::tensor_data({settings_.classes}, trained.bias));
  auto info = model_.info;
  info.name = model_name(info);
  info.source = run_->folder().path().string();
  info.step = probe_->steps_done();
  const auto folder = run_->folder().exports();
  backbone_->with_weights([&](const std::vector<dino::TensorView>& weights) {
    dino::write_classifier(folder / (prefix + "classifier.safetensors"), weights, head, info);
  });
  if (!head.input.class_token_only()) {
    dino::write_linear_head(folder / (prefix + "linear.safetensors"), head, info);
  }
}

void LinearRun::finish() {
  const i64 done = probe_->steps_done();
  if (run_->saved_step() != done || started_at_ == done) save();
  export_head("", best_head_);
  run_->event(done, "stop", str("step {}", done));
  const auto page = write_run_report(run_->folder().path());
  run_->end_progress();
  if (best_step_ >= 0) {
    run_->say(str("best    top-1 {} % at step {}{}", dino::number_text(std::round(best_top1_ * 100) / 100), best_step_,
                  settings_.heads.size() > 1 ? ", " + settings_.heads[static_cast<size_t>(best_head_)].name : ""));
    run_->say("        " + (run_->folder().file("report") / "confusion.csv").string() +
              ", confusion.png, class_accuracy.csv");
  }
  run_->say("wrote   " + (run_->folder().exports() / "classifier.safetensors").string());
  run_->say("        " + page.string());
  if (!probe_->finished()) {
    run_->say(run_->continue_with(done, last_step_));
  } else {
    run_->say(str("next:   dino_finetune --weights {} --predict IMAGES", run_->folder().path().string()));
  }
}

}  // namespace programs
