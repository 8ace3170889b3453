// The beginning of a run: its folder, the checkpoint it goes on from, what it says first.
#include "pretrain.hpp"
#include "run.hpp"

#include "../common/settings.hpp"

#include <dino/eval/backbone.hpp>

namespace programs {

namespace {

i64 stored_micro_batch(const dino::LoadedCheckpoint& resumed) {
  const auto stored = resumed.state.metadata.find("micro_batch");
  return stored == resumed.state.metadata.end() ? 0 : std::stoll(stored->second);
}

}  // namespace

Pretrain::Pretrain(const dino::Options& options, const std::vector<std::string>& command)
    : options_(options),
      config_(dino::resolve_pretrain(options)),
      device_(dino::choose_device(config_.common.device)),
      sets_(open_sets(config_)),
      crops_(crop_settings(config_), static_cast<dino::u64>(config_.common.seed)),
      run_(options, config_.common, config_.run, config_.model.name),
      ctx_(config_.common.threads),
      pictures_(run_.folder().path(), sets_, transform()) {
  const auto resumed = run_.restore();
  plan_ = make_plan(config_, sets_, crops_, resumed ? stored_micro_batch(*resumed) : 0);
  run_.checkpoints().preflight(plan_.checkpoint_bytes);
  trainer_ = make_training(device_, config_.common.precision, ctx_, plan_.dino, plan_.groups);
  if (resumed) {
    trainer_->load(resumed->state, resumed->step, resumed->path.string());
    const auto window = resumed->state.metadata.find("window");
    if (window != resumed->state.metadata.end()) epoch_.read(window->second);
  } else if (!config_.init_weights.empty()) {
    const auto file = dino::weights_file(config_.init_weights);
    const auto notes = trainer_->start_from(dino::read_weights(file), file.string(), config_.interpolate_pos_embed);
    plan_.lines.push_back("start   " + file.string());
    for (const auto& note : notes) plan_.lines.push_back("        " + note);
  }
  run_.begin(trainer_->steps_done(), command, facts());
  for (const auto& record : dino::read_metrics(run_.folder().file("metrics.jsonl"))) {
    if (record.kind() != "eval") continue;
    if (record.text("name") == "knn_pixels") pixels_ = record.number("top1");
    if (record.text("name") == "knn_untrained") untrained_ = record.number("top1");
  }
  started_at_ = trainer_->steps_done();
}

dino::Record Pretrain::facts() const {
  return dino::environment()
      .set("device", device_name())
      .set("threads", ctx_threads())
      .set("data", sets_.description)
      .set("micro_batch", trainer_->config().micro_batch);
}

void Pretrain::start_progress() {
  run_.start_progress(
      {.epochs = (trainer_->config().total_steps + plan_.dino.steps_per_epoch - 1) / plan_.dino.steps_per_epoch,
       .steps_per_epoch = plan_.dino.steps_per_epoch,
       .samples_per_step = config_.batch_size,
       .first_step = trainer_->steps_done(),
       .last_step = plan_.last_step,
       .ln_k = std::log(static_cast<double>(config_.k_dim))});
}

}  // namespace programs
