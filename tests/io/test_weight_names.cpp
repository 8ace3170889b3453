#include <dino/io/weight_names.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

/// Every tensor holds its number among those of the test, so that it is known where it went.
struct File {
  StateDict dict;
  float next = 1;

  File& add(const std::string& name, const Shape& shape = {2}) {
    dict.add(name, tensor_data(shape, std::vector<float>(static_cast<size_t>(shape.numel()), next++)));
    return *this;
  }
};

std::vector<std::string> names(const StateDict& dict) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : dict.tensors) list.push_back(name);
  return list;
}
std::vector<float> values(const StateDict& dict, const std::string& name) { return dict.at(name).to<float>(); }
float first(const StateDict& dict, const std::string& name) { return values(dict, name).at(0); }
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("weight_names: torch hub as it is, below any front", "[io]") {
  const std::string front =
      GENERATE("", "module.", "backbone.", "module.backbone.", "state_dict.backbone.", "teacher.module.backbone.",
               "teacher.", "model.");
  File file;
  file.add(front + "cls_token").add(front + "blocks.0.norm1.weight").add(front + "norm.bias");
  const auto hub = hub_weights(file.dict, "teacher", "w.pth");
  CHECK(hub.layout == "torch hub");
  CHECK(names(hub.backbone) == Names{"blocks.0.norm1.weight", "cls_token", "norm.bias"});
  CHECK(first(hub.backbone, "norm.bias") == 3);
  CHECK(hub.head.tensors.empty());
  CHECK(hub.ignored.empty());
}

TEST_CASE("weight_names: a full checkpoint gives the model asked for, with its head", "[io]") {
  File file;
  file.add("student.module.backbone.cls_token").add("student.module.head.mlp.0.weight");
  file.add("teacher.backbone.cls_token").add("teacher.head.mlp.0.weight").add("teacher.head.last_layer.weight_g");
  file.add("dino_loss.center").add("optimizer.state.0.exp_avg");
  const auto teacher = hub_weights(file.dict, "teacher", "c.pth"), student = hub_weights(file.dict, "student", "c.pth");
  CHECK(first(teacher.backbone, "cls_token") == 3);
  CHECK(names(teacher.head) == Names{"last_layer.weight_g", "mlp.0.weight"});
  CHECK(first(teacher.head, "mlp.0.weight") == 4);
  CHECK(first(student.backbone, "cls_token") == 1);
  CHECK(first(student.head, "mlp.0.weight") == 2);
  CHECK(teacher.ignored == Names{"dino_loss.center", "optimizer.state.0.exp_avg", "student.module.backbone.cls_token",
                                 "student.module.head.mlp.0.weight"});
}

TEST_CASE("weight_names: what is not used is told in few words", "[io]") {
  File file;
  file.add("student.module.backbone.cls_token").add("student.module.head.mlp.0.weight");
  file.add("teacher.backbone.cls_token").add("teacher.head.mlp.0.weight").add("epoch_of_last");
  file.add("optimizer.state.0.exp_avg").add("optimizer.state.1.exp_avg");
  auto dict = file.dict;
  dict.metadata["pth.ignored"] = "epoch, args (argparse.Namespace)";
  CHECK(unused_text(hub_weights(dict, "teacher", "c.pth")) ==
        "epoch_of_last, optimizer.*, student.*, the head, epoch, args (argparse.Namespace)");
  CHECK(unused_text(hub_weights(dict, "student", "c.pth"), {"teacher.*", "the head"}) ==
        "epoch_of_last, optimizer.*, epoch, args (argparse.Namespace)");
  File plain;
  plain.add("cls_token").add("norm.bias");
  CHECK(unused_text(hub_weights(plain.dict, "teacher", "w.pth")).empty());
  plain.add("head.weight").add("head.bias");
  CHECK(unused_text(hub_weights(plain.dict, "teacher", "w.pth")) == "head.*");
  File many;
  many.add("vit.cls_token");
  for (char c = 'a'; c <= 'l'; ++c) many.add(std::string(1, c) + ".x").add(std::string(1, c) + ".y");
  CHECK(unused_text(hub_weights(many.dict, "teacher", "w.pth")) ==
        "a.*, b.*, c.*, d.*, e.*, f.*, g.*, h.*, i.*, j.*, 2 more");
}

