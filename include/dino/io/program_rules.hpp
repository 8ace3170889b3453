// Rules over several options of the programs: data set, dimensions of the backbone, values of "auto", contradictions.
#pragma once

#include <dino/io/backbone_name.hpp>
#include <dino/io/cli.hpp>
#include <dino/io/index_list.hpp>
#include <dino/io/program_heads.hpp>
#include <dino/io/program_options.hpp>

namespace dino::inline DINO_ABI {

namespace options_detail {

class ProgramRules {
 public:
  explicit ProgramRules(ParseResult& result) : options_(result.options), result_(result) {}

  void apply() {
    data_set();
    backbone();
    if (options_.flag("quiet") && options_.flag("verbose")) contradict("quiet", "verbose");
    later_versions();
    switch (options_.program()) {
      case Program::pretrain:
        return pretrain_rules();
      case Program::finetune:
        return finetune_rules();
      case Program::knn:
        return knn_rules();
      case Program::features:
        return features_rules();
      case Program::attention:
        return attention_rules();
      case Program::embed:
        return need_weights();
    }
  }

 private:
  using Key = std::string_view;

  /// Words that are known, but whose work this version cannot do: said at once, not ignored.
  void later_versions() {
    if (options_.text("precision") != "tf32") return;
    complain("precision", "precision", "precision = tf32 is known, but not in this version. Use auto, fp32 or bf16");
  }

  std::string named(Key key) const {
    return str("{} = {}{}", key, options_.value(key), options_.is_set(key) ? "" : " (default)");
  }

  const std::string& place(Key a, Key b) const {
    return options_.source(a) >= options_.source(b) ? options_.place(a) : options_.place(b);
  }

  void complain(Key a, Key b, std::string message) {
    if (options_.is_broken(a) || options_.is_broken(b)) return;
    result_.problems.push_back({place(a, b), std::move(message)});
  }

  /// a must be `relation` b.
  void demand(bool good, Key a, Key b, std::string_view relation) {
    if (!good) complain(a, b, str("{} must be {} {}", named(a), relation, named(b)));
  }

  void contradict(Key a, Key b) { complain(a, b, str("{} contradicts {}", named(a), named(b))); }

  void warn(bool good, Key a, Key b, std::string_view why) {
    if (good || options_.is_broken(a) || options_.is_broken(b)) return;
    const auto& at = place(a, b);
    result_.warnings.push_back((at.empty() ? "" : at + "  ") + named(a) + ' ' + std::string(why));
  }

  /// The stronger of --dataset and --data decides; equally strong, they must agree.
  void data_set() {
    if (!result_.files.empty()) return no_data_set();
    const auto data = options_.text("data");
    auto name = options_.text("dataset");
    const bool memory = data == "synthetic";
    const bool differ = !data.empty() && name != "auto" && memory != (name == "synthetic");
    if (differ && options_.source("data") == options_.source("dataset")) contradict("data", "dataset");
    const bool data_decides = differ && options_.source("data") > options_.source("dataset");
    const bool path_is_void = differ && !data_decides;
    if (name == "auto" || data_decides) {
      if (data.empty()) return no_data();
      name = recognise_data_set(data);
      options_.derive("dataset", name);
    }
    if (data.empty() || path_is_void) options_.derive("data", name == "synthetic" ? name : "data/" + name);
    options_.take_data_set(name);
  }

  /// dino_finetune --predict: the pictures are named there.
  bool predicts() const {
    return options_.program() == Program::finetune && !options_.text("predict").empty();
  }

  /// dino_features --export alone: weights in, weights out.
  bool exports_only() const {
    return options_.program() == Program::features && !options_.text("export").empty() &&
           options_.text("output").empty();
  }

  void no_data() {
    if (exports_only() || predicts()) return;
    const auto files = takes_files(options_.program()) ? "give pictures, or --data PATH" : "give --data PATH";
    complain("data", "dataset", str("no data: {}; --data synthetic needs no download", files));
  }

  /// The pictures are named one by one on the command line: stronger than a file or the environment.
  void no_data_set() {
    for (const Key key : {"data", "dataset"}) {
      if (options_.source(key) < Source::set) continue;
      complain(key, key, named(key) + " contradicts the files that are named");
    }
  }

