#include <dino/io/program_config.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

using Arguments = std::vector<std::string>;

Options parse(Program p, const Arguments& arguments) {
  auto result = parse_options(p, arguments, {});
  INFO(result.report());
  REQUIRE(result.ok());
  return std::move(result.options);
}

std::string preset(const std::string& name) {
  return (std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "examples/configs" / name)
      .string();
}

}  // namespace

TEST_CASE("program_config: the synthetic recipe is 400 steps of 64 images", "[io]") {
  const auto c = resolve_pretrain(parse(Program::pretrain, {"--data", "synthetic"}));
  CHECK(c.common.dataset == "synthetic");
  CHECK(c.model.name == "vit-d96-l4-h3-4");
  CHECK(c.model.embed_dim == 96);
  CHECK(c.model.depth == 4);
  CHECK(c.model.num_heads == 3);
  CHECK(c.model.mlp_ratio == 2);
  CHECK(c.model.patch_size == 4);
  CHECK(c.model.image_size == 32);
  CHECK(c.model.init_std == 0.08);
  CHECK(c.model.drop_path_rate == 0);
  CHECK(c.batch_size == 64);
  CHECK(steps_of_epochs(c.epochs, 8000 / c.batch_size) == 400);
  CHECK(steps_of_epochs(c.warmup_epochs_lr, 125) == 20);
  CHECK(steps_of_epochs(c.freeze_last_layer, 125) == 20);
  CHECK(c.mlp_layers == 3);
  CHECK(c.hidden_dim == 256);
  CHECK(c.bottleneck_dim == 64);
  CHECK(c.k_dim == 256);
  CHECK(c.norm_last_layer);
  CHECK(c.student_temp == 0.1);
  CHECK(c.warmup_teacher_temp == 0.03);
  CHECK(c.final_teacher_temp == 0.03);
  CHECK(c.base_teacher_momentum == 0.97);
  CHECK(c.final_teacher_momentum == 1);
  CHECK(c.lr == 1e-3);
  CHECK(c.final_lr == 1e-6);
  CHECK(c.base_weight_decay == 0.04);
  CHECK(c.final_weight_decay == 0.4);
  CHECK(c.clip_grad == 3);
  CHECK(c.global_size == 32);
  CHECK(c.global_scale_min == 0.5);
  CHECK(c.global_scale_max == 1);
  CHECK(c.num_local_crops == 2);
  CHECK(c.local_size == 16);
  CHECK(c.local_scale_min == 0.2);
  CHECK(c.local_scale_max == 0.5);
  CHECK(c.blur_prob_global_1 == 0);  // departs from the document: at 32 pixels blur removes the texture
  CHECK(c.blur_prob_global_2 == 0);
  CHECK(c.blur_prob_local == 0);
  CHECK(c.eval_bank == 4000);
  CHECK(c.eval_queries == 1000);
}

TEST_CASE("program_config: a folder of images gets the reference recipe", "[io]") {
  const auto c = resolve_pretrain(parse(Program::pretrain, {"--data", "some/folder"}));
  CHECK(c.common.dataset == "folder");
  CHECK(c.model.name == "vit-s-16");
  CHECK_FALSE(c.model.backbone_is_set);
  CHECK(c.model.image_size == 224);
  CHECK(c.model.init_std == 0.02);
  CHECK(c.model.drop_path_rate == 0.1);
  CHECK(c.model.mean[0] == 0.485f);
  CHECK(c.model.deviation[2] == 0.225f);
  CHECK(c.k_dim == 65536);
  CHECK(c.lr == 0.002);
  CHECK(c.local_size == 96);
  CHECK(c.num_local_crops == 8);
  CHECK(c.micro_batch == 0);
  CHECK(c.common.threads == 0);
  CHECK(c.common.workers == -1);
  CHECK(c.run.experiment_num == -1);
  CHECK(c.run.time_limit == 0);
  CHECK(c.run.save_every == OptionInterval{1200, OptionInterval::Unit::seconds});
  CHECK(c.run.keep == 2);
  CHECK(c.run.verify_checkpoints);
  CHECK_FALSE(c.teacher_schedule_per_step);
}

