#include <dino/io/weight_export.hpp>
#include <dino/ssl/initial_weights.hpp>
#include <dino/ssl/trainer_state.hpp>

#include "support/tiny_run.hpp"

using namespace dino;
using Host = HostDevice;
using Trainer = tiny_run::Trainer<float>;

namespace {

StateDict dictionary(const std::vector<TensorView>& views) {
  StateDict state;
  for (const auto& view : views) state.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  return state;
}
/// Parameters under a prefix, one list of numbers after another.
std::vector<float> values(const ParamStore<float, Host>& store, const std::string& prefix) {
  std::vector<float> all;
  for (const auto& [name, tensor] : dictionary(parameter_views(store, prefix)).tensors) {
    const auto x = tensor.to<float>();
    all.insert(all.end(), x.begin(), x.end());
  }
  return all;
}
/// A trainer two steps on, whose student and teacher differ.
struct Source {
  HostContext ctx{1};
  Trainer trainer;
  explicit Source(const DinoConfig& config = tiny_run::config()) : trainer(ctx, config, tiny_run::groups) {
    for (u64 i = 0; i < 2; ++i) trainer.step(tiny_run::batch(i));
  }
};
DinoConfig other_seed() {
  auto config = tiny_run::config();
  config.seed = 77;
  return config;
}

}  // namespace

TEST_CASE("initial_weights: a full checkpoint gives student, teacher and heads", "[ssl]") {
  Source source;
  HostContext ctx(1);
  Trainer trainer(ctx, other_seed(), tiny_run::groups);
  std::vector<i64> steps;
  const auto notes = load_initial_weights(trainer, dictionary(trainer_views(source.trainer, steps)), "c.safetensors");
  CHECK(notes == std::vector<std::string>{"not used: loss.*, optim.*"});
  CHECK(values(trainer.student_params(), "") == values(source.trainer.student_params(), ""));
  CHECK(values(trainer.teacher_params(), "") == values(source.trainer.teacher_params(), ""));
  CHECK(values(trainer.student_params(), "") != values(trainer.teacher_params(), ""));
  CHECK(trainer.steps_done() == 0);
  CHECK(!trainer.step(tiny_run::batch(9)).skipped);
}

TEST_CASE("initial_weights: a backbone alone is both networks', and the head is new", "[ssl]") {
  Source source;
  HostContext ctx(1);
  Trainer trainer(ctx, other_seed(), tiny_run::groups);
  const auto head = values(trainer.student_params(), "head.");
  const auto views = parameter_views(source.trainer.teacher_params(), "backbone.");
  const bool hugging_face = GENERATE(false, true);
  const auto notes =
      load_initial_weights(trainer, dictionary(hugging_face ? hugging_face_views(views, false) : views), "w.pth");
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] == "head: first values, the file has none");
  CHECK(values(trainer.student_params(), "backbone.") == values(source.trainer.teacher_params(), "backbone."));
  CHECK(values(trainer.student_params(), "head.") == head);
  CHECK(values(trainer.teacher_params(), "") == values(trainer.student_params(), ""));
}

TEST_CASE("initial_weights: a head of another size is not used, and said so", "[ssl]") {
  auto config = tiny_run::config();
  config.head.outputs = 48;
  Source source(config);
  HostContext ctx(1);
  Trainer trainer(ctx, other_seed(), tiny_run::groups);
  std::vector<i64> steps;
  const auto notes = load_initial_weights(trainer, dictionary(trainer_views(source.trainer, steps)), "c");
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] == "head: first values, head.last_layer.weight_g is (48,1) in the file, (32,1) here");
  CHECK(notes[1] == "not used: loss.*, optim.*");
  CHECK(values(trainer.student_params(), "backbone.") == values(source.trainer.student_params(), "backbone."));
}

TEST_CASE("initial_weights: positions of another grid are an error, or interpolated when asked", "[ssl]") {
  auto config = tiny_run::config();
  config.backbone.image_size = 20;
  Source source(config);
  HostContext ctx(1);
  Trainer trainer(ctx, other_seed(), tiny_run::groups);
  const auto before = tiny_run::everything(trainer);
  const auto file = dictionary(parameter_views(source.trainer.teacher_params(), "backbone."));
  CHECK_THROWS_WITH(load_initial_weights(trainer, file, "w.pth"),
                    contains("pos_embed is (1,26,16), the model needs (1,5,16)") && contains("--interpolate-pos-embed"));
  CHECK(tiny_run::everything(trainer) == before);
  load_initial_weights(trainer, file, "w.pth", true);
  // The model with the larger table resamples it on the way to the same grid: equal features.
  const auto x = randn<float>(ctx, {2, 3, 8, 8}, RngKey(1, 1));
  const auto a = to_vector(trainer.student().backbone(x));
  const auto b = to_vector(source.trainer.teacher().backbone(clone(x)));
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).epsilon(1e-4).margin(1e-5));
}

TEST_CASE("initial_weights: tables that are no grid, and files without a backbone", "[ssl]") {
  CHECK_THROWS_WITH(resize_positions(tensor_data({1, 4, 2}, std::vector<float>(8)), 2, {}, "w"),
                    contains("pos_embed is (1,4,2), not a class token and a square grid"));
  CHECK_THROWS_WITH(resize_positions(tensor_data({8}, std::vector<float>(8)), 2, {}, "w"), contains("not a class token"));
  HostContext ctx(1);
  Trainer trainer(ctx, tiny_run::config(), tiny_run::groups);
  CHECK_THROWS_WITH(load_initial_weights(trainer, {}, "w"), contains("none of its 0 tensors is a class token"));
}