TEST_CASE("weight_names: heads under their old names", "[io]") {
  for (const std::string head : {"module.", "module.head."}) {
    File file;
    file.add("student.module.backbone.cls_token");
    file.add("student." + head + "projection_head.2.bias").add("student." + head + "prototypes.weight_v");
    const auto hub = hub_weights(file.dict, "student", "c.pth");
    CHECK(names(hub.head) == Names{"last_layer.weight_v", "mlp.2.bias"});
  }
}

TEST_CASE("weight_names: Hugging Face, DINO", "[io]") {
  const std::string front = GENERATE("", "vit.");
  File file;
  file.add(front + "embeddings.cls_token").add(front + "embeddings.position_embeddings");
  file.add(front + "embeddings.patch_embeddings.projection.weight");
  const auto block = front + "encoder.layer.11.";
  for (const auto* part : {"query", "key", "value"}) {
    file.add(block + "attention.attention." + part + ".weight", {2, 3}).add(block + "attention.attention." + part + ".bias");
  }
  file.add(block + "attention.output.dense.bias").add(block + "layernorm_before.weight");
  file.add(block + "layernorm_after.weight").add(block + "intermediate.dense.weight").add(block + "output.dense.weight");
  file.add(front + "layernorm.weight").add(front + "pooler.dense.weight").add("classifier.bias");
  const auto hub = hub_weights(file.dict, "teacher", "w");
  CHECK(hub.layout == "Hugging Face");
  CHECK(names(hub.backbone) ==
        Names{"blocks.11.attn.proj.bias", "blocks.11.attn.qkv.bias", "blocks.11.attn.qkv.weight", "blocks.11.mlp.fc1.weight",
              "blocks.11.mlp.fc2.weight", "blocks.11.norm1.weight", "blocks.11.norm2.weight", "cls_token", "norm.weight",
              "patch_embed.proj.weight", "pos_embed"});
  CHECK(hub.backbone.at("blocks.11.attn.qkv.weight").shape == Shape{6, 3});
  CHECK(values(hub.backbone, "blocks.11.attn.qkv.bias") == std::vector<float>{5, 5, 7, 7, 9, 9});  // query, key, value
  CHECK(first(hub.backbone, "blocks.11.norm2.weight") == 12);
  CHECK(hub.ignored == (front.empty() ? Names{"classifier.bias", "pooler.dense.weight"}
                                      : Names{"classifier.bias", "vit.pooler.dense.weight"}));
}

TEST_CASE("weight_names: Hugging Face, DINOv2 with registers and SwiGLU, old names and those of transformers 5", "[io]") {
  File old, renamed;
  for (auto* file : {&old, &renamed}) {
    file->add("embeddings.cls_token").add("embeddings.mask_token").add("embeddings.register_tokens");
    file->add("encoder.layer.0.norm1.bias").add("encoder.layer.0.layer_scale1.lambda1");
    file->add("encoder.layer.0.layer_scale2.lambda1");
  }
  old.add("encoder.layer.0.mlp.weights_in.weight", {4, 3}).add("encoder.layer.0.mlp.weights_out.weight");
  renamed.add("encoder.layer.0.mlp.gate_proj.weight", {2, 3}).add("encoder.layer.0.mlp.up_proj.weight", {2, 3});
  renamed.add("encoder.layer.0.mlp.down_proj.weight");
  for (const auto* part : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    renamed.add(str("encoder.layer.0.attention.{}.bias", part));
  }
  const auto a = hub_weights(old.dict, "teacher", "w"), b = hub_weights(renamed.dict, "teacher", "w");
  CHECK(names(a.backbone) == Names{"blocks.0.ls1.gamma", "blocks.0.ls2.gamma", "blocks.0.mlp.w12.weight",
                                   "blocks.0.mlp.w3.weight", "blocks.0.norm1.bias", "cls_token", "mask_token",
                                   "register_tokens"});
  CHECK(values(b.backbone, "blocks.0.mlp.w12.weight") == std::vector<float>{7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8});
  CHECK(values(b.backbone, "blocks.0.attn.qkv.bias") == std::vector<float>{10, 10, 11, 11, 12, 12});
  CHECK(first(b.backbone, "blocks.0.attn.proj.bias") == 13);
}

