// Training steps from given weights and crops: losses, centre, and all weights of student and teacher.
#include "items.hpp"

#include <dino/io/weights.hpp>
#include <dino/ssl/trainer.hpp>

namespace parity {
namespace {

constexpr Tolerance trained{1e-9, 1e-4};
// Adam divides a gradient by its own size, rounding or not: a step is at most 1.05 lr, in either direction.
constexpr Tolerance without_effect{2.1, 2.1};

struct Run {
  DinoConfig config;
  i64 steps = 0;
  std::vector<i64> passes;  // images per pass: the result must not depend on it
};

Run read_run(Golden& file) {
  Run run;
  auto& c = run.config;
  c.backbone.image_size = file.integer("image_size");
  c.backbone.patch_size = file.integer("patch_size");
  c.backbone.dim = file.integer("dim");
  c.backbone.depth = file.integer("depth");
  c.backbone.heads = file.integer("heads");
  c.backbone.mlp_ratio = file.real("mlp_ratio");
  c.head.layers = file.integer("layers");
  c.head.hidden = file.integer("hidden");
  c.head.bottleneck = file.integer("bottleneck");
  c.head.outputs = file.integer("outputs");
  c.head.use_bn = file.flag("use_bn");
  c.head.norm_last_layer = file.flag("norm_last_layer");
  c.drop_path = 0;
  c.batch = file.integer("batch");
  run.steps = file.integer("steps");
  c.total_steps = file.integer("total_steps");
  c.steps_per_epoch = file.integer("steps_per_epoch");
  c.optimizer = file.text("optimizer");
  c.lr = file.real("lr");
  c.final_lr = file.real("final_lr");
  c.warmup_steps = file.integer("warmup_steps");
  c.weight_decay = file.real("weight_decay");
  c.final_weight_decay = file.real("final_weight_decay");
  c.clip = file.real("clip");
  c.teacher_momentum = file.real("teacher_momentum");
  c.final_teacher_momentum = file.real("final_teacher_momentum");
  c.freeze_last_layer_steps = file.integer("freeze_last_layer_steps");
  c.student_temp = file.real("student_temp");
  c.warmup_teacher_temp = file.real("warmup_teacher_temp");
  c.teacher_temp = file.real("teacher_temp");
  c.warmup_teacher_steps = file.integer("warmup_teacher_steps");
  c.center_momentum = file.real("center_momentum");
  const i64 cut = file.integer("micro_batch");
  file.end_of_fields();
  file.check(c.batch >= 1 && cut >= 1 && run.steps >= 1 && c.steps_per_epoch >= 1 && c.total_steps >= run.steps,
             "batch {}, micro_batch {}, steps {}, steps_per_epoch {}, total_steps {}", c.batch, cut, run.steps,
             c.steps_per_epoch, c.total_steps);
  run.passes = {c.batch};
  if (!c.head.use_bn) {
    for (const i64 size : {cut, (c.batch + 1) / 2}) {
      if (std::find(run.passes.begin(), run.passes.end(), size) == run.passes.end()) run.passes.push_back(size);
    }
  }
  return run;
}

/// crops.G is (sets, crops * batch, 3, height, width).
std::vector<CropGroup> crop_groups(Golden& file, i64 batch) {
  std::vector<CropGroup> groups;
  for (size_t g = 0; g < file.names_with("crops.").size(); ++g) {
    const auto& shape = file.shape(str("crops.{}", g));
    file.check(shape.rank() == 5 && shape[0] >= 1 && shape[1] % batch == 0 && shape[2] == 3,
               "tensor crops.{} is {}, expected (sets, crops * {}, 3, height, width)", g, shape, batch);
    groups.push_back({shape[1] / batch, shape[3], shape[4]});
  }
  return groups;
}

Batch batch_of(const std::vector<std::pair<i64, std::vector<float>>>& crops, i64 step, i64 images) {
  Batch batch;
  batch.images = images;
  for (const auto& [sets, pixels] : crops) {
    const auto n = static_cast<i64>(pixels.size()) / sets;
    batch.groups.emplace_back(pixels.begin() + step % sets * n, pixels.begin() + (step % sets + 1) * n);
  }
  return batch;
}

/// Weights of one network. Biases without effect have gradients of rounding alone, and AdamW gives those full steps:
/// they stand apart, their error as part of the sum of all rates.
template <class T> void compare_store(Golden& file, ParamStore<T, HostDevice>& store, const std::string& which,
                                      const std::string& how, const DinoConfig& config, double total_rate,
                                      Items& items) {
  const bool adam = config.optimizer == "adamw";
  const auto apart = [&](const Difference& d, const std::string& name) {
    const std::string what = "biases without effect, of sum of lr";
    items.item(what, without_effect).add(d.absolute, d.absolute / total_rate, which + "." + name + how);
  };
  for (size_t i = 0; i < store.segments().size(); ++i) {
    const auto& name = store.segments()[i].name;
    const auto value = store.value(static_cast<i64>(i));
    auto difference = compare(file, value, which + "." + name);
    if (adam && before_batch_norm(name, config.head)) {
      apart(difference, name);
      continue;
    }
    if (adam && has_key_bias(name)) {
      const auto split = split_bias(to_vector(value), file.values<double>(which + "." + name));
      difference = split.query_value;
      apart(split.key, name);
    }
    items.add(which, trained, difference, name + how);
  }
}

template <class T> void check_run(Golden& file, HostContext& ctx, const Run& run, i64 micro_batch, Items& items) {
  auto config = run.config;
  config.micro_batch = micro_batch;
  const auto groups = crop_groups(file, config.batch);
  DinoTrainer<T, HostDevice> trainer(ctx, config, groups);
  auto &student = trainer.student_params(), &teacher = trainer.teacher_params();
  load_parameters(student, file.state("weights."), "weights.", file.path());
  teacher.copy_from(student);
  std::vector<std::pair<i64, std::vector<float>>> crops;
  for (size_t g = 0; g < groups.size(); ++g)
    crops.emplace_back(file.shape(str("crops.{}", g))[0], file.values<float>(str("crops.{}", g)));
  std::vector<double> losses;
  double total_rate = 0;
  for (i64 step = 0; step < run.steps; ++step) {
    const auto report = trainer.step(batch_of(crops, step, config.batch));
    losses.push_back(report.loss);
    total_rate += report.lr;
  }
  const auto how = micro_batch < config.batch ? str(" in passes of {}", micro_batch) : std::string();
  items.add("loss", trained, compare<double>(file, losses, "loss"), how);
  items.add("center", trained, compare(file, trainer.objective().center(), "center"), how);
  compare_store(file, student, "student", how, config, total_rate, items);
  compare_store(file, teacher, "teacher", how, config, total_rate, items);
}

}  // namespace

std::vector<Item> check_trajectory(Golden& file, HostContext& ctx) {
  const auto run = read_run(file);
  const auto kind = run.config.optimizer + (run.config.head.use_bn ? " training, batch norm" : " training");
  return in_both_types(file, kind, [&]<class T>(T, Items& items) {
    for (const i64 micro_batch : run.passes) check_run<T>(file, ctx, run, micro_batch, items);
  });
}

}  // namespace parity
