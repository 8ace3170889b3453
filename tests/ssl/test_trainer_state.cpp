#include <dino/io/checkpoint.hpp>
#include <dino/ssl/trainer_state.hpp>

#include "support/temporary_folder.hpp"
#include "support/tiny_run.hpp"

using namespace dino;
using Host = HostDevice;
using Trainer = tiny_run::Trainer<float>;

namespace {

void save(CheckpointFolder& folder, Trainer& trainer) {
  std::vector<i64> steps;
  const auto views = trainer_views(trainer, steps);
  folder.save(trainer.steps_done(), views, {});
}

StateDict state_of(Trainer& trainer) {
  TemporaryFolder temporary;
  CheckpointFolder folder(temporary / "checkpoints");
  save(folder, trainer);
  return folder.load_newest([](const std::string&) {})->state;
}

/// Three steps, a checkpoint, two more; and the same with a new process in between.
void check_resumes(const DinoConfig& config) {
  HostContext ctx(2);
  TemporaryFolder temporary;
  CheckpointFolder folder(temporary / "checkpoints");
  Trainer trainer(ctx, config, tiny_run::groups);
  for (u64 i = 0; i < 3; ++i) trainer.step(tiny_run::batch(i));
  save(folder, trainer);
  const auto loaded = folder.load_newest([](const std::string&) {});
  REQUIRE(loaded.has_value());
  auto other = config;
  other.seed = config.seed;
  Trainer resumed(ctx, other, tiny_run::groups);
  load_trainer(resumed, loaded->state, loaded->step, loaded->path.string());
  CHECK(resumed.steps_done() == 3);
  CHECK(tiny_run::everything(resumed) == tiny_run::everything(trainer));
  for (u64 i = 3; i < 5; ++i) CHECK(trainer.step(tiny_run::batch(i)).loss == resumed.step(tiny_run::batch(i)).loss);
  CHECK(tiny_run::everything(resumed) == tiny_run::everything(trainer));
}

/// Loading this state must fail with the text and change nothing.
void check_refused(Trainer& trainer, const StateDict& state, const std::string& text) {
  const auto before = tiny_run::everything(trainer);
  try {
    load_trainer(trainer, state, 3, "run/step_3");
    FAIL("loaded");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    CHECK_THAT(error.what(), contains(text));
  }
  CHECK(tiny_run::everything(trainer) == before);
  CHECK(trainer.steps_done() == 0);
}

}  // namespace

TEST_CASE("trainer_state: training continues bit for bit after a restart, with every optimizer", "[ssl]") {
  auto config = tiny_run::config();
  config.freeze_last_layer_steps = 2;  // counts differ between tensors
  for (const std::string optimizer : {"adamw", "sgd", "lars"}) {
    INFO(optimizer);
    config.optimizer = optimizer;
    check_resumes(config);
  }
}

TEST_CASE("trainer_state: running statistics of batch norm are part of it", "[ssl]") {
  auto config = tiny_run::config();
  config.head.use_bn = true;
  check_resumes(config);
}

TEST_CASE("trainer_state: equal bits for 1, 2 and 3 threads", "[ssl]") {
  const auto after = [](i64 threads) {
    HostContext ctx(threads);
    Trainer trainer(ctx, tiny_run::config(), tiny_run::groups);
    for (u64 i = 0; i < 3; ++i) trainer.step(tiny_run::batch(i));
    return tiny_run::everything(trainer);
  };
  const auto one = after(1);
  CHECK(one == after(2));
  CHECK(one == after(3));
}

TEST_CASE("trainer_state: names of the tensors", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.head.use_bn = true;
  Trainer trainer(ctx, config, tiny_run::groups);
  const auto state = state_of(trainer);
  const auto shape = [&](const char* name) { return state.at(name).shape; };
  CHECK(shape("student.backbone.cls_token") == Shape{1, 1, 16});
  CHECK(shape("teacher.head.last_layer.weight_v") == Shape{32, 8});
  CHECK(shape("optim.m.backbone.pos_embed") == Shape{1, 5, 16});
  CHECK(shape("optim.v.head.mlp.0.bias") == Shape{24});
  CHECK(shape("loss.center") == Shape{32});
  CHECK(shape("student.head.mlp.1.running_mean") == Shape{24});
  CHECK(shape("teacher.head.mlp.1.running_var") == Shape{24});
  CHECK(state.at("optim.steps").dtype == DType::I64);
  const size_t parameters = trainer.student_params().segments().size();
  CHECK(state.tensors.size() == 4 * parameters + 2 + 8);
}

TEST_CASE("trainer_state: a checkpoint of another model is refused whole", "[ssl]") {
  HostContext ctx(1);
  Trainer trainer(ctx, tiny_run::config(), tiny_run::groups);
  auto config = tiny_run::config();
  config.backbone.dim = 8;
  Trainer narrow(ctx, config, tiny_run::groups);
  check_refused(trainer, state_of(narrow), "backbone.cls_token is (1,1,8), the model needs (1,1,16)");
  config = tiny_run::config();
  config.backbone.depth = 1;
  Trainer shallow(ctx, config, tiny_run::groups);
  check_refused(trainer, state_of(shallow), "missing: backbone.blocks.1.norm1.weight");
}

TEST_CASE("trainer_state: a checkpoint of another optimizer is refused whole", "[ssl]") {
  HostContext ctx(1);
  Trainer trainer(ctx, tiny_run::config(), tiny_run::groups);
  auto config = tiny_run::config();
  config.optimizer = "sgd";
  Trainer other(ctx, config, tiny_run::groups);
  check_refused(trainer, state_of(other), "there is no tensor optim.m.backbone.cls_token");
}

TEST_CASE("trainer_state: each missing or misshapen tensor is refused before anything changes", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.head.use_bn = true;
  Trainer trainer(ctx, config, tiny_run::groups), source(ctx, config, tiny_run::groups);
  source.step(tiny_run::batch(0));
  const auto whole = state_of(source);
  for (const std::string name :
       {"loss.center", "optim.steps", "optim.v.head.last_layer.weight_v", "teacher.head.mlp.4.running_var"}) {
    auto without = whole;
    without.tensors.erase(name);
    check_refused(trainer, without, "there is no tensor " + name);
    auto wrong = whole;
    wrong.tensors[name] = tensor_data({1, 3}, std::vector<float>(3));
    check_refused(trainer, wrong, name + " is (1,3)");
  }
  auto without = whole;
  without.tensors.erase("teacher.backbone.norm.bias");
  check_refused(trainer, without, "missing: backbone.norm.bias");
  auto text = whole;
  text.tensors["optim.steps"].dtype = DType::F64;
  check_refused(trainer, text, "cannot be read as I64");
}
