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
