#include <dino/ssl/trainer.hpp>

#include "support/tiny_run.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

std::vector<double> values(ParamStore<double, Host>& params, const std::string& name) {
  REQUIRE(params.find(name) >= 0);
  return to_vector(params.value(params.find(name)));
}

/// The settings of tools/reference/trajectory.py.
DinoConfig trajectory_config(const std::string& optimizer) {
  DinoConfig c;
  c.backbone = {.image_size = 16, .patch_size = 4, .dim = 9, .depth = 2, .heads = 3, .mlp_ratio = 2};
  c.head = {.outputs = 24, .hidden = 10, .bottleneck = 6};
  c.drop_path = 0;
  c.batch = c.micro_batch = 3;
  c.total_steps = 8;
  c.steps_per_epoch = 2;
  c.warmup_steps = 3;
  c.freeze_last_layer_steps = 2;
  c.warmup_teacher_temp = 0.04;
  c.teacher_temp = 0.07;
  c.warmup_teacher_steps = 6;
  c.teacher_momentum = 0.9;
  c.optimizer = optimizer;
  c.lr = optimizer == "adamw" ? 2e-3 : optimizer == "sgd" ? 0.05 : 0.3;
  c.clip = optimizer == "adamw" ? 0.3 : optimizer == "sgd" ? 3.0 : 0.1;
  c.head.use_bn = optimizer == "sgd";
  c.head.norm_last_layer = optimizer != "adamw";
  return c;
}

Batch trajectory_batch(i64 step) {
  Batch batch;
  batch.images = 3;
  for (const auto& [crops, side] : {std::pair<i64, i64>{2, 16}, {3, 8}}) {
    std::vector<float> pixels(static_cast<size_t>(crops * 3 * 3 * side * side));
    const auto group = static_cast<i64>(batch.groups.size());
    for (size_t k = 0; k < pixels.size(); ++k) {
      const auto i = static_cast<i64>(k);
      pixels[k] = static_cast<float>((i * 37 + i / 7 * 5 + step * 53 + group * 17) % 127) / 64 - 1;
    }
    batch.groups.push_back(std::move(pixels));
  }
  return batch;
}

void check_trajectory(const std::string& optimizer, i64 micro_batch) {
  static const golden::File file("trajectory.safetensors");
  HostContext ctx(2);
  auto config = trajectory_config(optimizer);
  config.micro_batch = micro_batch;
  DinoTrainer<double, Host> trainer(ctx, config, {{2, 16, 16}, {3, 8, 8}});
  auto &student = trainer.student_params(), &teacher = trainer.teacher_params();
  for (size_t i = 0; i < student.segments().size(); ++i) {
    const auto start = file.values(optimizer + ".init." + student.segments()[i].name);
    copy_from_host(student.value(static_cast<i64>(i)), std::span<const double>(start));
  }
  teacher.copy_from(student);
  std::vector<double> losses;
  for (i64 step = 0; step < 5; ++step) losses.push_back(trainer.step(trajectory_batch(step)).loss);
  INFO(optimizer << " in passes of " << micro_batch);
  CHECK(golden::relative_error(losses, file.values(optimizer + ".loss")) <= 1e-9);
  CHECK(golden::relative_error(to_vector(trainer.objective().center()), file.values(optimizer + ".center")) <= 1e-9);
  for (const auto& segment : student.segments()) {
    INFO(segment.name);
    for (const auto& [store, prefix] : {std::pair{&student, ".student."}, {&teacher, ".teacher."}}) {
      const auto expected = file.values(optimizer + prefix + segment.name);
      CHECK(golden::relative_error(values(*store, segment.name), expected) <= 1e-9);
    }
  }
}

/// The state after three steps in passes of so many images.
std::vector<double> after_three(i64 micro_batch) {
  HostContext ctx(2);
  auto config = tiny_run::config();
  config.micro_batch = micro_batch;
  config.head.norm_last_layer = false;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups);
  for (u64 i = 0; i < 3; ++i) trainer.step(tiny_run::batch(i));
  return tiny_run::everything(trainer);
}

