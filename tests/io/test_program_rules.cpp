#include <dino/io/program_rules.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

using Arguments = std::vector<std::string>;

const auto configs = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "examples/configs";

std::string preset(const std::string& name) { return (configs / name).string(); }

Options good(Program p, const Arguments& arguments) {
  auto result = parse_options(p, arguments, {});
  INFO(result.report());
  REQUIRE(result.ok());
  return std::move(result.options);
}

std::string report(Program p, const Arguments& arguments) {
  const auto result = parse_options(p, arguments, {});
  REQUIRE_FALSE(result.ok());
  return result.report();
}

/// The only problem of dino_pretrain --data x and these.
std::string problem(Arguments arguments) {
  arguments.insert(arguments.begin(), {"--data", "x"});
  const auto result = parse_options(Program::pretrain, arguments, {});
  INFO(result.report());
  REQUIRE(result.problems.size() == 1);
  return result.problems[0].message;
}

std::vector<std::string> warnings(Arguments arguments) {
  arguments.insert(arguments.begin(), {"--data", "x"});
  const auto result = parse_options(Program::pretrain, arguments, {});
  REQUIRE(result.ok());
  return result.warnings;
}

}  // namespace

TEST_CASE("program_rules: the backbone sets the dimensions, unless they are given", "[io]") {
  const auto named = good(Program::pretrain, {"--data", "x", "--backbone", "vit-b-8", "--depth", "6"});
  CHECK(named.integer("patch_size") == 8);
  CHECK(named.integer("embed_dim") == 768);
  CHECK(named.integer("depth") == 6);
  CHECK(named.integer("num_heads") == 12);
  CHECK(named.real("mlp_ratio") == 4);
  CHECK(named.origin("embed_dim") == "auto");
  const auto own = good(Program::pretrain, {"--data", "synthetic"});
  CHECK(own.real("mlp_ratio") == 2);
  const auto foreign = good(Program::pretrain, {"--data", "synthetic", "--backbone", "vit-t-4"});
  CHECK(foreign.real("mlp_ratio") == 4);  // the 2 belongs to the data set's own backbone
  CHECK(
      good(Program::pretrain, {"--data", "synthetic", "--backbone", "vit-t-4", "--mlp-ratio", "2"}).real("mlp_ratio") ==
      2);
}

TEST_CASE("program_rules: an unknown backbone is refused with a suggestion, a planned one by name", "[io]") {
  CHECK(problem({"--backbone", "vit-s-61"}) ==
        "backbone = vit-s-61 must be vit-{t,s,b}-{4,8,14,16} or vit-d<width>-l<layers>-h<heads>-<patch>. "
        "Did you mean \"vit-s-16\"?");
  for (const auto* later : {"resnet50", "vit-l-16", "xcit-s-16"}) {
    CHECK(problem({"--backbone", later}) ==
          str("backbone = {} is known, but not in this version. Use vit-t-*, vit-s-* or vit-b-*", later));
  }
  CHECK(problem({"--num-heads", "5"}) == "embed_dim = 384 (default) must be a multiple of num_heads = 5");
}

TEST_CASE("program_rules: the rate is derived from the batch, and a given one is left alone", "[io]") {
  CHECK(good(Program::pretrain, {"--data", "x"}).real("lr") == 0.002);
  CHECK(good(Program::pretrain, {"--data", "x", "--batch-size", "256"}).real("lr") == 0.0005);
  CHECK(good(Program::pretrain, {"--data", "x", "--lr", "0.3", "--batch-size", "256"}).real("lr") == 0.3);
  CHECK(good(Program::pretrain, {"--data", "synthetic"}).real("lr") == 0.001);
  const auto asked = good(Program::pretrain, {"--data", "synthetic", "--lr", "auto"});
  CHECK(asked.real("lr") == 0.000125);
  CHECK(asked.source("lr") == Source::derived);
}

