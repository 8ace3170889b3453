#include <dino/io/weight_export.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <nlohmann/json.hpp>

#include <fstream>

using namespace dino;

namespace {

/// A backbone's tensors under hub names, tiny, each element another number.
StateDict hub(bool registers, bool swiglu) {
  StateDict dict;
  float next = 1;
  const auto add = [&](const std::string& name, const Shape& shape) {
    std::vector<float> values(static_cast<size_t>(shape.numel()));
    for (auto& x : values) x = next++;
    dict.add(name, tensor_data(shape, values));
  };
  add("cls_token", {1, 1, 2});
  add("pos_embed", {1, 5, 2});
  add("patch_embed.proj.weight", {2, 3, 1, 1});
  add("patch_embed.proj.bias", {2});
  for (const std::string block : {"blocks.0.", "blocks.10."}) {
    for (const auto* norm : {"norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "attn.proj.bias"}) add(block + norm, {2});
    add(block + "attn.qkv.weight", {6, 2});
    add(block + "attn.qkv.bias", {6});
    add(block + "attn.proj.weight", {2, 2});
    add(block + (swiglu ? "mlp.w12.weight" : "mlp.fc1.weight"), {swiglu ? 6 : 4, 2});
    add(block + (swiglu ? "mlp.w3.weight" : "mlp.fc2.weight"), {2, swiglu ? 3 : 4});
    if (registers) add(block + "ls1.gamma", {2});
  }
  if (registers) {
    add("register_tokens", {1, 4, 2});
    add("mask_token", {1, 2});
  }
  add("norm.weight", {2});
  return dict;
}

StateDict dictionary(const std::vector<TensorView>& views) {
  StateDict dict;
  for (const auto& v : views) dict.add(v.name, {v.dtype, v.shape, {v.bytes.begin(), v.bytes.end()}});
  return dict;
}

void check_equal(const StateDict& a, const StateDict& b) {
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    INFO(name);
    REQUIRE(b.find(name) != nullptr);
    CHECK(b.at(name).shape == tensor.shape);
    CHECK(b.at(name).to<float>() == tensor.to<float>());
  }
}

}  // namespace

TEST_CASE("weight_export: what goes to Hugging Face comes back the same", "[io]") {
  const bool dinov2 = GENERATE(false, true);
  const auto before = hub(dinov2, dinov2);
  const auto there = dictionary(hugging_face_views(before.views(), dinov2));
  CHECK(there.find(dinov2 ? "encoder.layer.10.norm1.bias" : "encoder.layer.10.layernorm_before.bias") != nullptr);
  CHECK(there.find(dinov2 ? "encoder.layer.0.mlp.weights_in.weight" : "encoder.layer.0.intermediate.dense.weight") !=
        nullptr);
  const auto key = there.at("encoder.layer.0.attention.attention.key.bias").to<float>();
  const auto qkv = before.at("blocks.0.attn.qkv.bias").to<float>();
  CHECK(key == std::vector<float>(qkv.begin() + 2, qkv.begin() + 4));
  check_equal(before, hub_weights(there, "teacher", "w").backbone);
}

TEST_CASE("weight_export: a tensor that Hugging Face's models do not have is named", "[io]") {
  auto dict = hub(false, false);
  dict.add("blocks.0.surprise.weight", tensor_data({1}, std::vector<float>{1}));
  CHECK_THROWS_WITH(hugging_face_views(dict.views(), false), contains("surprise.weight has no name in Hugging Face"));
}

TEST_CASE("weight_export: what goes to timm comes back as the same function", "[io]") {
  const auto before = hub(true, true);
  const auto there = dictionary(timm_views(before.views()));
  CHECK(there.at("pos_embed").shape == Shape{1, 4, 2});
  const auto token = before.at("cls_token").to<float>(), position = before.at("pos_embed").to<float>();
  CHECK(there.at("cls_token").to<float>() == std::vector<float>{token[0] + position[0], token[1] + position[1]});
  auto back = hub_weights(there, "teacher", "w").backbone;
  auto expected = before;
  expected.tensors.erase("mask_token");
  expected.tensors["cls_token"] = there.at("cls_token");  // the position went into the token, and a zero came back
  auto zeroed = position;
  zeroed[0] = zeroed[1] = 0;
  expected.tensors["pos_embed"] = tensor_data({1, 5, 2}, zeroed);
  check_equal(expected, back);

  const auto plain = hub(false, false);
  check_equal(plain, dictionary(timm_views(plain.views())));
}

TEST_CASE("weight_export: a folder for AutoModel, complete and described", "[io]") {
  TemporaryFolder folder;
  HostContext ctx(1);
  VitConfig vit{.image_size = 8, .patch_size = 4, .dim = 6, .depth = 2, .heads = 3, .mlp_ratio = 1.5};
  if (GENERATE(false, true)) vit.registers = 4;
  ParamStore<float, HostDevice> params(ctx);
  const nn::VisionTransformer<float, HostDevice> net(Scope<float, HostDevice>{params} / "backbone", vit);
  params.finalize(1);
  export_backbone_as(WeightLayout::hugging_face, folder / "model.safetensors", params, {.vit = vit}, "backbone.");
  const auto config = nlohmann::json::parse(std::ifstream(folder / "config.json"));
  CHECK(config["model_type"] == (vit.registers > 0 ? "dinov2_with_registers" : "vit"));
  CHECK(config["hidden_size"] == 6);
  CHECK(config["num_attention_heads"] == 3);
  CHECK(config["layer_norm_eps"] == 1e-6);
  if (vit.registers > 0) {
    CHECK(config["mlp_ratio"] == 1.5);
  } else {
    CHECK(config["intermediate_size"] == 9);
  }
  const auto file = read_safetensors(folder / "model.safetensors");
  CHECK((file.find("embeddings.mask_token") != nullptr) == (vit.registers > 0));
  CHECK((file.find("encoder.layer.1.layer_scale2.lambda1") != nullptr) == (vit.registers > 0));
  const auto back = hub_weights(file, "teacher", "w");
  for (const auto& view : parameter_views(params, "backbone.")) {
    INFO(view.name);
    CHECK(std::ranges::equal(back.backbone.at(view.name).bytes, view.bytes));
  }
  check_equal(dictionary(parameter_views(params, "backbone.")), [&] {
    export_backbone_as(WeightLayout::hub, folder / "hub.safetensors", params, {.vit = vit}, "backbone.");
    auto hub_file = read_safetensors(folder / "hub.safetensors");
    return hub_file;
  }());
}
