#include <dino/io/finetune_config.hpp>

#include "support/catch.hpp"

#include <filesystem>

using namespace dino;

namespace {

FinetuneConfig config(const std::vector<std::string>& arguments) {
  const auto parsed = parse_options(Program::finetune, arguments, {});
  INFO(parsed.report());
  REQUIRE(parsed.ok());
  return resolve_finetune(parsed.options);
}

std::string preset(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  return (root / "examples" / "configs" / name).string();
}

}  // namespace

TEST_CASE("finetune_config: the original finetune.yaml", "[io]") {
  const auto c = config({"--config", preset("finetune.yaml"), "--mode", "full"});
  CHECK(c.common.dataset == "cifar-10");
  CHECK(c.common.data == "data/cifar-10");
  CHECK(c.model.name == "vit-s-16");
  CHECK(c.weights == "runs/pretrain/vit-s-16/version_0");
  CHECK(c.model.image_size == 0);  // as the weights say
  CHECK(c.model.normalize_is_auto);
  CHECK(c.run.experiment_num == 0);
  CHECK(c.epochs == 100);
  CHECK(c.lr == 1e-4);
  CHECK(c.eta_min == 1e-6);
  CHECK(c.batch_size == 8);
  CHECK(c.weight_decay == 1e-5);
  CHECK(c.trains());
}

TEST_CASE("finetune_config: what a head of its own sees is known only where somebody said so", "[io]") {
  const std::vector<std::string> use{"--data", "x", "--weights", "w", "--eval-only", "--linear-weights", "h"};
  const auto silent = config(use);
  CHECK(silent.linear_weights == "h");
  CHECK_FALSE(silent.n_last_blocks_is_set);
  CHECK_FALSE(silent.avgpool_is_set);
  auto all = use;
  all.insert(all.end(), {"--n-last-blocks", "2", "--no-avgpool-patchtokens"});
  const auto said = config(all);
  CHECK(said.n_last_blocks_is_set);
  CHECK(said.n_last_blocks == 2);
  CHECK(said.avgpool_is_set);
  CHECK_FALSE(said.avgpool_patchtokens);
}

TEST_CASE("finetune_config: the recipe of mode full, and nothing of it in mode linear", "[io]") {
  const auto full = config({"--mode", "full", "--data", "x", "--weights", "w"});
  CHECK(full.layer_decay == 0.75);
  CHECK(full.mixup == 0.8);
  CHECK(full.cutmix == 1);
  CHECK(full.label_smoothing == 0.1);
  CHECK(full.random_erasing == 0.25);
  CHECK(full.randaugment == 9);
  CHECK(full.warmup_epochs == 5);
  CHECK(full.crop_scale_min == 0.08);
  CHECK(full.flip_prob == 0.5);
  CHECK(full.eval_every == 1);
  CHECK(full.model.drop_path_rate == 0.1);
  const auto linear = config({"--data", "x", "--weights", "w"});
  CHECK(linear.mode == "linear");
  CHECK(linear.layer_decay == 0);
  CHECK(linear.mixup == 0);
  CHECK(linear.randaugment == 0);
}

TEST_CASE("finetune_config: without weights the data set says the size of the images", "[io]") {
  const auto synthetic = config({"--data", "synthetic", "--weights", "none"});
  CHECK(synthetic.weights.empty());
  CHECK(synthetic.model.image_size == 32);
  CHECK(synthetic.model.name == "vit-d96-l4-h3-4");
  CHECK(synthetic.batch_size == 64);
  CHECK(config({"--data", "x", "--weights", "none"}).model.image_size == 224);
  CHECK(config({"--data", "x", "--weights", "none", "--image-size", "96"}).model.image_size == 96);
}

TEST_CASE("finetune_config: predicting and evaluating do not train", "[io]") {
  const auto p = config({"--weights", "w", "--predict", "cat.jpg", "-o", "c.json"});
  CHECK_FALSE(p.trains());
  CHECK(p.predict == "cat.jpg");
  CHECK(p.output == "c.json");
  CHECK_FALSE(config({"--data", "x", "--weights", "w", "--eval-only"}).trains());
}

TEST_CASE("finetune_config: the protocols of linear mode, as far as the options leave them open", "[io]") {
  const std::vector<std::string> given{"--data", "x", "--weights", "w"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), given.begin(), given.end());
    return config(more);
  };
  const auto request = with({});
  CHECK(request.probe == "request");
  CHECK(request.lr == 1e-4);
  CHECK(request.eta_min == 1e-6);
  CHECK(request.batch_size == 8);
  CHECK(request.n_last_blocks == 1);
  CHECK_FALSE(request.avgpool_patchtokens);
  CHECK_FALSE(request.augment);
  CHECK(request.lbfgs_c == 1);
  const auto dino = with({"--probe", "dino"});
  CHECK(dino.batch_size == 128);
  CHECK(dino.lr == 0.001 * 128 / 256);
  CHECK(dino.eta_min == 0);
  CHECK(dino.weight_decay == 0);
  CHECK(dino.n_last_blocks == 4);
  CHECK_FALSE(dino.avgpool_patchtokens);
  CHECK(dino.augment);
  const auto own =
      with({"--probe", "dino", "--batch-size", "64", "--lr", "0.3", "--no-augment", "--n-last-blocks", "2"});
  CHECK(own.batch_size == 64);
  CHECK(own.lr == 0.3);
  CHECK(own.n_last_blocks == 2);
  CHECK_FALSE(own.augment);
  CHECK(with({"--probe", "dino", "--batch-size", "1024"}).lr == 0.004);
  const auto base = with({"--probe", "dino", "--backbone", "vit-b-16"});
  CHECK(base.n_last_blocks == 1);
  CHECK(base.avgpool_patchtokens);
  const auto sweep = with({"--probe", "sweep"});
  CHECK(sweep.n_last_blocks == 4);
  CHECK(sweep.avgpool_patchtokens);
  CHECK_FALSE(sweep.augment);
  CHECK_FALSE(with({"--mode", "full", "--probe", "dino"}).augment);
  const std::vector<std::string> wrong{"--data", "x", "--weights", "w", "--probe", "lbfgs", "--augment"};
  const auto refused = parse_options(Program::finetune, wrong, {});
  CHECK_FALSE(refused.ok());
  CHECK(refused.report().find("contradicts") != std::string::npos);
}
