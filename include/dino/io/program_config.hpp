// Resolved configurations of the programs as plain structs; every field is named like its option.
#pragma once

#include <dino/io/program_rules.hpp>

namespace dino::inline DINO_ABI {

/// What every program reads.
struct CommonConfig {
  std::string dataset, data;  // data: a folder, or the word synthetic
  i64 limit_train = 0;        // 0: all
  double max_bad_fraction = 0.001;
  bool use_jpeg_warnings = false;
  std::string out;  // empty: the next free folder
  i64 seed = 42;
  std::string device = "auto", precision = "auto", deterministic = "run";
  i64 threads = 0;   // 0: one per core
  i64 workers = -1;  // -1: the program decides
  bool quiet = false, verbose = false, json = false, color = true, dry_run = false;
};

/// The backbone and the pixels it sees.
struct ModelConfig {
  std::string backbone;          // as asked for
  std::string name;              // as filed: vit-s-16, vit-d96-l4-h3-4
  bool backbone_is_set = false;  // somebody asked for it: it must agree with weights
  i64 patch_size = 16, embed_dim = 384, depth = 12, num_heads = 6;
  double mlp_ratio = 4, drop_path_rate = 0.1, init_std = 0.02;
  i64 image_size = 224;                      // 0: as the weights say
  bool normalize_is_auto = false;            // as the weights say; below stands what holds without weights
  std::array<float, 3> mean{}, deviation{};  // of the colours, in 0..1
};

/// The folder of a training run: how the run begins, what it keeps, and when it ends.
struct RunConfig {
  i64 experiment_num = -1;  // -1: the next free
  i64 max_steps = 0;        // 0: off
  double time_limit = 0;    // seconds; 0: off
  std::string resume;       // auto, never, or a path
  bool overwrite = false, force_config = false;
  OptionInterval save_every;
  i64 keep = 0, keep_every = 0, log_every = 0;
  bool verify_checkpoints = false;
  std::string on_nan;  // stop, skip
};

struct PretrainConfig {
  CommonConfig common;
  ModelConfig model;
  RunConfig run;
  i64 mlp_layers = 0, hidden_dim = 0, bottleneck_dim = 0, k_dim = 0;
  bool use_bn_in_head = false, norm_last_layer = false;
  double freeze_last_layer = 0;  // epochs
  i64 global_size = 0, local_size = 0, num_local_crops = 0;
  double global_scale_min = 0, global_scale_max = 0, local_scale_min = 0, local_scale_max = 0;
  double flip_prob = 0, jitter_prob = 0, color_jitter = 0, gray_prob = 0, solarize_prob = 0;
  double blur_prob_global_1 = 0, blur_prob_global_2 = 0, blur_prob_local = 0;
  double epochs = 0;
  i64 batch_size = 0, micro_batch = 0;  // micro_batch 0: auto
  std::string optimizer;                // adamw, sgd, lars
  double lr = 0, warmup_epochs_lr = 0, warmup_start_lr = 0, final_lr = 0;
  double base_weight_decay = 0, final_weight_decay = 0, clip_grad = 0;
  double base_teacher_momentum = 0, final_teacher_momentum = 0;
  double student_temp = 0, warmup_teacher_epochs = 0, warmup_teacher_temp = 0, final_teacher_temp = 0;
  double center_momentum = 0;
  bool teacher_schedule_per_step = false;
  double eval_knn_every = 0;            // epochs; 0: off
  i64 eval_bank = 0, eval_queries = 0;  // 0: all
  std::string init_weights;             // empty: first values by the seed
  bool interpolate_pos_embed = false;
  std::string on_collapse;  // alarm, stop
};

struct KnnConfig {
  CommonConfig common;
  ModelConfig model;  // of the untrained baseline
  std::string train_data, weights, checkpoint_key;
  std::vector<i64> k;
  double temperature = 0;
  std::string votes;                                    // weighted, majority
  bool leave_one_out = false;
  i64 shots = 0;                                        // of each class; 0: all
  std::string features_cache, per_class, show_html;     // a folder, files; empty: none
  i64 show_queries = 0;                                 // on the page
  std::string baseline;                                 // none, pixels, untrained
  i64 batch_size = 0, eval_bank = 0, eval_queries = 0;  // 0: all
};

struct FeaturesConfig {
  CommonConfig common;
  std::vector<std::string> files;  // pictures named one by one; empty: common.data
  std::string weights, checkpoint_key;
  std::string backbone;  // that the weights must be of; auto: any
  i64 layers = 0;        // last blocks
  std::string tokens;    // cls, patch, mean, all
  bool attention = false;
  bool crop = false;      // false: whole pictures
  i64 size = -1;          // of the crop, or the short side of a whole picture, 0: as it is; -1: as the weights say
  std::string normalize;  // auto: as the weights say
  std::string positions;  // dino, timm, hugging-face; auto: as the weights say
  std::string output;     // .safetensors or .npy; empty: nothing but an export
  i64 batch_size = 0;
  std::string export_to, export_names;  // hub, timm, hugging-face
};

/// Where a program that draws pictures leaves them.
struct PictureFolder {
  i64 experiment_num = -1;  // -1: the next free
  bool overwrite = false;
};

struct AttentionConfig {
  CommonConfig common;
  PictureFolder folder;
  std::vector<std::string> files;  // pictures, folders and videos; empty: common.data
  std::string weights, checkpoint_key, backbone, normalize, positions;  // as in FeaturesConfig
  i64 size = 0;  // short side, 0: as it is
  bool square = false;
  bool all_layers = false;
  std::vector<i64> layers;  // empty, unless all_layers: the last
  bool mean_only = false;
  std::vector<i64> heads;  // empty: all
  double threshold = 0;    // part of the attention; 0: no masks
  bool rollout = false;
  std::string colormap;
  bool overlay = false, grid = false, raw = false, pca = false, match = false, video = false;
  double fps = 0;
};

struct EmbedConfig {
  CommonConfig common;
  PictureFolder folder;
  std::string weights, checkpoint_key, backbone, normalize;
  i64 image_size = 0;  // 0: as the weights say
  i64 batch_size = 0;
  std::string split;   // auto, train, test
  i64 samples = 0;     // 0: all
  std::string method;  // pca, tsne
  double perplexity = 0, theta = 0;
  i64 iterations = 0;
  std::string features_cache;  // a folder; empty: none
};

/// Steps of a length in epochs: round(x * steps per epoch).
inline i64 steps_of_epochs(double epochs, i64 steps_per_epoch) {
  return std::llround(epochs * static_cast<double>(steps_per_epoch));
}

/// Mean and deviation of the colours of a data set, in 0..1.
struct Colours {
  std::array<float, 3> mean, deviation;
};

/// As published for cifar-10 and cifar-100; any other name is ImageNet.
inline Colours published_colours(std::string_view name) {
  if (name == "cifar-10") return {{0.4914f, 0.4822f, 0.4465f}, {0.2470f, 0.2435f, 0.2616f}};
  if (name == "cifar-100") return {{0.5071f, 0.4867f, 0.4408f}, {0.2675f, 0.2565f, 0.2761f}};
  return {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
}

namespace options_detail {

inline i64 integer_or(const Options& o, std::string_view key, i64 otherwise) {
  return o.is_word(key) ? otherwise : o.integer(key);
}

inline CommonConfig common_config(const Options& o) {
  const auto reads = [&](std::string_view key) { return o.find(key)->read_by(o.program()); };
  return {.dataset = o.text("dataset"),
          .data = o.text("data"),
          .limit_train = reads("limit_train") ? o.integer("limit_train") : 0,
          .max_bad_fraction = reads("max_bad_fraction") ? o.real("max_bad_fraction") : 1,
          .use_jpeg_warnings = o.text("jpeg_warnings") == "use",
          .out = reads("out") ? o.text("out") : "",
          .seed = o.integer("seed"),
          .device = o.text("device"),
          .precision = o.text("precision"),
          .deterministic = reads("deterministic") ? o.text("deterministic") : "run",
          .threads = integer_or(o, "threads", 0),
          .workers = reads("workers") ? integer_or(o, "workers", -1) : -1,
          .quiet = o.flag("quiet"),
          .verbose = o.flag("verbose"),
          .json = o.flag("json"),
          .color = o.flag("color"),
          .dry_run = o.flag("dry_run")};
}

inline ModelConfig model_config(const Options& o) {
  const auto& normalize = o.text("normalize");
  ModelConfig model{.backbone = o.text("backbone"),
                    .name = {},
                    .backbone_is_set = o.is_set("backbone"),
                    .patch_size = o.integer("patch_size"),
                    .embed_dim = o.integer("embed_dim"),
                    .depth = o.integer("depth"),
                    .num_heads = o.integer("num_heads"),
                    .mlp_ratio = o.real("mlp_ratio"),
                    .drop_path_rate = o.program() == Program::knn ? 0 : o.real("drop_path_rate"),
                    .init_std = o.real("init_std"),
                    .image_size = integer_or(o, "image_size", 0),
                    .normalize_is_auto = normalize == "auto"};
  model.name = backbone_name({model.patch_size, model.embed_dim, model.depth, model.num_heads}, model.mlp_ratio);
  const auto colours = published_colours(normalize == "auto" ? o.text("dataset") : normalize);
  model.mean = colours.mean;
  model.deviation = colours.deviation;
  return model;
}

inline RunConfig run_config(const Options& o) {
  return {.experiment_num = integer_or(o, "experiment_num", -1),
          .max_steps = o.integer("max_steps"),
          .time_limit = o.seconds("time_limit"),
          .resume = o.text("resume"),
          .overwrite = o.flag("overwrite"),
          .force_config = o.flag("force_config"),
          .save_every = o.interval("save_every"),
          .keep = o.integer("keep"),
          .keep_every = o.integer("keep_every"),
          .log_every = o.integer("log_every"),
          .verify_checkpoints = o.flag("verify_checkpoints"),
          .on_nan = o.text("on_nan")};
}

}  // namespace options_detail

/// Options that parse_options returned without problems, as a struct.
inline PretrainConfig resolve_pretrain(const Options& o) {
  require(o.program() == Program::pretrain, "resolve_pretrain: options of {}", program_name(o.program()));
  const auto& blur = o.list("blur_prob");
  // clang-format off
  return {
      .common = options_detail::common_config(o), .model = options_detail::model_config(o),
      .run = options_detail::run_config(o),
      .mlp_layers = o.integer("mlp_layers"), .hidden_dim = o.integer("hidden_dim"),
      .bottleneck_dim = o.integer("bottleneck_dim"), .k_dim = o.integer("k_dim"),
      .use_bn_in_head = o.flag("use_bn_in_head"), .norm_last_layer = o.flag("norm_last_layer"),
      .freeze_last_layer = o.real("freeze_last_layer"),
      .global_size = o.integer("global_size"), .local_size = o.integer("local_size"),
      .num_local_crops = o.integer("num_local_crops"),
      .global_scale_min = o.real("global_scale_min"), .global_scale_max = o.real("global_scale_max"),
      .local_scale_min = o.real("local_scale_min"), .local_scale_max = o.real("local_scale_max"),
      .flip_prob = o.real("flip_prob"), .jitter_prob = o.real("jitter_prob"), .color_jitter = o.real("color_jitter"),
      .gray_prob = o.real("gray_prob"), .solarize_prob = o.real("solarize_prob"),
      .blur_prob_global_1 = blur.front(), .blur_prob_global_2 = blur[blur.size() / 2], .blur_prob_local = blur.back(),
      .epochs = o.real("epochs"), .batch_size = o.integer("batch_size"),
      .micro_batch = options_detail::integer_or(o, "micro_batch", 0), .optimizer = o.text("optimizer"),
      .lr = o.real("lr"), .warmup_epochs_lr = o.real("warmup_epochs_lr"),
      .warmup_start_lr = o.real("warmup_start_lr"), .final_lr = o.real("final_lr"),
      .base_weight_decay = o.real("base_weight_decay"), .final_weight_decay = o.real("final_weight_decay"),
      .clip_grad = o.real("clip_grad"),
      .base_teacher_momentum = o.real("base_teacher_momentum"),
      .final_teacher_momentum = o.real("final_teacher_momentum"),
      .student_temp = o.real("student_temp"), .warmup_teacher_epochs = o.real("warmup_teacher_epochs"),
      .warmup_teacher_temp = o.real("warmup_teacher_temp"), .final_teacher_temp = o.real("final_teacher_temp"),
      .center_momentum = o.real("center_momentum"),
      .teacher_schedule_per_step = o.text("teacher_schedule") == "step",
      .eval_knn_every = o.real("eval_knn_every"), .eval_bank = o.integer("eval_bank"),
      .eval_queries = o.integer("eval_queries"),
      .init_weights = o.text("init_weights"), .interpolate_pos_embed = o.flag("interpolate_pos_embed"),
      .on_collapse = o.text("on_collapse")};
  // clang-format on
}

inline KnnConfig resolve_knn(const Options& o) {
  require(o.program() == Program::knn, "resolve_knn: options of {}", program_name(o.program()));
  KnnConfig config{.common = options_detail::common_config(o),
                   .model = options_detail::model_config(o),
                   .train_data = o.text("train_data"),
                   .weights = o.text("weights"),
                   .checkpoint_key = o.text("checkpoint_key"),
                   .k = {},
                   .temperature = o.real("temperature"),
                   .votes = o.text("votes"),
                   .leave_one_out = o.flag("leave_one_out"),
                   .shots = o.integer("shots"),
                   .features_cache = o.text("features_cache"),
                   .per_class = o.text("per_class"),
                   .show_html = o.text("show_html"),
                   .show_queries = o.integer("show_queries"),
                   .baseline = o.text("baseline"),
                   .batch_size = o.integer("batch_size"),
                   .eval_bank = o.integer("eval_bank"),
                   .eval_queries = o.integer("eval_queries")};
  for (const double k : o.list("k")) config.k.push_back(static_cast<i64>(k));
  return config;
}

/// files: those of the ParseResult.
inline FeaturesConfig resolve_features(const Options& o, std::vector<std::string> files) {
  require(o.program() == Program::features, "resolve_features: options of {}", program_name(o.program()));
  return {.common = options_detail::common_config(o),
          .files = std::move(files),
          .weights = o.text("weights"),
          .checkpoint_key = o.text("checkpoint_key"),
          .backbone = o.text("backbone"),
          .layers = o.integer("layers"),
          .tokens = o.text("tokens"),
          .attention = o.flag("attention"),
          .crop = o.flag("crop"),
          .size = options_detail::integer_or(o, "size", -1),
          .normalize = o.text("normalize"),
          .positions = o.text("positions"),
          .output = o.text("output"),
          .batch_size = o.integer("batch_size"),
          .export_to = o.text("export"),
          .export_names = o.text("export_names")};
}

namespace options_detail {

inline PictureFolder picture_folder(const Options& o) {
  return {.experiment_num = integer_or(o, "experiment_num", -1), .overwrite = o.flag("overwrite")};
}

}  // namespace options_detail

/// files: those of the ParseResult.
inline AttentionConfig resolve_attention(const Options& o, std::vector<std::string> files) {
  require(o.program() == Program::attention, "resolve_attention: options of {}", program_name(o.program()));
  return {.common = options_detail::common_config(o),
          .folder = options_detail::picture_folder(o),
          .files = std::move(files),
          .weights = o.text("weights"),
          .checkpoint_key = o.text("checkpoint_key"),
          .backbone = o.text("backbone"),
          .normalize = o.text("normalize"),
          .positions = o.text("positions"),
          .size = o.integer("size"),
          .square = o.flag("square"),
          .all_layers = o.text("layers") == "all",
          .layers = index_list(o.text("layers")).value_or(std::vector<i64>{}),
          .mean_only = o.text("heads") == "mean",
          .heads = index_list(o.text("heads")).value_or(std::vector<i64>{}),
          .threshold = o.real("threshold"),
          .rollout = o.flag("rollout"),
          .colormap = o.text("colormap"),
          .overlay = o.flag("overlay"),
          .grid = o.flag("grid"),
          .raw = o.flag("raw"),
          .pca = o.flag("pca"),
          .match = o.flag("match"),
          .video = o.flag("video"),
          .fps = o.real("fps")};
}

inline EmbedConfig resolve_embed(const Options& o) {
  require(o.program() == Program::embed, "resolve_embed: options of {}", program_name(o.program()));
  return {.common = options_detail::common_config(o),
          .folder = options_detail::picture_folder(o),
          .weights = o.text("weights"),
          .checkpoint_key = o.text("checkpoint_key"),
          .backbone = o.text("backbone"),
          .normalize = o.text("normalize"),
          .image_size = options_detail::integer_or(o, "image_size", 0),
          .batch_size = o.integer("batch_size"),
          .split = o.text("split"),
          .samples = o.integer("samples"),
          .method = o.text("method"),
          .perplexity = o.real("perplexity"),
          .theta = o.real("theta"),
          .iterations = o.integer("iterations"),
          .features_cache = o.text("features_cache")};
}

/// "batch_size 1024 -> 512" for every key that a resumed run may not change: model, data, schedules.
inline std::vector<std::string> changed_since(const Options& before, const Options& now) {
  std::vector<std::string> changes;
  for (const auto& row : now.table()) {
    if (!row.fixed || !row.read_by(now.program()) || before.value(row.key) == now.value(row.key)) continue;
    changes.push_back(str("{} {} -> {}", row.key, before.value(row.key), now.value(row.key)));
  }
  return changes;
}

}  // namespace dino::inline DINO_ABI
