// A pre-training run: data, trainer, k-NN, checkpoints, metrics and report, in one folder.
#include "pretrain.hpp"

#include "../common/program.hpp"
#include "../common/settings.hpp"
#include "plan.hpp"

#include <dino/eval/backbone.hpp>
#include <dino/eval/knn.hpp>
#include <dino/io/checkpoint.hpp>
#include <dino/io/contact_sheet.hpp>
#include <dino/io/image.hpp>
#include <dino/io/metrics.hpp>
#include <dino/io/progress.hpp>
#include <dino/ssl/health.hpp>
#include <dino/ssl/trainer_state.hpp>

#include <optional>

namespace programs {

using dino::i64;
using dino::str;
using Trainer = dino::DinoTrainer<float, dino::HostDevice>;

namespace {

class Pretrain {
 public:
  Pretrain(const dino::Options& options, const std::vector<std::string>& command)
      : options_(options),
        config_(dino::resolve_pretrain(options)),
        sets_(open_sets(config_)),
        crops_(crop_settings(config_), static_cast<dino::u64>(config_.common.seed)),
        folder_(request(config_)),
        ctx_(config_.common.threads),
        checkpoints_(folder_.checkpoints(),
                     {.keep = config_.keep, .keep_every = config_.keep_every, .verify = config_.verify_checkpoints}) {
    const auto resumed = folder_.resumed() && config_.resume != "never" ? restore() : std::nullopt;
    plan_ = make_plan(config_, sets_, crops_, resumed ? stored_micro_batch(*resumed) : 0);
    checkpoints_.preflight(plan_.checkpoint_bytes);
    trainer_.emplace(ctx_, plan_.dino, plan_.groups);
    if (resumed) {
      dino::load_trainer(*trainer_, resumed->state, resumed->step, resumed->path.string());
      const auto window = resumed->state.metadata.find("window");
      if (window != resumed->state.metadata.end()) epoch_.read(window->second);
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

  const std::filesystem::path& folder() const { return folder_.path(); }

  /// Trains to the end, to --max-steps, to --time-limit, or to a signal; returns the exit code.
  int run() {
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

 private:
  static dino::RunRequest request(const dino::PretrainConfig& c) {
    dino::RunRequest r;
    r.backbone = c.model.name;
    r.out = c.common.out;
    if (c.resume != "auto" && c.resume != "never") r.out = c.resume;
    if (c.experiment_num >= 0) r.version = c.experiment_num;
    r.resume = c.resume != "never";
    r.overwrite = c.overwrite;
    return r;
  }

  /// The newest checkpoint of the folder, after a check that its settings are ours.
  std::optional<dino::LoadedCheckpoint> restore() {
    const auto before = read_options({"--config", folder_.file("config.json").string()}, {});
    if (before.ok() && !config_.force_config) {
      const auto changes = dino::changed_since(before.options, options_);
      dino::require(changes.empty(), dino::ErrorKind::usage,
                    "{}: {} since the run was started. Use a new --out, or --force-config", folder().string(),
                    dino::detail::name_list(changes));
    }
    auto loaded = checkpoints_.load_newest([&](const std::string& message) { say("resume: " + message); });
    if (loaded) say(str("resume: {} (step {})", loaded->path.string(), loaded->step));
    return loaded;
  }

  static i64 stored_micro_batch(const dino::LoadedCheckpoint& resumed) {
    const auto stored = resumed.state.metadata.find("micro_batch");
    return stored == resumed.state.metadata.end() ? 0 : std::stoll(stored->second);
  }

  dino::Record facts() const {
    return dino::environment()
        .set("device", "cpu")
        .set("threads", ctx_threads())
        .set("data", sets_.description)
        .set("micro_batch", trainer_->config().micro_batch);
  }
  i64 ctx_threads() const { return const_cast<dino::HostContext&>(ctx_).threads().threads(); }

  void say(const std::string& line) {
    folder_.log(line);
    if (progress_) {
      progress_->note(line);
    } else if (!config_.common.quiet) {
      std::cerr << line << '\n';
    }
  }
  void event(const std::string& what, const std::string& detail) {
    metrics_->write(dino::Record("event").set("step", trainer_->steps_done()).set("what", what).set("detail", detail));
  }

  void print_header() {
    say(str("{}  {} threads", banner(), ctx_threads()));
    for (const auto& line : plan_.lines) say(line);
    say("out     " + folder().string());
    std::istringstream options(options_.describe(!config_.common.verbose));
    for (std::string line; std::getline(options, line);) say("  " + line);
  }

  void start_progress() {
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

  /// A sheet of the crops of the first images, as the network sees them before normalisation.
  void write_sample_crops() {
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

  dino::EvalTransform transform() const {
    return dino::EvalTransform{
        .size = config_.model.image_size, .mean = config_.model.mean, .deviation = config_.model.deviation};
  }

  void record_knn(const std::vector<dino::KnnScore>& scores, const std::string& baseline) {
    for (const auto& s : scores) {
      auto record = dino::Record("eval")
                        .set("step", trainer_->steps_done())
                        .set("name", baseline.empty() ? "knn" : "knn_" + baseline)
                        .set("k", s.k);
      metrics_->write(record.set("top1", s.top1).set("top5", s.top5));
    }
  }

  std::vector<dino::KnnScore> knn(auto features) {
    auto bank = features(*sets_.bank), queries = features(*sets_.queries);
    dino::normalize_rows(ctx_, bank);
    dino::normalize_rows(ctx_, queries);
    return dino::knn_accuracy(ctx_, queries, bank, {knn_k});
  }
  std::vector<dino::KnnScore> teacher_knn() {
    return knn([&](const dino::AnyDataset& set) {
      return dino::extract_features<float>(ctx_, ctx_, trainer_->teacher().backbone, set, transform());
    });
  }

  /// What k-NN gives without training: the pixels, where they are few, and the backbone with its first weights.
  void measure_baselines() {
    if (!sets_.queries) return;
    constexpr i64 few = 64;  // a side: more pixels say less and cost more
    if (config_.model.image_size <= few) {
      pixels_ = knn([&](const dino::AnyDataset& set) { return dino::pixel_features(ctx_, set, transform()); })[0].top1;
      record_knn({{knn_k, *pixels_, 0}}, "pixels");
    }
    untrained_ = teacher_knn()[0].top1;
    record_knn({{knn_k, *untrained_, 0}}, "untrained");
  }

  void train() {
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

  void after_step(const dino::StepReport& r, const dino::Batch& batch, double seconds, dino::HealthMonitor& health) {
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

  void check_finite(const dino::StepReport& r) {
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

  void write_step(const dino::StepReport& r, double wait) {
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
                        .set("mem", ctx_.pool().peak_bytes())
                        .set("skipped", skipped_)
                        .set("bad_samples", bad_samples_));
  }

  void write_epoch() {
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

  double epochs_done() const {
    return static_cast<double>(trainer_->steps_done()) / static_cast<double>(plan_.dino.steps_per_epoch);
  }

  bool knn_due(i64 done) const {
    if (!sets_.queries) return false;
    const i64 every = std::max<i64>(1, dino::steps_of_epochs(config_.eval_knn_every, plan_.dino.steps_per_epoch));
    return done % every == 0 || done == plan_.last_step;
  }
  void evaluate() {
    const auto scores = teacher_knn();
    trained_ = scores[0].top1;
    record_knn(scores, "");
    say(str("  + k-NN({}) {} %   step {}", scores[0].k, dino::number_text(std::round(scores[0].top1 * 10) / 10),
            trainer_->steps_done()));
  }

  bool save_due(i64 done) const {
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
  void save() {
    std::vector<i64> counts;
    const auto views = dino::trainer_views(*trainer_, counts);
    const i64 done = trainer_->steps_done();
    checkpoints_.save(done, views,
                      {{"epoch", std::to_string(done / plan_.dino.steps_per_epoch)},
                       {"cursor", std::to_string(done % plan_.dino.steps_per_epoch)},
                       {"seed", std::to_string(config_.common.seed)},
                       {"micro_batch", std::to_string(trainer_->config().micro_batch)},
                       {"device", "cpu"},
                       {"window", epoch_.text()},
                       {"model", dino::model_text(exported_info())}});
    saved_time_ = dino::monotonic_seconds();
    saved_step_ = done;
    event("checkpoint", str("step {}", done));
  }
  dino::BackboneInfo exported_info() const {
    auto info = backbone_info(config_.model);
    info.source = folder().string();
    info.step = trainer_->steps_done();
    return info;
  }

  void report_bad(const dino::BadSample& bad) {
    ++bad_samples_;
    say(str("  ! bad image (#{}): {}; skipped", bad_samples_, bad.reason));
    dino::append_line(folder_.file("bad_samples.jsonl"), dino::to_json(dino::Record()
                                                                           .set("index", bad.index)
                                                                           .set("name", bad.name)
                                                                           .set("reason", bad.reason)
                                                                           .set("epoch", static_cast<i64>(bad.epoch))
                                                                           .set("step", bad.step)));
  }

  void finish() {
    if (saved_step_ != trainer_->steps_done() || started_at_ == trainer_->steps_done()) save();
    dino::export_backbone(folder_.exports() / "teacher_backbone.safetensors", trainer_->teacher_params(),
                          exported_info());
    const auto done = trainer_->steps_done();
    event("stop", str("step {}", done));
    const auto page = write_run_report(folder());
    progress_->finish();
    progress_.reset();
    if (pixels_ || untrained_ || trained_) say(comparison());
    say("wrote   " + (folder_.exports() / "teacher_backbone.safetensors").string());
    say("        " + page.string());
    if (done < plan_.last_step || done < trainer_->config().total_steps) {
      say(str("saved step {}. Continue with:  dino_pretrain --out {}{}", done, folder().string(),
              done >= plan_.last_step ? " --max-steps 0" : ""));
    } else {
      say(str("next:   dino_knn --weights {} --data {}", folder().string(), config_.common.data));
    }
  }

  std::string comparison() const {
    const auto percent = [](const std::optional<double>& x) {
      return x ? dino::number_text(std::round(*x * 10) / 10) + " %" : std::string("-");
    };
    return str("k-NN({})  raw pixels {}   untrained backbone {}   trained teacher {}", knn_k, percent(pixels_),
               percent(untrained_), percent(trained_));
  }

  struct EpochSums {
    double loss = 0, entropy = 0, wait = 0, steps = 0;
    void add(const dino::StepReport& r, double waited) {
      if (r.skipped) return;
      loss += r.loss, entropy += r.teacher_entropy, wait += waited, steps += 1;
    }
    std::string text() const {
      return str("{} {} {} {}", dino::number_text(loss), dino::number_text(entropy), dino::number_text(wait),
                 dino::number_text(steps));
    }
    void read(const std::string& text) { std::istringstream(text) >> loss >> entropy >> wait >> steps; }
  };

  static constexpr i64 knn_k = 20;

  const dino::Options& options_;
  dino::PretrainConfig config_;
  Sets sets_;
  dino::MultiCrop crops_;
  dino::RunDir folder_;
  dino::HostContext ctx_;
  dino::CheckpointFolder checkpoints_;
  std::optional<Trainer> trainer_;
  std::optional<dino::Metrics> metrics_;
  std::optional<dino::Progress> progress_;
  std::optional<double> pixels_, untrained_, trained_;
  EpochSums epoch_;
  Plan plan_;
  i64 started_at_ = 0, saved_step_ = -1;
  i64 skipped_ = 0, skipped_in_row_ = 0, bad_samples_ = 0;
  double saved_time_ = 0;
};

}  // namespace

int pretrain(const dino::Options& options, const std::vector<std::string>& command) {
  const auto config = dino::resolve_pretrain(options);
  if (config.common.dry_run) {
    const auto sets = open_sets(config);
    const auto plan = make_plan(config, sets, dino::MultiCrop(crop_settings(config), 0), 0);
    for (const auto& line : plan.lines) std::cout << line << '\n';
    return 0;
  }
  stop_on_signals();
  return Pretrain(options, command).run();
}

}  // namespace programs
