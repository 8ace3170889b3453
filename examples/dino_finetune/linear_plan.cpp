// The beginning of a linear run: weights, data, features, heads, and the checkpoint it goes on from.
#include "linear_run.hpp"

#include "../common/settings.hpp"

#include <dino/eval/linear_sweep.hpp>
#include <dino/io/file.hpp>

namespace programs {

namespace {

/// Where the folder of a run is the configuration, it names a backbone whether somebody asked for it or not: there the
/// weights decide.
dino::FinetuneConfig own_config(const dino::Options& options) {
  auto c = dino::resolve_finetune(options);
  if (out_is_run(c) || (c.run.resume != "auto" && c.run.resume != "never")) c.model.backbone_is_set = false;
  return c;
}

}  // namespace

LinearRun::LinearRun(const dino::Options& options, const std::vector<std::string>& command)
    : options_(options),
      config_(own_config(options)),
      device_(dino::choose_device(config_.common.device)),
      ctx_(config_.common.threads),
      model_(start_model(config_)),
      sets_(open_labelled_sets(config_, model_.info.vit.image_size)),
      input_(choose_input()) {
  make_settings();
  make_plan();
  if (config_.common.dry_run) return;
  run_.emplace(options, config_.common, config_.run, model_name(model_.info));
  const auto resumed = run_->restore();
  backbone_ = make_backbone(device_, config_.common.precision, ctx_, model_,
                            static_cast<dino::u64>(config_.common.seed), input_);
  run_->print_header(ctx_.threads().threads(), device_.why, lines_);
  make_training(resumed);
  started_at_ = probe_->steps_done();
  run_->begin(started_at_, command, facts());
  restore_history();
}

/// What the protocols say for the backbone at hand, where the options leave it open.
dino::ProbeInput LinearRun::choose_input() const {
  const auto& vit = model_.info.vit;
  const bool base = vit.dim == 768 && vit.depth == 12, sweep = config_.probe == "sweep";
  const bool several = sweep || (config_.probe == "dino" && !base);
  dino::ProbeInput input{config_.n_last_blocks, config_.avgpool_patchtokens};
  if (!options_.is_set("n_last_blocks")) input.blocks = several ? std::min<i64>(4, vit.depth) : 1;
  if (!options_.is_set("avgpool_patchtokens")) input.pooled = sweep || (config_.probe == "dino" && base);
  dino::require(input.blocks <= vit.depth, dino::ErrorKind::usage, "n_last_blocks = {}: the backbone has {} blocks",
                input.blocks, vit.depth);
  return input;
}

void LinearRun::make_settings() {
  const auto& c = config_;
  const i64 images = sets_.train.size(), width = model_.info.vit.dim;
  auto& s = settings_;
  s.classes = static_cast<i64>(sets_.classes().size());
  s.batch = c.batch_size;
  s.rows = c.augment ? images / s.batch * s.batch : images;  // a loader drops the last, smaller batch
  s.epochs = c.epochs;
  s.eta_min = c.eta_min;
  s.weight_decay = c.weight_decay;
  s.seed = static_cast<dino::u64>(c.common.seed);
  s.optimizer = c.probe == "request" ? "adamw" : "sgd";
  s.heads = {{c.probe, 0, input_.dim(width), c.lr}};
  if (c.probe == "sweep") {
    s.heads = dino::sweep_heads(input_, width, s.batch);
    s.rate_per_step = true;
  }
  make_totals();
}

/// Steps, as they follow from the number of images.
void LinearRun::make_totals() {
  auto& s = settings_;
  constexpr double sweep_steps = 12500;  // DINOv2
  if (config_.probe == "sweep" && !options_.is_set("epochs"))
    s.epochs = sweep_steps / static_cast<double>(s.steps_per_epoch());
  steps_per_epoch_ = lbfgs() ? 1 : s.steps_per_epoch();
  total_steps_ = lbfgs() ? dino::LogisticSettings{}.max_iterations : s.total_steps();
  last_step_ = config_.run.max_steps > 0 ? std::min(total_steps_, config_.run.max_steps) : total_steps_;
}

void LinearRun::make_plan() {
  const auto& vit = model_.info.vit;
  const auto& s = settings_;
  lines_ = {"data    " + sets_.description};
  for (const auto& note : sets_.notes) lines_.push_back("        " + note);
  lines_.push_back(str("model   {}  frozen, {} classes, images of {} x {}", model_name(model_.info), s.classes,
                       vit.image_size, vit.image_size));
  lines_.push_back("start   " + (config_.weights.empty() ? "untrained backbone" : config_.weights));
  lines_.push_back(str("sees    {}, {} values, {}", input_.text(), input_.dim(vit.dim),
                       config_.augment ? "of new crops in each epoch" : "of the centre crop"));
  if (lbfgs()) {
    lines_.push_back(
        str("plan    L-BFGS, C {}, at most {} iterations", dino::number_text(config_.lbfgs_c), last_step_));
    return;
  }
  const auto rate = s.heads.size() == 1 ? "lr " + dino::number_text(s.heads[0].lr)
                                        : str("{} heads, each with its rate", s.heads.size());
  lines_.push_back(str("plan    {} epochs x {} steps, batch {}, {} {}, up to step {}",
                       dino::number_text(std::round(s.epochs * 100) / 100), steps_per_epoch_, s.batch, s.optimizer,
                       rate, last_step_));
}

/// Features of a part of the data, from the cache or computed now.
dino::FeatureRows LinearRun::rows_of_images(const std::string& part, const dino::AnyDataset& set,
                                            dino::FeatureSet& memory) {
  const auto transform = model_.transform();
  const double began = dino::monotonic_seconds();
  if (config_.features_cache.empty()) {
    dino::BadImages bad(set.size(), config_.common.max_bad_fraction);
    memory = backbone_->extract(ctx_, set, transform, {}, bad);
    for (const auto& reason : memory.skipped) run_->say("  ! bad image: " + reason + "; skipped");
    dino::require(memory.size() > 0, dino::ErrorKind::data, "{}: no image could be read", set.title());
    run_->say(str("features of {} {} images in {}", memory.size(), part,
                  dino::format_duration(dino::monotonic_seconds() - began)));
    return dino::rows_of(memory);
  }
  const dino::FeatureKey key{.weights = backbone_->hash(),
                             .backbone = model_name(model_.info),
                             .file = config_.weights.empty() ? "none" : config_.weights,
                             .transform = transform,
                             .blocks = input_.blocks,
                             .pooling = input_.pooling(),
                             .precision = backbone_->precision()};
  const auto folder = std::filesystem::path(config_.features_cache) / part;
  const auto cache = dino::cache_features(folder, key, set,
                                          [&](const dino::AnyDataset& images, dino::BadImages& bad) {
                                            return backbone_->extract(ctx_, images, transform, {}, bad);
                                          },
                                          {.max_bad_fraction = config_.common.max_bad_fraction});
  dino::require(cache.size() > 0, dino::ErrorKind::data, "{}: no image could be read", set.title());
  run_->say(str("features of {} {} images in {}: {}", cache.size(), part, folder.string(),
                dino::format_duration(dino::monotonic_seconds() - began)));
  constexpr i64 in_memory = i64{1} << 31;  // bytes; larger features stay on disk and are read row by row
  if (cache.size() * cache.dim() * 4 > in_memory) return dino::rows_of(cache);
  memory = cache.load();
  return dino::rows_of(memory);
}

void LinearRun::make_training(const std::optional<dino::LoadedCheckpoint>& resumed) {
  test_ = rows_of_images("test", sets_.test, test_memory_);
  dino::FeatureRows train;
  if (config_.augment) {
    transform_.emplace(dino::TrainSettings{.size = model_.info.vit.image_size,
                                           .scale_min = config_.crop_scale_min,
                                           .flip_prob = config_.flip_prob,
                                           .rand_augment = 0,
                                           .erase_prob = 0,
                                           .filter = dino::kernels::ImageFilter::bilinear,
                                           .mean = model_.info.mean,
                                           .deviation = model_.info.deviation},
                       settings_.seed);
  } else {
    train = rows_of_images("train", sets_.train, train_memory_);
    settings_.rows = train.size();  // without the images that could not be read
    make_totals();
  }
  probe_ = lbfgs() ? make_logistic(device_, ctx_, {.classes = settings_.classes, .c = config_.lbfgs_c}, train)
                   : make_probe(device_, ctx_, settings_, train);
  if (!resumed) return;
  const auto stored = resumed->state.metadata.find("backbone");
  dino::require(stored != resumed->state.metadata.end() && stored->second == backbone_->hash(),
                dino::ErrorKind::weights,
                "{}: its classifiers were trained on other weights than {}. Use another --out", resumed->path.string(),
                config_.weights);
  probe_->load(resumed->state, resumed->step, resumed->path.string());
}

dino::Record LinearRun::facts() {
  return dino::environment()
      .set("device", device_name())
      .set("threads", ctx_.threads().threads())
      .set("data", sets_.description)
      .set("probe", config_.probe)
      .set("blocks", input_.blocks)
      .set("pooling", input_.pooling());
}

}  // namespace programs