std::vector<double> with_threads(i64 threads) {
  HostContext ctx(threads);
  tiny_run::Trainer<double> trainer(ctx, tiny_run::config(), tiny_run::groups);
  for (u64 i = 0; i < 3; ++i) trainer.step(tiny_run::batch(i));
  return tiny_run::everything(trainer);
}

/// A batch with a bad pixel must change nothing but the count of steps.
void check_skips(DinoConfig config, float bad, i64 image) {
  HostContext ctx(1);
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups), clean(ctx, config, tiny_run::groups);
  trainer.step(tiny_run::batch(0));
  clean.step(tiny_run::batch(0));
  const auto before = tiny_run::everything(trainer);
  auto batch = tiny_run::batch(1);
  for (auto& pixels : batch.groups) pixels[static_cast<size_t>(image) * pixels.size() / 18] = bad;
  const auto report = trainer.step(batch);
  CHECK(report.skipped);
  CHECK(trainer.steps_done() == 2);
  CHECK(tiny_run::everything(trainer) == before);
  clean.set_steps_done(2);
  trainer.step(tiny_run::batch(2));
  clean.step(tiny_run::batch(2));
  CHECK(tiny_run::everything(trainer) == tiny_run::everything(clean));
}

}  // namespace

TEST_CASE("trainer: five steps of an independent implementation, with AdamW, SGD and LARS", "[ssl][golden]") {
  check_trajectory("adamw", 3);
  check_trajectory("adamw", 2);
  check_trajectory("sgd", 3);
  check_trajectory("lars", 3);
  check_trajectory("lars", 1);
}

TEST_CASE("trainer: micro-batches give the result of the whole batch, with drop path", "[ssl]") {
  const auto whole = after_three(6);
  for (const i64 micro_batch : {1, 2, 3, 4}) {
    INFO("passes of " << micro_batch);
    CHECK(golden::relative_error(after_three(micro_batch), whole) <= 1e-9);  // rounding, carried on by AdamW
  }
  CHECK(after_three(100) == whole);
}

TEST_CASE("trainer: batch norm needs the whole batch in one pass", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.head.use_bn = true;
  CHECK_NOTHROW(tiny_run::Trainer<double>(ctx, config, tiny_run::groups));
  config.micro_batch = 3;
  CHECK_THROWS_WITH(tiny_run::Trainer<double>(ctx, config, tiny_run::groups),
                    contains("micro_batch = 3 with use_bn_in_head") && contains("Set micro_batch = 6"));
}

TEST_CASE("trainer: equal bits for 1, 2 and 3 threads", "[ssl]") {
  const auto one = with_threads(1);
  CHECK(one == with_threads(2));
  CHECK(one == with_threads(3));
}

TEST_CASE("trainer: a step that is not finite is skipped and changes nothing", "[ssl]") {
  const float nan = std::nanf(""), infinite = std::numeric_limits<float>::infinity();
  auto config = tiny_run::config();
  check_skips(config, nan, 0);
  check_skips(config, infinite, 5);
  config.micro_batch = 2;  // the first passes are finite
  check_skips(config, nan, 5);
  config.micro_batch = 1;  // the first pass is not
  check_skips(config, nan, 0);
  config.optimizer = "sgd";
  check_skips(config, nan, 3);
  config.micro_batch = 6;
  config.head.use_bn = true;
  check_skips(config, nan, 2);
}

TEST_CASE("trainer: the first step has rate 0: moments move, weights do not", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.warmup_steps = 5;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups);
  const auto before = to_vector(trainer.student_params().values());
  CHECK(to_vector(trainer.teacher_params().values()) == before);  // student and teacher start equal
  const auto report = trainer.step(tiny_run::batch(0));
  CHECK(report.lr == 0);
  CHECK(to_vector(trainer.student_params().values()) == before);
  CHECK(golden::relative_error(to_vector(trainer.teacher_params().values()), before) <= 1e-15);
  CHECK(golden::relative_error(to_vector(trainer.optimizer().state()[0].second), before) > 0);
  CHECK(trainer.student_params().segments()[0].steps == 1);
  CHECK(report.center_norm > 0);
  CHECK(trainer.step(tiny_run::batch(1)).lr > 0);
  CHECK(to_vector(trainer.student_params().values()) != before);
}

