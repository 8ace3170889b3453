// The beginning of a run: its folder, the checkpoint it goes on from, what it says first.
#include "pretrain.hpp"
#include "run.hpp"

#include "../common/options.hpp"
#include "../common/program.hpp"
#include "../common/settings.hpp"

#include <dino/eval/backbone.hpp>

namespace programs {

namespace {

dino::RunRequest request(const dino::PretrainConfig& c) {
  dino::RunRequest r;
  r.backbone = c.model.name;
  r.out = c.common.out;
  if (c.resume != "auto" && c.resume != "never") r.out = c.resume;
  if (c.experiment_num >= 0) r.version = c.experiment_num;
  r.resume = c.resume != "never";
  r.overwrite = c.overwrite;
  return r;
}

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
      folder_(request(config_)),
      ctx_(config_.common.threads),
      checkpoints_(folder_.checkpoints(),
                   {.keep = config_.keep, .keep_every = config_.keep_every, .verify = config_.verify_checkpoints}) {
  const auto resumed = folder_.resumed() && config_.resume != "never" ? restore() : std::nullopt;
  plan_ = make_plan(config_, sets_, crops_, resumed ? stored_micro_batch(*resumed) : 0);
  checkpoints_.preflight(plan_.checkpoint_bytes);
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
  folder_.write_command(command);
  folder_.write_config(options.to_json());
  folder_.write_environment(facts());
  metrics_.emplace(folder_.path(), trainer_->steps_done());
  for (const auto& record : dino::read_metrics(folder_.file("metrics.jsonl"))) {
    if (record.kind() != "eval") continue;
    if (record.text("name") == "knn_pixels") pixels_ = record.number("top1");
    if (record.text("name") == "knn_untrained") untrained_ = record.number("top1");
  }
  started_at_ = trainer_->steps_done();
}

/// The newest checkpoint of the folder, after a check that its settings are ours.
std::optional<dino::LoadedCheckpoint> Pretrain::restore() {
  const auto before = read_options(dino::Program::pretrain, {"--config", folder_.file("config.json").string()}, {});
  if (before.ok() && !config_.force_config) {
    const auto changes = dino::changed_since(before.options, options_);
    dino::require(changes.empty(), dino::ErrorKind::usage,
                  "{}: {} since the run was started. Use a new --out, or --force-config", folder_.path().string(),
                  dino::detail::name_list(changes));
  }
  auto loaded = checkpoints_.load_newest([&](const std::string& message) { say("resume: " + message); });
  if (loaded) say(str("resume: {} (step {})", loaded->path.string(), loaded->step));
  return loaded;
}

dino::Record Pretrain::facts() const {
  return dino::environment()
      .set("device", device_name())
      .set("threads", ctx_threads())
      .set("data", sets_.description)
      .set("micro_batch", trainer_->config().micro_batch);
}

void Pretrain::print_header() {
  say(str("{}  {} threads", banner(), ctx_threads()));
  say("device  " + device_.why);
  for (const auto& line : plan_.lines) say(line);
  say("out     " + folder_.path().string());
  std::istringstream options(options_.describe(!config_.common.verbose));
  for (std::string line; std::getline(options, line);) say("  " + line);
}

void Pretrain::start_progress() {
  auto output = dino::standard_error();
  if (config_.common.quiet) output = {};
  output.log_every = config_.log_every;
  output.log = [this](std::string_view line) { folder_.log(line); };
  progress_.emplace(dino::ProgressPlan{.epochs = (trainer_->config().total_steps + plan_.dino.steps_per_epoch - 1) /
                                                 plan_.dino.steps_per_epoch,
                                       .steps_per_epoch = plan_.dino.steps_per_epoch,
                                       .samples_per_step = config_.batch_size,
                                       .first_step = trainer_->steps_done(),
                                       .last_step = plan_.last_step,
                                       .ln_k = std::log(static_cast<double>(config_.k_dim))},
                    output);
}

}  // namespace programs
