#include <dino/nn/linear.hpp>
#include <dino/nn/vit.hpp>
#include <dino/optim/adamw.hpp>
#include <dino/optim/layer_decay.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

/// The names of a classifier: "backbone.*" and "head.*".
struct Model {
  nn::VisionTransformer<float, HostDevice> backbone;
  nn::Linear<float, HostDevice> head;

  Model(const Scope<float, HostDevice>& s, const VitConfig& vit)
      : backbone(s / "backbone", vit), head(s / "head", vit.dim, 5) {}
};

}  // namespace

TEST_CASE("layer_decay: the rates are those of timm", "[optim][golden]") {
  const golden::File file("finetune.safetensors");
  HostContext ctx(1);
  ParamStore<float, HostDevice> params(ctx);
  const Model model(Scope{params}, {.image_size = 8, .patch_size = 4, .dim = 6, .depth = 12, .heads = 2});
  params.finalize(1);
  set_layer_decay(params, 0.65, 12);
  CHECK(params.segments().size() == 152);
  for (const auto& segment : params.segments()) {
    const auto name = segment.name.starts_with("backbone.") ? segment.name.substr(9) : segment.name;
    INFO(name);
    CHECK(segment.rate == Approx(file.values("rate." + name).at(0)).epsilon(1e-12));
  }
}

TEST_CASE("layer_decay: registers and mask token are of the first layer", "[optim]") {
  CHECK(transformer_layer("register_tokens", 3) == 0);
  CHECK(transformer_layer("backbone.mask_token", 3) == 0);
  CHECK(transformer_layer("backbone.blocks.2.ls1.gamma", 3) == 3);
  CHECK(transformer_layer("head.weight", 3) == 4);
}

TEST_CASE("layer_decay: an update moves a tensor by its own rate", "[optim]") {
  HostContext ctx(1);
  ParamStore<double, HostDevice> params(ctx);
  for (const auto* name : {"blocks.0.w", "blocks.1.w", "head.w"}) Scope{params}.param(name, {2, 1}, normal_init(1));
  params.finalize(3);
  set_layer_decay(params, 0.5, 2);
  AdamW<double, HostDevice> optimizer(params);
  std::vector<std::vector<double>> before;
  for (i64 i = 0; i < 3; ++i) {
    before.push_back(to_vector(params.master(i)));
    Grad<double, HostDevice>(params.sink(i)).open();
    copy_from_host(params.grad(i), std::span<const double>(std::vector<double>{1, -2}));
  }
  const UpdateSettings update{.lr = 0.1, .weight_decay = 0.2};
  auto plan = plan_update(params, update);
  optimizer.step(plan, update);
  for (i64 i = 0; i < 3; ++i) {  // the first step of AdamW is lr sign(g), after a decay by 1 - lr wd
    const double lr = 0.1 * std::pow(0.5, 2 - i);
    const auto after = to_vector(params.master(i));
    CHECK(after[0] == Approx(before[static_cast<size_t>(i)][0] * (1 - 0.2 * lr) - lr).epsilon(1e-6));
    CHECK(after[1] == Approx(before[static_cast<size_t>(i)][1] * (1 - 0.2 * lr) + lr).epsilon(1e-6));
  }
}

TEST_CASE("layer_decay: what makes no sense is refused", "[optim]") {
  HostContext ctx(1);
  ParamStore<float, HostDevice> params(ctx);
  CHECK_THROWS_WITH(set_layer_decay(params, 0.0, 2), "layer_decay = 0 must be in (0, 1]");
  CHECK_THROWS_WITH(set_layer_decay(params, 1.1, 2), "layer_decay = 1.1 must be in (0, 1]");
  CHECK_THROWS_WITH(transformer_layer("blocks.3.norm1.bias", 3), contains("in a model of 3 blocks"));
}
