#include "training_run.hpp"

#include "options.hpp"
#include "program.hpp"

#include <dino/io/clock.hpp>
#include <dino/io/pth.hpp>

#include <sstream>

namespace programs {

using dino::i64;
using dino::str;

namespace {

dino::RunRequest request(const dino::Options& options, const dino::CommonConfig& common, const dino::RunConfig& run,
                         const std::string& model) {
  dino::RunRequest r;
  r.program = std::string(dino::program_name(options.program()).substr(5));
  r.backbone = model;
  r.out = common.out;
  if (run.resume != "auto" && run.resume != "never") r.out = run.resume;
  if (run.experiment_num >= 0) r.version = run.experiment_num;
  r.resume = run.resume != "never";
  r.overwrite = run.overwrite;
  return r;
}

}  // namespace

TrainingRun::TrainingRun(const dino::Options& options, const dino::CommonConfig& common, const dino::RunConfig& run,
                         const std::string& model)
    : options_(options),
      common_(common),
      run_(run),
      folder_(request(options, common, run, model)),
      checkpoints_(folder_.checkpoints(),
                   {.keep = run.keep, .keep_every = run.keep_every, .verify = run.verify_checkpoints}) {}

std::optional<dino::LoadedCheckpoint> TrainingRun::restore() {
  if (!folder_.resumed() || run_.resume == "never") return std::nullopt;
  const auto before = read_options(options_.program(), {"--config", folder_.file("config.json").string()}, {});
  if (before.ok() && !run_.force_config) {
    const auto changes = dino::changed_since(before.options, options_);
    dino::require(changes.empty(), dino::ErrorKind::usage,
                  "{}: {} since the run was started. Use a new --out, or --force-config", folder_.path().string(),
                  dino::detail::name_list(changes));
  }
  auto loaded = checkpoints_.load_newest([&](const std::string& message) { say("resume: " + message); });
  if (loaded) say(str("resume: {} (step {})", loaded->path.string(), loaded->step));
  return loaded;
}

void TrainingRun::begin(i64 step, const std::vector<std::string>& command, const dino::Record& facts) {
  folder_.write_command(command);
  folder_.write_config(options_.to_json());
  folder_.write_environment(facts);
  metrics_.emplace(folder_.path(), step);
}

void TrainingRun::print_header(i64 threads, const std::string& device, const std::vector<std::string>& plan) {
  say(str("{}  {} threads", banner(), threads));
  say("device  " + device);
  for (const auto& line : plan) say(line);
  say("out     " + folder_.path().string());
  std::istringstream options(options_.describe(!common_.verbose));
  for (std::string line; std::getline(options, line);) say("  " + line);
}

void TrainingRun::start_progress(const dino::ProgressPlan& plan) {
  auto output = dino::standard_error();
  if (common_.quiet) output = {};
  output.log_every = run_.log_every;
  output.log = [this](std::string_view line) { folder_.log(line); };
  progress_.emplace(plan, output);
  event(plan.first_step, plan.first_step > 0 ? "resume" : "start", str("step {}", plan.first_step));
}

void TrainingRun::end_progress() {
  if (progress_) progress_->finish();
  progress_.reset();
}

void TrainingRun::say(const std::string& line) {
  if (progress_) return progress_->note(line);  // writes the log, too
  folder_.log(line);
  if (!common_.quiet) std::cerr << line << '\n';
}

void TrainingRun::event(i64 step, const std::string& what, const std::string& detail) {
  write(dino::Record("event").set("step", step).set("what", what).set("detail", detail));
}

dino::LoaderOptions TrainingRun::loading(i64 batch, i64 steps_per_epoch, i64 start) {
  dino::LoaderOptions o;
  o.batch = batch;
  o.seed = static_cast<dino::u64>(common_.seed);
  o.workers = common_.workers >= 0 ? common_.workers : 1;
  o.start = {static_cast<dino::u64>(start / steps_per_epoch), start % steps_per_epoch};
  o.max_bad_fraction = common_.max_bad_fraction;
  o.on_bad = [this](const dino::BadSample& bad) { report_bad(bad); };
  return o;
}

void TrainingRun::report_bad(const dino::BadSample& bad) {
  ++bad_samples_;
  say(str("  ! bad image (#{}): {}; skipped", bad_samples_, bad.reason));
  dino::append_line(folder_.file("bad_samples.jsonl"), dino::to_json(dino::Record()
                                                                         .set("index", bad.index)
                                                                         .set("name", bad.name)
                                                                         .set("reason", bad.reason)
                                                                         .set("epoch", static_cast<i64>(bad.epoch))
                                                                         .set("step", bad.step)));
}

void TrainingRun::count_update(i64 step, double loss, double grad_norm, bool skipped) {
  skipped_in_row_ = skipped ? skipped_in_row_ + 1 : 0;
  if (!skipped) return;
  ++skipped_;
  const auto text = str("step {}: loss is {}, gradient norm {}: update skipped ({} in a row)", step,
                        dino::number_text(loss), dino::number_text(grad_norm), skipped_in_row_);
  say("  ! " + text);
  event(step, "nan", text);
  if (run_.on_nan == "stop" || skipped_in_row_ >= 5) {
    dino::fail(dino::ErrorKind::numerical, "{}. Last checkpoint: step {}. Try a lower --lr{}", text, saved_step_,
               options_.program() == dino::Program::pretrain ? ", or --clip-grad 1" : "");
  }
}

void TrainingRun::start_clock(i64 step) {
  begun_ = saved_time_ = dino::monotonic_seconds();
  saved_step_ = step;
}

bool TrainingRun::time_is_over() {
  const bool over = run_.time_limit > 0 && dino::monotonic_seconds() - begun_ > run_.time_limit;
  if (over) say("time limit reached");
  return over;
}

bool TrainingRun::save_due(i64 step, i64 steps_per_epoch, i64 last_step) const {
  const auto& every = run_.save_every;
  if (step == last_step || every.amount == 0) return false;
  switch (every.unit) {
    case dino::OptionInterval::Unit::steps:
      return step % std::max<i64>(1, static_cast<i64>(every.amount)) == 0;
    case dino::OptionInterval::Unit::epochs:
      return step % std::max<i64>(1, dino::steps_of_epochs(every.amount, steps_per_epoch)) == 0;
    default:
      return dino::monotonic_seconds() - saved_time_ > every.amount;
  }
}

void TrainingRun::save(i64 step, const std::function<void(const Write&)>& save, const dino::Metadata& state) {
  save([&](const std::vector<dino::TensorView>& views) { checkpoints_.save(step, views, state); });
  saved_time_ = dino::monotonic_seconds();
  saved_step_ = step;
  event(step, "checkpoint", str("step {}", step));
}

std::string TrainingRun::continue_with(i64 step, i64 last_step) const {
  return str("saved step {}. Continue with:  {} --out {}{}", step, dino::program_name(options_.program()),
             folder_.path().string(), step >= last_step ? " --max-steps 0" : "");
}

}  // namespace programs
