// The beginning of a run: weights, data, folder, the checkpoint it goes on from, and what it will do.
#include "run.hpp"

#include "../common/settings.hpp"

#include <dino/io/file.hpp>

namespace programs {

namespace {

/// Activations of images of one size, with a head so small that it does not count.
dino::DinoConfig as_passes(const dino::FinetuneSettings& s) {
  dino::DinoConfig d;
  d.backbone = s.backbone;
  d.batch = s.batch;
  d.head = {.outputs = s.classes, .layers = 1, .hidden = s.classes};
  return d;
}

/// Whether the folder that the options name holds checkpoints to go on from: then they are the start, not --weights.
bool goes_on(const dino::FinetuneConfig& c) {
  if (c.run.resume == "never" || c.run.overwrite) return false;
  std::filesystem::path folder = c.run.resume == "auto" ? c.common.out : c.run.resume;
  return !folder.empty() && std::filesystem::exists(folder / "checkpoints" / "last.json");
}

dino::BackboneInfo stored_info(const dino::LoadedCheckpoint& checkpoint) {
  dino::StateDict words;
  const auto model = checkpoint.state.metadata.find("model");
  dino::require(model != checkpoint.state.metadata.end(), dino::ErrorKind::weights,
                "{}: it does not say what model it is of. Use another --out", checkpoint.path.string());
  words.metadata["dino.model"] = model->second;
  return dino::backbone_info(words, checkpoint.path.string());
}

i64 number_in(const dino::LoadedCheckpoint& checkpoint, const std::string& key) {
  const auto at = checkpoint.state.metadata.find(key);
  return at == checkpoint.state.metadata.end() ? 0 : std::stoll(at->second);
}

}  // namespace

Finetune::Finetune(const dino::Options& options, const std::vector<std::string>& command)
    : options_(options),
      config_(dino::resolve_finetune(options)),
      device_(dino::choose_device(config_.common.device)),
      ctx_(config_.common.threads) {
  const bool resumes = goes_on(config_);
  if (!resumes) open();  // before the folder: what is wrong with the input leaves nothing behind
  if (config_.common.dry_run) {
    if (resumes) open();
    make_plan(0);
    return;
  }
  run_.emplace(options, config_.common, config_.run, resumes ? config_.model.name : model_name(model_->info));
  const auto resumed = run_->restore();
  if (resumed) model_ = StartModel{stored_info(*resumed), std::nullopt};
  open();
  make_plan(resumed ? number_in(*resumed, "micro_batch") : 0);
  run_->checkpoints().preflight(checkpoint_bytes_);
  trainer_ = make_classifier(device_, config_.common.precision, ctx_, settings_);
  if (resumed) {
    trainer_->load(resumed->state, resumed->step, resumed->path.string());
    const auto window = resumed->state.metadata.find("window");
    if (window != resumed->state.metadata.end()) epoch_.read(window->second);
  } else if (model_->weights) {
    const bool head = head_fits(*model_->weights, sets_->classes(), config_.ignore_head);
    trainer_->start_from(*model_->weights, head);
    model_->weights.reset();
  }
  started_at_ = trainer_->steps_done();
  run_->begin(started_at_, command, facts());
  restore_history();
}

/// Weights and images, as far as they are not there yet.
void Finetune::open() {
  if (!model_) model_ = start_model(config_);
  if (!sets_) {
    sets_ = open_labelled_sets(config_, model_->info.vit.image_size);
    if (!model_->weights || !head_fits(*model_->weights, sets_->classes(), config_.ignore_head)) return;
    dino::require(model_->weights->input.class_token_only(), dino::ErrorKind::weights,
                  "{}: its head sees {}, mode = full trains one on the last class token. Start with a new head: "
                  "--ignore-head",
                  model_->weights->where, model_->weights->input.text());
  }
}

dino::FinetuneSettings Finetune::settings(i64 micro_batch) const {
  const auto& c = config_;
  const auto steps = [&](double epochs) { return dino::steps_of_epochs(epochs, steps_per_epoch_); };
  dino::FinetuneSettings s;
  s.backbone = model_->info.vit;
  s.backbone.init_std = c.model.init_std;
  s.classes = static_cast<i64>(sets_->classes().size());
  s.drop_path = c.model.drop_path_rate;
  s.total_steps = std::max<i64>(1, steps(c.epochs));
  s.batch = c.batch_size;
  s.lr = c.lr;
  s.final_lr = c.eta_min;
  s.warmup_steps = steps(c.warmup_epochs);
  s.weight_decay = c.weight_decay;
  s.layer_decay = c.layer_decay > 0 ? c.layer_decay : 1;
  s.mix = {.mixup = c.mixup, .cutmix = c.cutmix};
  s.label_smoothing = c.label_smoothing;
  s.seed = static_cast<dino::u64>(c.common.seed);
  const std::vector<dino::CropGroup> group{{1, s.backbone.image_size, s.backbone.image_size}};
  if (c.micro_batch > 0) micro_batch = std::min(c.micro_batch, s.batch);
  s.micro_batch =
      micro_batch > 0 ? micro_batch : dino::choose_micro_batch(as_passes(s), group, dino::available_memory());
  return s;
}

void Finetune::make_plan(i64 micro_batch) {
  const auto& vit = model_->info.vit;
  steps_per_epoch_ = sets_->train.size() / config_.batch_size;
  settings_ = settings(micro_batch);
  const auto& s = settings_;
  last_step_ = config_.run.max_steps > 0 ? std::min(s.total_steps, config_.run.max_steps) : s.total_steps;
  transform_.emplace(dino::TrainSettings{.size = vit.image_size,
                                         .scale_min = config_.crop_scale_min,
                                         .flip_prob = config_.flip_prob,
                                         .rand_augment = static_cast<double>(config_.randaugment),
                                         .erase_prob = config_.random_erasing,
                                         .mean = model_->info.mean,
                                         .deviation = model_->info.deviation},
                     s.seed);
  dino::HostContext one(1);
  dino::ParamStore<float, dino::HostDevice> counted(one);
  const dino::Classifier<float, dino::HostDevice> model(dino::Scope{counted}, s.backbone, s.classes);
  checkpoint_bytes_ = 3 * 4 * counted.total();  // values and two moments
  const std::vector<dino::CropGroup> group{{1, vit.image_size, vit.image_size}};
  const double memory = 4.0 * 4 * static_cast<double>(counted.total()) +
                        static_cast<double>(s.micro_batch) * dino::activation_bytes(as_passes(s), group);
  lines_ = {"data    " + sets_->description};
  for (const auto& note : sets_->notes) lines_.push_back("        " + note);
  lines_.push_back(str("model   {}  {} M parameters, {} classes, images of {} x {}", model_name(model_->info),
                       dino::number_text(std::round(static_cast<double>(counted.parameter_count()) / 1e4) / 100),
                       s.classes, vit.image_size, vit.image_size));
  lines_.push_back("start   " + (config_.weights.empty() ? "from scratch" : config_.weights));
  lines_.push_back(str("plan    {} epochs x {} steps, batch {} in passes of {}, adamw lr {}, up to step {}",
                       dino::number_text(config_.epochs), steps_per_epoch_, s.batch, s.micro_batch,
                       dino::number_text(s.lr), last_step_));
  lines_.push_back(str("needs   about {} of memory, {} for each checkpoint", dino::size_text(static_cast<i64>(memory)),
                       dino::size_text(checkpoint_bytes_)));
}

dino::Record Finetune::facts() {
  return dino::environment()
      .set("device", device_name())
      .set("threads", ctx_.threads().threads())
      .set("data", sets_->description)
      .set("micro_batch", settings_.micro_batch);
}

}  // namespace programs