  void backbone() {
    const auto& name = options_.text("backbone");
    const auto size = backbone_size(name);
    const bool dimensions = options_.find("embed_dim")->read_by(options_.program());  // elsewhere the weights say them
    if (!dimensions && name == "auto") return;
    if (!size) return unknown_backbone(name, dimensions);
    if (!dimensions) return;
    dimension("patch_size", size->patch);
    dimension("embed_dim", size->width);
    dimension("depth", size->layers);
    dimension("num_heads", size->heads);
    dimension("mlp_ratio", 4.0);
    const bool divides = options_.integer("embed_dim") % options_.integer("num_heads") == 0;
    demand(divides, "embed_dim", "num_heads", "a multiple of");
  }

  /// "auto" becomes the backbone's own. So does a default of the data set: it belongs to the data set's own backbone.
  void dimension(Key key, OptionValue own) {
    const bool foreign = options_.source(key) == Source::data_set && options_.is_set("backbone");
    if (options_.is_word(key) || foreign) options_.derive(key, std::move(own));
  }

  void unknown_backbone(const std::string& name, bool dimensions) {
    for (const Key key : {"patch_size", "embed_dim", "depth", "num_heads"}) {
      if (dimensions && options_.is_word(key)) options_.derive(key, i64{1});
    }
    if (dimensions && options_.is_word("mlp_ratio")) options_.derive("mlp_ratio", 4.0);
    const bool later = name == "resnet50" || name.starts_with("vit-l-") || name.starts_with("xcit-");
    if (later) {
      return complain("backbone", "backbone",
                      str("backbone = {} is known, but not in this version. "
                          "Use vit-t-*, vit-s-* or vit-b-*",
                          name));
    }
    std::vector<std::string> names;
    for (const auto& width : named_widths) {
      for (const auto patch : named_patches) names.push_back(str("vit-{}-{}", width.letter, patch));
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto near = suggest(name, views);
    const auto hint = near.empty() ? std::string{} : str(". Did you mean \"{}\"?", near);
    complain("backbone", "backbone",
             str("backbone = {} must be vit-{t,s,b}-{4,8,14,16} or "
                 "vit-d<width>-l<layers>-h<heads>-<patch>{}",
                 shown(name), hint));
  }

  void at_most(Key a, Key b) { demand(options_.real(a) <= options_.real(b), a, b, "at most"); }

  void pretrain_rules() {
    const auto& o = options_;
    if (o.is_word("lr")) options_.derive("lr", 0.0005 * static_cast<double>(o.integer("batch_size")) / 256);
    if (o.is_word("image_size")) options_.derive("image_size", o.integer("global_size"));
    at_most("global_scale_min", "global_scale_max");
    at_most("local_scale_min", "local_scale_max");
    at_most("base_teacher_momentum", "final_teacher_momentum");
    at_most("warmup_teacher_epochs", "epochs");
    demand(o.real("warmup_epochs_lr") < o.real("epochs"), "warmup_epochs_lr", "epochs", "below");
    for (const Key key : {"global_size", "local_size", "image_size"}) {
      if (key == "local_size" && o.integer("num_local_crops") == 0) continue;
      demand(o.integer(key) % o.integer("patch_size") == 0, key, "patch_size", "a multiple of");
    }
    if (!o.is_word("micro_batch")) {
      demand(o.integer("batch_size") % o.integer("micro_batch") == 0, "batch_size", "micro_batch", "a multiple of");
    }
    const auto blur = o.list("blur_prob").size();
    if (blur != 1 && blur != 3) complain("blur_prob", "blur_prob", named("blur_prob") + " must be 1 or 3 numbers");
    run_rules();
    pretrain_warnings();
  }

  void pretrain_warnings() {
    const auto& o = options_;
    for (const Key key : {"warmup_teacher_temp", "final_teacher_temp"}) {
      warn(o.real(key) <= 0.07, key, key, "is above 0.07: training is unstable there");
    }
    if (o.integer("num_local_crops") > 0 && !is_default("local_scale_max", "global_scale_min")) {
      warn(o.real("local_scale_max") <= o.real("global_scale_min"), "local_scale_max", "global_scale_min",
           str("is above {}: local crops may be larger than global ones", named("global_scale_min")));
    }
    warn(o.real("final_lr") <= o.real("lr"), "final_lr", "lr", str("is above {}: the rate will rise", named("lr")));
  }

  /// Both values are what they would be without the user, though he may have written them down.
  bool is_default(Key a, Key b) const {
    const auto own = [&](Key key) {
      const auto* row = options_.find(key);
      const auto special = row->data_sets.of(options_.text("dataset"));
      return options_.real(key) == whole_number<double>(special.empty() ? row->fallback : special);
    };
    return own(a) && own(b);
  }

  /// Where the run lies and how it begins.
  void run_rules() {
    const auto& o = options_;
    const bool both = o.is_set("out") && o.is_set("experiment_num") && o.source("out") == o.source("experiment_num");
    if (both) contradict("out", "experiment_num");
    const bool resumes = o.find("force_config")->read_by(o.program());
    if (resumes && o.flag("overwrite") && o.flag("force_config")) contradict("overwrite", "force_config");
  }

  void finetune_rules() {
    const auto& o = options_;
    const bool linear = o.text("mode") == "linear", base = o.text("backbone").starts_with("vit-b-");
    constexpr std::array<std::pair<Key, double>, 6> full{{{"warmup_epochs", 5},
                                                          {"layer_decay", 0.75},
                                                          {"mixup", 0.8},
                                                          {"cutmix", 1},
                                                          {"label_smoothing", 0.1},
                                                          {"random_erasing", 0.25}}};
    for (const auto& [key, value] : full) {
      const bool off = linear || (key == "layer_decay" && o.text("weights") == "none");  // nothing to keep
      const double most = key == "warmup_epochs" ? o.real("epochs") / 5 : value;
      if (o.is_word(key)) {
        options_.derive(key, off ? 0.0 : std::min(value, most));
      } else if (key != "warmup_epochs" && key != "label_smoothing") {
        warn(!linear || o.real(key) == 0, key, "mode", "has no effect in linear mode");
      }
    }
    if (o.is_word("randaugment")) options_.derive("randaugment", i64{linear ? 0 : 9});
    probe_rules(linear, base);
    demand(o.integer("n_last_blocks") <= o.integer("depth"), "n_last_blocks", "depth", "at most");
    demand(o.real("warmup_epochs") < o.real("epochs"), "warmup_epochs", "epochs", "below");
    warn(o.real("eta_min") <= o.real("lr"), "eta_min", "lr", str("is above {}: the rate will rise", named("lr")));
    if (o.text("weights").empty()) finetune_weights();
    finetune_stops();
    run_rules();
  }

  /// The protocols of linear mode: what the options leave open.
  void probe_rules(bool linear, bool base) {
    const auto& o = options_;
    const auto& probe = o.text("probe");
    const bool dino = probe == "dino", sweep = probe == "sweep";
    if (o.is_word("n_last_blocks"))
      options_.derive("n_last_blocks", std::min<i64>(sweep || (dino && !base) ? 4 : 1, o.integer("depth")));
    if (o.is_word("avgpool_patchtokens")) options_.derive("avgpool_patchtokens", sweep || (dino && base));
    if (o.is_word("augment")) options_.derive("augment", linear && dino);
    if (!linear) return;
    if (probe == "lbfgs" && o.flag("augment")) contradict("probe", "augment");
    if (!dino && !sweep) return;
    if (!o.is_set("batch_size")) options_.derive("batch_size", i64{128});
    if (!o.is_set("lr")) options_.derive("lr", 0.001 * static_cast<double>(o.integer("batch_size")) / 256);
    if (!o.is_set("eta_min")) options_.derive("eta_min", 0.0);
    if (!o.is_set("weight_decay")) options_.derive("weight_decay", 0.0);
  }

  /// What classifies and stops: it needs a trained classifier, and writes nothing but predictions.
  void finetune_stops() {
    const auto& o = options_;
    const bool predicts = !o.text("predict").empty(), stops = predicts || o.flag("eval_only");
    if (predicts && o.flag("eval_only")) contradict("predict", "eval_only");
    if (stops && o.text("weights") == "none") {
      complain("weights", "weights", "weights = none has no trained classifier");
    }
    if (!stops && !o.text("linear_weights").empty()) {
      complain("linear_weights", "eval_only",
               named("linear_weights") + " is a trained head: add --eval-only or --predict");
    }
    if (o.text("output").empty()) return;
    const auto ending = std::filesystem::path(o.text("output")).extension();
    if (!predicts) complain("output", "predict", named("output") + " is the file of predictions: add --predict");
    if (ending != ".csv" && ending != ".json") {
      complain("output", "output", named("output") + " must be -o FILE.csv or -o FILE.json");
    }
  }

  /// Without --weights, experiment_num also names the pre-training run to load.
  void finetune_weights() {
    if (!options_.is_word("experiment_num")) {
      const auto number = options_.integer("experiment_num");
      return options_.derive("weights", str("runs/pretrain/{}/version_{}", options_.text("backbone"), number));
    }
    complain("weights", "weights", "no weights: give --weights PATH, or --weights none to train from scratch");
  }

  void knn_rules() {
    const bool weights = !options_.text("weights").empty(), baseline = options_.text("baseline") != "none";
    if (weights && baseline) contradict("baseline", "weights");
    if (weights || baseline) return;
    complain("weights", "baseline", "no weights: give --weights PATH, or --baseline pixels or untrained");
  }

  void need_weights() {
    if (options_.text("weights").empty()) complain("weights", "weights", "no weights: give --weights PATH");
    run_rules();
  }

  void attention_rules() {
    need_weights();
    const auto& o = options_;
    const auto numbers = [&](Key key, std::string_view words) {
      const auto& text = o.text(key);
      if (is_word(words, text) || index_list(text)) return;
      complain(key, key, named(key) + str(" must be {}, or numbers from 0 such as 0,3 or 0..11", words));
    };
    numbers("layers", "last|all");
    numbers("heads", "all|mean");
    if (o.flag("match") && result_.files.size() != 2) {
      complain("match", "match", str("match takes two pictures, {} are named: --match A B", result_.files.size()));
    }
    if (o.flag("match") && o.flag("video")) contradict("match", "video");
    if (o.flag("square") && o.integer("size") == 0) contradict("square", "size");
  }

  void features_rules() {
    const auto& o = options_;
    if (o.text("weights").empty()) complain("weights", "weights", "no weights: give --weights PATH");
    if (o.is_word("size")) {
      if (!o.flag("crop")) options_.derive("size", i64{0});
    } else if (o.integer("size") == 0 && o.flag("crop")) {
      complain("size", "crop", "size = 0 is for whole pictures: add --no-crop, or give the side of the crop");
    }
    if (exports_only()) return;
    const auto ending = std::filesystem::path(o.text("output")).extension();
    if (ending != ".safetensors" && ending != ".npy") {
      const auto what = o.text("output").empty() ? "no output: give" : named("output") + " must be";
      complain("output", "output", what + " -o FILE.safetensors or -o FILE.npy");
    }
    if (ending == ".npy" && o.flag("attention")) {
      complain("output", "attention", named("output") + " holds one array, --attention is a second: use .safetensors");
    }
  }

  Options& options_;
  ParseResult& result_;
};

}  // namespace options_detail

/// Reads everything that decides a run of this program. Never throws for what a user wrote. Usage:
///     const auto parsed = parse_options(Program::pretrain, argc, argv, read_environment(environ));
///     if (!parsed.ok()) { std::cerr << parsed.report() << '\n'; return parsed.exit_code(); }
///     if (!parsed.answer.empty()) { std::cout << parsed.answer; return 0; }
inline ParseResult parse_options(Program program, std::span<const std::string> arguments,
                                 const Environment& environment) {
  auto result = read_options(program_options(), program, arguments, environment);
  if (result.options.flag("help") || result.options.flag("version")) {
    result.problems.clear();
    if (result.options.flag("help")) result.answer = help_text(program_options(), program, program_head(program));
    return result;
  }
  options_detail::ProgramRules(result).apply();
  if (result.options.flag("print_config")) result.answer = result.options.describe();
  return result;
}

inline ParseResult parse_options(Program program, int argc, const char* const* argv, const Environment& environment) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  return parse_options(program, arguments, environment);
}

}  // namespace dino::inline DINO_ABI