TEST_CASE("program_rules: the data set follows from the stronger of --data and --dataset", "[io]") {
  const auto cifar = good(Program::pretrain, {"--dataset", "cifar-10"});
  CHECK(cifar.text("data") == "data/cifar-10");
  CHECK(cifar.integer("k_dim") == 4096);
  CHECK(good(Program::pretrain, {"--dataset", "cifar-10", "--data", "y"}).text("data") == "y");
  const auto synthetic = good(Program::pretrain, {"--data", "synthetic"});
  CHECK(synthetic.text("dataset") == "synthetic");
  CHECK(good(Program::pretrain, {"--dataset", "synthetic"}).text("data") == "synthetic");
  CHECK(good(Program::pretrain, {"--data", "no/such"}).text("dataset") == "folder");
  const auto cifar_file = preset("cifar.json"), synthetic_file = preset("synthetic.json");
  CHECK(good(Program::pretrain, {"--config", cifar_file, "--data", "synthetic"}).text("dataset") == "synthetic");
  const auto over = good(Program::pretrain, {"--config", synthetic_file, "--dataset", "cifar-10"});
  CHECK(over.text("data") == "data/cifar-10");
  CHECK(good(Program::pretrain, {"--config", synthetic_file, "--data", "z"}).text("dataset") == "folder");
  CHECK(report(Program::pretrain, {"--dataset", "cifar-10", "--data", "synthetic"})
            .starts_with("error: data = synthetic contradicts dataset = cifar-10\n"));
  CHECK(report(Program::pretrain, {})
            .starts_with("error: no data: give --data PATH; --data synthetic needs no download"));
}

TEST_CASE("program_rules: keys that belong together are checked together", "[io]") {
  CHECK(problem({"--global-scale-min", "0.9", "--global-scale-max", "0.5"}) ==
        "global_scale_min = 0.9 must be at most global_scale_max = 0.5");
  CHECK(problem({"--local-scale-min", "0.5"}) ==
        "local_scale_min = 0.5 must be at most local_scale_max = 0.4 (default)");
  CHECK(problem({"--final-teacher-momentum", "0.9"}) ==
        "base_teacher_momentum = 0.996 (default) must be at most final_teacher_momentum = 0.9");
  CHECK(problem({"--epochs", "10"}) == "warmup_epochs_lr = 10 (default) must be below epochs = 10");
  CHECK(problem({"--warmup-teacher-epochs", "101"}) ==
        "warmup_teacher_epochs = 101 must be at most epochs = 100 (default)");
  CHECK(problem({"--local-size", "90"}) == "local_size = 90 must be a multiple of patch_size = 16 (default)");
  CHECK(problem({"--batch-size", "64", "--micro-batch", "48"}) ==
        "batch_size = 64 must be a multiple of micro_batch = 48");
  CHECK(problem({"--blur-prob", "1,0"}) == "blur_prob = 1,0 must be 1 or 3 numbers");
  CHECK(problem({"--quiet", "-v"}) == "quiet = true contradicts verbose = true");
  CHECK(problem({"--out", "a", "--experiment-num", "3"}) == "out = a contradicts experiment_num = 3");
  CHECK(problem({"--overwrite", "--force-config"}) == "overwrite = true contradicts force_config = true");
  CHECK(warnings({"--num-local-crops", "0", "--local-size", "90"}).empty());
}

TEST_CASE("program_rules: rules over several keys are silent about a value that was refused already", "[io]") {
  CHECK(problem({"--global-scale-min", "1.4", "--global-scale-max", "0.1"}) ==
        "--global-scale-min = 1.4 must be in (0, 1]");
}

TEST_CASE("program_rules: a broken rule is placed where the stronger of its keys stands", "[io]") {
  const TemporaryFolder folder;
  const auto path = (folder / "a.json").string();
  std::ofstream(path) << "{\"data\": \"x\",\n \"epochs\": 5}";
  CHECK(report(Program::pretrain, {"--config", path}) ==
        path + ":2:12  warmup_epochs_lr = 10 (default) must be below epochs = 5\n1 problem, nothing was started.");
}