TEST_CASE("trainer: while frozen the last layer is skipped whole, its AdamW count included", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.freeze_last_layer_steps = 2;
  config.head.norm_last_layer = false;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups);
  auto& params = trainer.student_params();
  const std::string v = "head.last_layer.weight_v", g = "head.last_layer.weight_g", other = "head.mlp.4.weight";
  const auto v_before = values(params, v), g_before = values(params, g), other_before = values(params, other);
  const auto count = [&](const std::string& name) {
    return params.segments()[static_cast<size_t>(params.find(name))].steps;
  };
  for (u64 i = 0; i < 2; ++i) trainer.step(tiny_run::batch(i));
  CHECK(values(params, v) == v_before);
  CHECK(values(params, g) == g_before);
  CHECK(values(params, other) != other_before);
  CHECK(count(v) == 0);
  CHECK(count(g) == 0);
  CHECK(count(other) == 2);
  for (const auto& [name, state] : trainer.optimizer().state()) {
    const auto& segment = params.segments()[static_cast<size_t>(params.find(v))];
    for (i64 i = 0; i < segment.shape.numel(); ++i) REQUIRE(state[segment.offset + i] == 0);
  }
  trainer.step(tiny_run::batch(2));
  CHECK(values(params, v) != v_before);
  CHECK(count(v) == 1);
  CHECK(count(other) == 3);
}

TEST_CASE("trainer: with norm_last_layer the gain stays 1 in student and teacher", "[ssl]") {
  HostContext ctx(1);
  tiny_run::Trainer<double> trainer(ctx, tiny_run::config(), tiny_run::groups);
  for (u64 i = 0; i < 3; ++i) trainer.step(tiny_run::batch(i));
  CHECK(values(trainer.student_params(), "head.last_layer.weight_g") == std::vector<double>(32, 1.0));
  const auto gain = values(trainer.teacher_params(), "head.last_layer.weight_g");
  CHECK(golden::relative_error(gain, std::vector<double>(32, 1.0)) <= 1e-15);
}

TEST_CASE("trainer: the average follows the optimizer step, over parameters only", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.head.use_bn = true;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups);
  trainer.step(tiny_run::batch(0));
  const auto teacher_before = to_vector(trainer.teacher_params().values());
  const auto report = trainer.step(tiny_run::batch(1));
  const auto student_after = to_vector(trainer.student_params().values());
  std::vector<double> expected(teacher_before);
  for (size_t i = 0; i < expected.size(); ++i)
    expected[i] = report.momentum * teacher_before[i] + (1 - report.momentum) * student_after[i];
  CHECK(golden::relative_error(to_vector(trainer.teacher_params().values()), expected) <= 1e-15);
  // The teacher's running statistics are its own: of 2 crops, where the student has 5.
  const auto mean = [](ParamStore<double, Host>& store) { return to_vector(store.buffers()[0].tensor); };
  const auto student = mean(trainer.student_params()), teacher = mean(trainer.teacher_params());
  CHECK(student != teacher);
  CHECK(teacher != std::vector<double>(teacher.size(), 0.0));
}

TEST_CASE("trainer: a teacher with batch norm normalises with its own batch", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.head.use_bn = true;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups), other(ctx, config, tiny_run::groups);
  for (auto& buffer : other.teacher_params().buffers()) {
    for (i64 i = 0; i < buffer.tensor.numel(); ++i) buffer.tensor[i] = 50;  // running statistics must not matter
  }
  CHECK(trainer.step(tiny_run::batch(0)).loss == other.step(tiny_run::batch(0)).loss);
  CHECK(trainer.teacher_params().statistics == Statistics::batch);
}

TEST_CASE("trainer: drop path is for the student only", "[ssl]") {
  HostContext ctx(1);
  tiny_run::Trainer<double> trainer(ctx, tiny_run::config(), tiny_run::groups);
  CHECK(trainer.student().backbone.blocks[1].drop_rate == 0.3);
  CHECK(trainer.student().backbone.blocks[0].drop_rate == 0);
  CHECK(trainer.teacher().backbone.blocks[1].drop_rate == 0);
}

