// Resolved configuration of dino_finetune; every field is named like its option.
#pragma once

#include <dino/io/program_config.hpp>

namespace dino::inline DINO_ABI {

struct FinetuneConfig {
  CommonConfig common;
  ModelConfig model;
  RunConfig run;
  std::string mode;     // linear: a classifier on frozen features; full: everything is trained
  std::string weights;  // empty: from scratch
  std::string checkpoint_key;
  std::string linear_weights;  // head for eval_only and predict; empty: that of weights
  bool ignore_head = false, interpolate_pos_embed = false;
  bool eval_only = false;
  std::string predict;  // an image or a folder of images; empty: none
  std::string output;   // of predictions; empty: standard output
  std::string probe;           // of linear mode: request, dino, sweep, lbfgs
  bool augment = false;        // of linear mode
  std::string features_cache;  // a folder; empty: none
  double lbfgs_c = 0;
  i64 n_last_blocks = 0;
  bool avgpool_patchtokens = false;
  bool n_last_blocks_is_set = false, avgpool_is_set = false;  // somebody said so: the head of linear_weights fits
  double epochs = 0;
  i64 batch_size = 0, micro_batch = 0;  // micro_batch 0: auto
  double lr = 0, eta_min = 0, warmup_epochs = 0, weight_decay = 0;
  double layer_decay = 0;  // 0: off
  double mixup = 0, cutmix = 0, label_smoothing = 0, random_erasing = 0;
  i64 randaugment = 0;  // 0: off
  double crop_scale_min = 0, flip_prob = 0;
  double eval_every = 0;  // epochs; 0: at the end only

  bool trains() const { return !eval_only && predict.empty(); }
};

/// Options that parse_options returned without problems, as a struct. Without weights the side of the images is that of
/// the data set: 32 for synthetic and CIFAR, else 224.
inline FinetuneConfig resolve_finetune(const Options& o) {
  require(o.program() == Program::finetune, "resolve_finetune: options of {}", program_name(o.program()));
  // clang-format off
  FinetuneConfig c{
      .common = options_detail::common_config(o), .model = options_detail::model_config(o),
      .run = options_detail::run_config(o), .mode = o.text("mode"), .weights = o.text("weights"),
      .checkpoint_key = o.text("checkpoint_key"), .linear_weights = o.text("linear_weights"),
      .ignore_head = o.flag("ignore_head"),
      .interpolate_pos_embed = o.flag("interpolate_pos_embed"), .eval_only = o.flag("eval_only"),
      .predict = o.text("predict"), .output = o.text("output"), .probe = o.text("probe"), .augment = o.flag("augment"),
      .features_cache = o.text("features_cache"), .lbfgs_c = o.real("lbfgs_c"),
      .n_last_blocks = o.integer("n_last_blocks"),
      .avgpool_patchtokens = o.flag("avgpool_patchtokens"), .n_last_blocks_is_set = o.is_set("n_last_blocks"),
      .avgpool_is_set = o.is_set("avgpool_patchtokens"), .epochs = o.real("epochs"),
      .batch_size = o.integer("batch_size"), .micro_batch = options_detail::integer_or(o, "micro_batch", 0),
      .lr = o.real("lr"), .eta_min = o.real("eta_min"), .warmup_epochs = o.real("warmup_epochs"),
      .weight_decay = o.real("weight_decay"), .layer_decay = o.real("layer_decay"), .mixup = o.real("mixup"),
      .cutmix = o.real("cutmix"), .label_smoothing = o.real("label_smoothing"),
      .random_erasing = o.real("random_erasing"), .randaugment = o.integer("randaugment"),
      .crop_scale_min = o.real("crop_scale_min"), .flip_prob = o.real("flip_prob"),
      .eval_every = o.real("eval_every")};
  // clang-format on
  if (c.weights == "none") {
    c.weights.clear();
    const auto& set = c.common.dataset;
    const bool small = set == "synthetic" || set == "cifar-10" || set == "cifar-100";
    if (c.model.image_size == 0) c.model.image_size = small ? 32 : 224;
  }
  return c;
}

}  // namespace dino::inline DINO_ABI