TEST_CASE("weight_names: timm's DINOv2, and blocks in chunks", "[io]") {
  File file;
  file.add("cls_token", {1, 1, 2}).add("reg_token", {1, 4, 2}).add("pos_embed", {1, 9, 2});
  file.add("blocks.0.mlp.fc1.weight", {10, 2}).add("blocks.0.mlp.fc2.weight", {2, 5}).add("blocks.0.mlp.fc1.bias", {10});
  file.add("blocks.1.mlp.fc1.weight", {8, 2}).add("blocks.1.mlp.fc2.weight", {2, 8});
  const auto hub = hub_weights(file.dict, "teacher", "w");
  CHECK(hub.layout == "timm");
  CHECK(hub.backbone.at("pos_embed").shape == Shape{1, 10, 2});
  CHECK(values(hub.backbone, "pos_embed")[1] == 0);  // the class token's: timm has added it to the token
  CHECK(values(hub.backbone, "pos_embed")[2] == 3);
  CHECK(first(hub.backbone, "register_tokens") == 2);
  CHECK(hub.backbone.find("blocks.0.mlp.w12.weight") != nullptr);
  CHECK(hub.backbone.find("blocks.0.mlp.w12.bias") != nullptr);
  CHECK(hub.backbone.find("blocks.1.mlp.fc1.weight") != nullptr);

  File chunks;
  chunks.add("teacher.backbone.cls_token").add("teacher.backbone.blocks.0.2.norm1.bias");
  chunks.add("teacher.backbone.blocks.3.11.attn.qkv.weight").add("teacher.dino_head.mlp.0.weight");
  const auto flat = hub_weights(chunks.dict, "teacher", "w");
  CHECK(names(flat.backbone) == Names{"blocks.11.attn.qkv.weight", "blocks.2.norm1.bias", "cls_token"});
  CHECK(names(flat.head) == Names{"mlp.0.weight"});
}

TEST_CASE("weight_names: what is wrong is named", "[io]") {
  const auto error = [](const StateDict& dict, const std::string& key = "teacher") {
    try {
      hub_weights(dict, key, "w.pth");
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::weights);
      return std::string(e.what());
    }
    return std::string();
  };
  File none, other, part, twice, unequal, unknown;
  none.add("conv1.weight").add("my_cls_token");
  CHECK_THAT(error(none.dict), contains("w.pth: none of its 2 tensors is a class token (cls_token) of teacher"));
  other.add("student.backbone.cls_token");
  CHECK_THAT(error(other.dict), contains("--checkpoint-key"));
  part.add("embeddings.cls_token").add("layers.0.attention.q_proj.bias").add("layers.0.attention.v_proj.bias");
  CHECK_THAT(error(part.dict), contains("a part of blocks.0.attn.qkv.bias is missing"));
  twice.add("embeddings.cls_token").add("layers.0.attention.o_proj.bias").add("layers.0.attention.output.dense.bias");
  CHECK_THAT(error(twice.dict), contains("two of its tensors are blocks.0.attn.proj.bias"));
  unequal.add("embeddings.cls_token").add("layers.0.mlp.gate_proj.bias", {2}).add("layers.0.mlp.up_proj.bias", {3});
  CHECK_THAT(error(unequal.dict), contains("the parts of blocks.0.mlp.w12.bias are (2) F32 and (3) F32"));
  unknown.add("embeddings.cls_token").add("encoder.layer.x.norm1.bias").add("encoder.layer.0.surprise");
  CHECK(names(hub_weights(unknown.dict, "", "w").backbone) ==
        Names{"cls_token", "encoder.layer.0.surprise", "encoder.layer.x.norm1.bias"});
}