TEST_CASE("trainer: the report holds the settings and measures of its step", "[ssl]") {
  HostContext ctx(1);
  auto config = tiny_run::config();
  config.clip = 1e-3;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups);
  auto report = trainer.step(tiny_run::batch(0));
  CHECK(report.step == 0);
  CHECK(report.weight_decay == Approx(0.04));
  CHECK(report.momentum == 0.9);
  CHECK(report.teacher_temp == 0.04);
  CHECK(report.clipped > 0.5);
  CHECK(report.grad_norm > 0);
  CHECK(report.teacher_entropy > 0);
  CHECK(report.teacher_entropy <= report.batch_entropy);  // entropy is concave
  CHECK(report.batch_entropy <= std::log(32.0));
  CHECK(report.feature_std > 0);
  CHECK_FALSE(report.skipped);
  double square = 0;
  for (const double c : to_vector(trainer.objective().center())) square += c * c;
  CHECK(report.center_norm == Approx(std::sqrt(square)));
  report = trainer.step(tiny_run::batch(1));
  CHECK(report.step == 1);
  CHECK(report.lr == config.lr_schedule()(1));
  CHECK(report.weight_decay == config.decay_schedule()(1));
  CHECK(report.momentum == config.momentum_schedule()(1));
  config.clip = 0;
  CHECK(tiny_run::Trainer<double>(ctx, config, tiny_run::groups).step(tiny_run::batch(0)).clipped == 0);
}

TEST_CASE("trainer: against a teacher that stands still the loss falls to the teacher's entropy", "[ssl]") {
  HostContext ctx(2);
  auto config = tiny_run::config(8);
  config.drop_path = 0;
  config.lr = 1e-2;
  config.warmup_steps = 5;
  config.weight_decay = config.final_weight_decay = 0;
  config.teacher_momentum = config.center_momentum = 1;
  config.student_temp = config.teacher_temp = 0.1;
  tiny_run::Trainer<double> trainer(ctx, config, tiny_run::groups);
  const auto teacher = trainer.teacher_params().values();
  for (i64 i = 0; i < teacher.numel(); ++i) teacher[i] = 0.3 * normal(RngKey(8, 0), i);  // outputs differ by image
  std::vector<double> excess;
  while (!trainer.finished()) {
    const auto report = trainer.step(tiny_run::batch(0, 8));
    REQUIRE_FALSE(report.skipped);
    excess.push_back(report.loss - report.teacher_entropy);
  }
  CHECK(excess.size() == 60);
  CHECK(excess.back() > 0);
  CHECK(excess.back() < 0.2 * excess.front());
}

TEST_CASE("trainer: wrong batches, groups and crop sizes are refused", "[ssl]") {
  HostContext ctx(1);
  const auto make = [&](const DinoConfig& config, const std::vector<CropGroup>& groups) {
    return tiny_run::Trainer<double>(ctx, config, groups).config().batch;
  };
  auto config = tiny_run::config();
  CHECK_THROWS_WITH(make(config, {{3, 8, 8}}), contains("the first group must be the 2 global crops"));
  CHECK_THROWS_WITH(make(config, {}), contains("the first group must be the 2 global crops"));
  CHECK_THROWS_WITH(make(config, {{2, 8, 8}, {3, 6, 6}}),
                    "crops of 6 x 6 pixels: sides must be multiples of patch_size 4");
  config.micro_batch = 0;
  CHECK_THROWS_WITH(make(config, tiny_run::groups), contains("micro-batch 0 must be positive"));
  config.micro_batch = 6;
  config.optimizer = "adam";
  CHECK_THROWS_WITH(make(config, tiny_run::groups), contains("optimizer \"adam\""));
  tiny_run::Trainer<double> trainer(ctx, tiny_run::config(), tiny_run::groups);
  CHECK_THROWS_WITH(trainer.step(tiny_run::batch(0, 5)), "trainer: a batch of 5 images, expected 6");
}