TEST_CASE("program_config: CIFAR has its own colours, no blur and small crops", "[io]") {
  const auto c = resolve_pretrain(parse(Program::pretrain, {"--dataset", "cifar-100"}));
  CHECK(c.model.name == "vit-t-4");
  CHECK(c.model.mean[0] == 0.5071f);
  CHECK(c.blur_prob_global_1 == 0);
  CHECK(c.blur_prob_global_2 == 0);
  CHECK(c.blur_prob_local == 0);
  CHECK(c.lr == 0.0005);
  CHECK(c.epochs == 300);
  const auto ten = resolve_pretrain(parse(Program::pretrain, {"--dataset", "cifar-10"}));
  CHECK(ten.model.mean[1] == 0.4822f);
  CHECK(ten.model.deviation[1] == 0.2435f);
}

TEST_CASE("program_config: the small CPU preset has every setting of the published curve", "[io]") {
  const auto c = resolve_pretrain(parse(Program::pretrain, {"--config", preset("cifar-cpu-small.json")}));
  CHECK(c.common.limit_train == 16000);
  CHECK(c.common.precision == "fp32");
  CHECK(c.model.name == "vit-d96-l4-h3-4");
  CHECK(c.model.backbone_is_set);
  CHECK(c.model.mlp_ratio == 2);
  CHECK(c.model.init_std == 0.02);
  CHECK(c.model.drop_path_rate == 0);
  CHECK(c.hidden_dim == 256);
  CHECK(c.bottleneck_dim == 64);
  CHECK(c.k_dim == 512);
  CHECK(c.freeze_last_layer == 1);
  CHECK(c.epochs == 12);
  CHECK(c.batch_size == 64);
  CHECK(c.lr == 1e-3);
  CHECK(c.warmup_epochs_lr == 1);
  CHECK(c.base_teacher_momentum == 0.99);
  CHECK(c.final_teacher_temp == 0.04);
  CHECK(c.local_scale_min == 0.15);
  CHECK(c.local_scale_max == 0.4);
  CHECK(c.num_local_crops == 2);
  CHECK(c.blur_prob_global_1 == 0);
  CHECK(c.eval_bank == 10000);
  CHECK(c.eval_queries == 2000);
}

TEST_CASE("program_config: the preset for folders needs nothing but a path", "[io]") {
  const auto c =
      resolve_pretrain(parse(Program::pretrain, {"--config", preset("small-image-folder.json"), "--data", "x"}));
  CHECK(c.model.name == "vit-t-16");
  CHECK(c.k_dim == 1024);
  CHECK(c.lr == 0.00025);
  CHECK(c.run.save_every.amount == 1800);
}

TEST_CASE("program_config: k-NN", "[io]") {
  const auto c =
      resolve_knn(parse(Program::knn, {"--weights", "w.pth", "--dataset", "cifar-10", "--k", "5,7", "--temperature",
                                       "0.1", "--train-data", "t", "--json", "--threads", "3"}));
  CHECK(c.weights == "w.pth");
  CHECK(c.k == std::vector<i64>{5, 7});
  CHECK(c.temperature == 0.1);
  CHECK(c.train_data == "t");
  CHECK(c.common.json);
  CHECK(c.common.threads == 3);
  CHECK(c.batch_size == 256);
  CHECK(c.model.image_size == 0);
  CHECK(c.model.normalize_is_auto);
  CHECK(c.model.mean[0] == 0.4914f);
  CHECK(c.checkpoint_key == "teacher");
  const auto untrained = resolve_knn(parse(Program::knn, {"--data", "synthetic", "--baseline", "untrained"}));
  CHECK(untrained.model.name == "vit-d96-l4-h3-4");
  CHECK(untrained.model.init_std == 0.08);
  CHECK(untrained.k == std::vector<i64>{10, 20, 100, 200});
  CHECK(untrained.eval_bank == 4000);
}