TEST_CASE("program_rules: unwise values are warnings", "[io]") {
  CHECK(warnings({}).empty());
  CHECK(warnings({"--final-teacher-temp", "0.08"}) ==
        std::vector<std::string>{"final_teacher_temp = 0.08 is above 0.07: training is unstable there"});
  CHECK(warnings({"--final-teacher-temp", "0.07"}).empty());
  CHECK(warnings({"--local-scale-max", "0.5"}) ==
        std::vector<std::string>{"local_scale_max = 0.5 is above global_scale_min = 0.4 (default): "
                                 "local crops may be larger than global ones"});
  CHECK(warnings({"--local-scale-max", "0.5", "--num-local-crops", "0"}).empty());
  CHECK(warnings({"--lr", "1e-7"}) ==
        std::vector<std::string>{"final_lr = 1e-06 (default) is above lr = 1e-07: the rate will rise"});
}

TEST_CASE("program_rules: fine-tuning strengths are nothing in linear mode", "[io]") {
  const auto linear = good(Program::finetune, {"--data", "x", "--weights", "w.pth"});
  for (const auto* key : {"warmup_epochs", "layer_decay", "mixup", "cutmix", "label_smoothing", "random_erasing"}) {
    CHECK(linear.real(key) == 0);
  }
  CHECK(linear.integer("randaugment") == 0);
  CHECK(linear.integer("n_last_blocks") == 1);
  CHECK_FALSE(linear.flag("avgpool_patchtokens"));
  const auto full =
      good(Program::finetune, {"--data", "x", "--weights", "w", "--mode", "full", "--backbone", "vit-b-16"});
  CHECK(full.real("warmup_epochs") == 5);
  CHECK(full.real("layer_decay") == 0.75);
  CHECK(full.real("mixup") == 0.8);
  CHECK(full.real("cutmix") == 1);
  CHECK(full.real("label_smoothing") == 0.1);
  CHECK(full.real("random_erasing") == 0.25);
  CHECK(full.integer("randaugment") == 9);
  const auto scratch = good(Program::finetune, {"--data", "x", "--weights", "none", "--mode", "full", "--epochs", "3"});
  CHECK(scratch.real("layer_decay") == 0);
  CHECK(scratch.real("warmup_epochs") == 0.6);
  const auto vain = parse_options(Program::finetune, Arguments{"--data", "x", "--weights", "w", "--mixup", "0.5"}, {});
  CHECK(vain.warnings == std::vector<std::string>{"mixup = 0.5 has no effect in linear mode"});
  CHECK(report(Program::finetune, {"--data", "x"})
            .starts_with("error: no weights: give --weights PATH, or --weights none"));
}

TEST_CASE("program_rules: the features of the probe of DINO are those of its paper", "[io]") {
  const auto probe = [](const char* backbone, const char* name) {
    return good(Program::finetune, {"--data", "x", "--weights", "w", "--probe", name, "--backbone", backbone});
  };
  CHECK(probe("vit-s-16", "dino").integer("n_last_blocks") == 4);
  CHECK_FALSE(probe("vit-s-16", "dino").flag("avgpool_patchtokens"));
  CHECK(probe("vit-b-16", "dino").integer("n_last_blocks") == 1);
  CHECK(probe("vit-b-16", "dino").flag("avgpool_patchtokens"));
}

TEST_CASE("program_rules: predictions and evaluation need a trained classifier", "[io]") {
  CHECK(good(Program::finetune, {"--weights", "w", "--predict", "cat.jpg"}).text("output").empty());
  CHECK(good(Program::finetune, {"--weights", "w", "--predict", "cats", "-o", "c.json"}).text("output") == "c.json");
  CHECK(report(Program::finetune, {"--weights", "none", "--predict", "cat.jpg"})
            .starts_with("error: weights = none has no trained classifier"));
  CHECK(report(Program::finetune, {"--data", "x", "--weights", "w", "--eval-only", "--predict", "a"})
            .starts_with("error: predict = a contradicts eval_only = true"));
  CHECK(report(Program::finetune, {"--data", "x", "--weights", "w", "-o", "c.csv"})
            .starts_with("error: output = c.csv is the file of predictions: add --predict"));
  CHECK(report(Program::finetune, {"--weights", "w", "--predict", "a", "-o", "c.txt"})
            .starts_with("error: output = c.txt must be -o FILE.csv or -o FILE.json"));
}

TEST_CASE("program_rules: a head of its own is for evaluation and predictions", "[io]") {
  const Arguments head{"--data", "x", "--weights", "w", "--linear-weights", "h.pth"};
  for (const char* use : {"--eval-only", "--predict=cat.jpg"}) {
    auto all = head;
    all.push_back(use);
    CHECK(good(Program::finetune, all).text("linear_weights") == "h.pth");
  }
  CHECK(report(Program::finetune, head)
            .starts_with("error: linear_weights = h.pth is a trained head: add --eval-only or --predict"));
}

TEST_CASE("program_rules: k-NN needs weights or a baseline, not both", "[io]") {
  CHECK(good(Program::knn, {"--data", "synthetic", "--baseline", "pixels"}).list("k").size() == 4);
  CHECK(report(Program::knn, {"--data", "synthetic"})
            .starts_with("error: no weights: give --weights PATH, or --baseline pixels or untrained\n"));
  CHECK(report(Program::knn, {"--data", "synthetic", "--weights", "w", "--baseline", "pixels"})
            .starts_with("error: baseline = pixels contradicts weights = w\n"));
}

TEST_CASE("program_rules: features need weights, an output and pictures", "[io]") {
  const Arguments enough{"--weights", "w", "-o", "f.safetensors", "a.png"};
  const auto with = [&](const Arguments& more) {
    auto all = enough;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const auto first = [&](const Arguments& arguments) {
    const auto text = report(Program::features, arguments);
    return text.substr(0, text.find('\n'));
  };
  const auto o = good(Program::features, enough);
  CHECK(o.integer("layers") == 1);
  CHECK(o.text("tokens") == "cls");
  CHECK(o.is_word("size"));
  CHECK(good(Program::features, {"--weights", "w", "-o", "f.npy", "--data", "synthetic"}).text("dataset") ==
        "synthetic");
  CHECK(report(Program::features, {}) ==
        "error: no data: give pictures, or --data PATH; --data synthetic needs no download\n"
        "error: no weights: give --weights PATH\n"
        "error: no output: give -o FILE.safetensors or -o FILE.npy\n"
        "3 problems, nothing was started.");
  CHECK(first({"--weights", "w", "-o", "f.npz", "a.png"}) ==
        "error: output = f.npz must be -o FILE.safetensors or -o FILE.npy");
  CHECK(first(with({"--data", "x"})) == "error: data = x contradicts the files that are named");
  CHECK(first(with({"--dataset", "cifar-10"})) == "error: dataset = cifar-10 contradicts the files that are named");
  CHECK(parse_options(Program::features, enough, {{"DINO_DATA", "x"}}).ok());
  CHECK(first({"--weights", "w", "-o", "f.npy", "--attention", "a.png"}) ==
        "error: output = f.npy holds one array, --attention is a second: use .safetensors");
}

TEST_CASE("program_rules: a size of nothing is for whole pictures, a backbone is any or a known one", "[io]") {
  const auto with = [](Arguments more) {
    more.insert(more.end(), {"--weights", "w", "-o", "f.npy", "a.png"});
    return more;
  };
  CHECK(good(Program::features, with({"--no-crop"})).integer("size") == 0);
  CHECK(good(Program::features, with({"--no-crop", "--size", "0"})).integer("size") == 0);
  CHECK(good(Program::features, with({"--no-crop", "--size", "37"})).integer("size") == 37);
  CHECK(good(Program::features, with({"--size", "37"})).integer("size") == 37);
  CHECK(report(Program::features, with({"--size", "0"}))
            .starts_with("error: size = 0 is for whole pictures: add --no-crop, or give the side of the crop\n"));
  CHECK(good(Program::features, with({"--backbone", "vit-s-8"})).text("backbone") == "vit-s-8");
  CHECK(report(Program::features, with({"--backbone", "vit-x-8"}))
            .starts_with("error: backbone = vit-x-8 must be vit-{t,s,b}-"));
  CHECK(report(Program::features, with({"--backbone", "resnet50"})).find("known, but not in this version") !=
        std::string::npos);
}

TEST_CASE("program_rules: --help and --version answer whatever else is wrong, --print-config shows sources", "[io]") {
  const auto help = parse_options(Program::pretrain, Arguments{"--help", "--bad"}, {});
  CHECK(help.ok());
  CHECK(help.answer.starts_with("dino_pretrain pre-trains"));
  const auto version = parse_options(Program::knn, Arguments{"--version"}, {});
  CHECK(version.ok());
  CHECK(version.options.flag("version"));
  const auto shown = parse_options(Program::pretrain, Arguments{"--data", "synthetic", "--print-config"}, {});
  CHECK(shown.answer.find("* data                    synthetic           --data\n") != std::string::npos);
  CHECK(shown.answer.find("  batch_size              64                  data set synthetic\n") != std::string::npos);
  const char* const argv[] = {"dino_pretrain", "--data", "synthetic"};
  CHECK(parse_options(Program::pretrain, 3, argv, {}).ok());
  CHECK(parse_options(Program::pretrain, 0, nullptr, {}).problems.size() == 1);
}

#if DINO_HAS_YAML
TEST_CASE("program_rules: pre-train.yaml of the original request is read unchanged", "[io]") {
  const auto result =
      parse_options(Program::pretrain, Arguments{"--config", preset("pre-train.yaml"), "--data", "x"}, {});
  INFO(result.report());
  REQUIRE(result.ok());
  CHECK(result.warnings.empty());
  const auto& o = result.options;
  const std::vector<std::pair<std::string, std::string>> values{{"backbone", "vit-s-16"},
                                                                {"mlp_layers", "3"},
                                                                {"hidden_dim", "2048"},
                                                                {"bottleneck_dim", "256"},
                                                                {"k_dim", "65536"},
                                                                {"base_teacher_momentum", "0.996"},
                                                                {"final_teacher_momentum", "1"},
                                                                {"base_weight_decay", "0.04"},
                                                                {"final_weight_decay", "0.4"},
                                                                {"warmup_epochs_lr", "10"},
                                                                {"warmup_start_lr", "0"},
                                                                {"final_lr", "1e-06"},
                                                                {"student_temp", "0.1"},
                                                                {"warmup_teacher_epochs", "0"},
                                                                {"warmup_teacher_temp", "0.04"},
                                                                {"final_teacher_temp", "0.04"},
                                                                {"global_scale_min", "0.4"},
                                                                {"global_scale_max", "1"},
                                                                {"local_scale_min", "0.05"},
                                                                {"local_scale_max", "0.4"},
                                                                {"num_local_crops", "10"},
                                                                {"batch_size", "1024"},
                                                                {"center_momentum", "0.9"},
                                                                {"seed", "42"},
                                                                {"epochs", "100"},
                                                                {"experiment_num", "0"}};
  CHECK(values.size() == 26);
  for (const auto& [key, value] : values) {
    INFO(key);
    CHECK(o.value(key) == value);
    CHECK(o.source(key) == Source::file);
  }
  CHECK(o.real("lr") == 0.002);
  CHECK(o.origin("k_dim") == preset("pre-train.yaml") + ":6:8");
}

TEST_CASE("program_rules: finetune.yaml of the original request is read unchanged, by its program only", "[io]") {
  const auto file = preset("finetune.yaml");
  const auto o = good(Program::finetune, {"--config", file});
  CHECK(o.text("backbone") == "vit-s-16");
  CHECK(o.integer("seed") == 42);
  CHECK(o.real("epochs") == 100);
  CHECK(o.real("lr") == 1e-4);
  CHECK(o.real("eta_min") == 1e-6);
  CHECK(o.integer("batch_size") == 8);
  CHECK(o.real("weight_decay") == 1e-5);
  CHECK(o.integer("experiment_num") == 0);
  CHECK(o.text("dataset") == "cifar-10");
  CHECK(o.text("weights") == "runs/pretrain/vit-s-16/version_0");
  CHECK(report(Program::pretrain, {"--config", file})
            .find("\"eta_min\" is read by dino_finetune, not by dino_pretrain") != std::string::npos);
}
#endif

TEST_CASE("program_rules: attention takes pictures, and says which heads and blocks it does not understand", "[io]") {
  const auto o = good(Program::attention, {"--weights", "w", "--heads", "0,3", "--layers", "0..11", "a.png", "b.png"});
  CHECK(o.text("heads") == "0,3");
  CHECK(o.text("backbone") == "auto");
  CHECK(report(Program::attention, {"a.png"}).find("no weights: give --weights PATH") != std::string::npos);
  CHECK(report(Program::attention, {"--weights", "w"}).find("no data: give pictures, or --data PATH") !=
        std::string::npos);
  CHECK(report(Program::attention, {"--weights", "w", "--heads", "3,3", "a.png"})
            .find("heads = 3,3 must be all|mean, or numbers from 0 such as 0,3 or 0..11") != std::string::npos);
  CHECK(report(Program::attention, {"--weights", "w", "--layers", "first", "a.png"}).find("layers = first must be") !=
        std::string::npos);
  CHECK(report(Program::attention, {"--weights", "w", "--match", "a.png"})
            .find("match takes two pictures, 1 are named: --match A B") != std::string::npos);
  CHECK(report(Program::attention, {"--weights", "w", "--match", "--video", "a.png", "b.png"})
            .find("match = true contradicts video = true") != std::string::npos);
  CHECK(report(Program::attention, {"--weights", "w", "--square", "--size", "0", "a.png"})
            .find("square = true contradicts size = 0") != std::string::npos);
}

TEST_CASE("program_rules: an embedding needs weights and a data set", "[io]") {
  const auto o = good(Program::embed, {"--weights", "w", "--dataset", "cifar-10"});
  CHECK(o.text("data") == "data/cifar-10");
  CHECK(o.text("method") == "tsne");
  CHECK(report(Program::embed, {"--data", "x"}).find("no weights: give --weights PATH") != std::string::npos);
  CHECK(report(Program::embed, {"--weights", "w", "a.png"}).find("a.png") != std::string::npos);
  CHECK(report(Program::embed, {"--weights", "w", "--data", "x", "--out", "o", "--experiment-num", "1"})
            .find("out = o contradicts experiment_num = 1") != std::string::npos);
}

TEST_CASE("program_rules: the synthetic preset says what its data set's defaults are", "[io]") {
  const auto written = good(Program::pretrain, {"--config", preset("synthetic.json")});
  const auto defaults = good(Program::pretrain, {"--data", "synthetic"});
  for (const auto& row : program_options()) {
    if (!row.read_by(Program::pretrain)) continue;
    INFO(row.key);
    CHECK((row.key == "config" || written.value(row.key) == defaults.value(row.key)));
  }
}

TEST_CASE("program_rules: the CIFAR preset says what its data set's defaults are", "[io]") {
  const auto result = parse_options(Program::pretrain, Arguments{"--config", preset("cifar.json")}, {});
  REQUIRE(result.ok());
  CHECK(result.warnings.empty());
  const auto defaults = good(Program::pretrain, {"--dataset", "cifar-10"});
  for (const auto& row : program_options()) {
    if (!row.read_by(Program::pretrain)) continue;
    INFO(row.key);
    CHECK((row.key == "config" || result.options.value(row.key) == defaults.value(row.key)));
  }
}