TEST_CASE("program_config: attention and embedding", "[io]") {
  const auto result = parse_options(
      Program::attention,
      Arguments{"--weights", "w", "--size", "0", "--layers", "all", "--heads", "1,0", "--threshold", "0.6", "--no-grid",
                "--raw", "--experiment-num", "3", "a.png", "dir"},
      {});
  REQUIRE(result.ok());
  const auto a = resolve_attention(result.options, result.files);
  CHECK(a.files == std::vector<std::string>{"a.png", "dir"});
  CHECK(a.folder.experiment_num == 3);
  CHECK(a.size == 0);
  CHECK(a.all_layers);
  CHECK(a.layers.empty());
  CHECK(a.heads == std::vector<i64>{1, 0});
  CHECK(a.threshold == 0.6);
  CHECK((a.overlay && !a.grid && a.raw && !a.pca && !a.mean_only));
  const auto e = resolve_embed(parse(Program::embed, {"--weights", "w", "--data", "x", "--theta", "0", "--overwrite"}));
  CHECK(e.image_size == 0);
  CHECK(e.samples == 10000);
  CHECK(e.theta == 0);
  CHECK(e.folder.overwrite);
  CHECK(e.split == "auto");
  CHECK_THROWS_WITH(resolve_embed(result.options), "resolve_embed: options of dino_attention");
}

TEST_CASE("program_config: features", "[io]") {
  const auto result =
      parse_options(Program::features,
                    Arguments{"--weights", "w.pth", "b.png", "--layers", "4", "--tokens", "all", "--attention",
                              "--no-crop", "a.png", "-o", "f.safetensors", "--seed", "3"},
                    {});
  INFO(result.report());
  REQUIRE(result.ok());
  const auto c = resolve_features(result.options, result.files);
  CHECK(c.files == std::vector<std::string>{"b.png", "a.png"});
  CHECK(c.weights == "w.pth");
  CHECK(c.checkpoint_key == "teacher");
  CHECK(c.backbone == "auto");
  CHECK(c.layers == 4);
  CHECK(c.tokens == "all");
  CHECK(c.attention);
  CHECK_FALSE(c.crop);
  CHECK(c.size == 0);
  CHECK(c.normalize == "auto");
  CHECK(c.output == "f.safetensors");
  CHECK(c.batch_size == 64);
  CHECK(c.common.seed == 3);
  CHECK(c.common.out.empty());
  CHECK(c.common.workers == -1);
  const auto crop = parse(Program::features, {"--weights", "w", "--data", "x", "-o", "f.npy"});
  CHECK(resolve_features(crop, {}).size == -1);
  CHECK(resolve_features(crop, {}).crop);
  CHECK(resolve_features(crop, {}).common.data == "x");
  CHECK(published_colours("cifar-10").mean[0] == 0.4914f);
  CHECK(published_colours("folder").deviation[2] == 0.225f);
}

TEST_CASE("program_config: the options of another program are an internal error", "[io]") {
  const auto o = parse(Program::knn, {"--data", "synthetic", "--baseline", "pixels"});
  CHECK_THROWS_WITH(resolve_pretrain(o), "resolve_pretrain: options of dino_knn");
  CHECK_THROWS_WITH(resolve_knn(parse(Program::pretrain, {"--data", "synthetic"})),
                    "resolve_knn: options of dino_pretrain");
  CHECK_THROWS_WITH(resolve_features(o, {}), "resolve_features: options of dino_knn");
}

TEST_CASE("program_config: a saved run resolves to the same options, and changes are named", "[io]") {
  const TemporaryFolder folder;
  const auto first = parse(Program::pretrain, {"--data", "synthetic", "--max-steps", "50", "--time-limit", "1h"});
  std::ofstream(folder / "config.json") << first.to_json();
  const auto again = parse(Program::pretrain, {"--out", folder.path.string()});
  for (const auto& row : program_options()) {
    if (!row.read_by(Program::pretrain) || !row.saved) continue;
    INFO(row.key);
    CHECK(again.value(row.key) == first.value(row.key));
  }
  CHECK(again.seconds("time_limit") == 0);  // belongs to one call, not to the run
  CHECK(changed_since(first, again).empty());
  const auto other = parse(Program::pretrain, {"--out", folder.path.string(), "--batch-size", "32", "--keep", "5",
                                               "--log-every", "7", "--workers", "3"});
  CHECK(changed_since(first, other) == std::vector<std::string>{"batch_size 64 -> 32"});
}
