#include <dino/io/backbone_info.hpp>
#include <dino/io/weights.hpp>
#include <dino/nn/dinov2.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

const VitConfig tiny{.image_size = 8, .patch_size = 4, .dim = 6, .depth = 1, .heads = 3, .mlp_ratio = 1.5};

StateDict with_model(const std::string& text) {
  StateDict state;
  state.metadata["dino.model"] = text;
  return state;
}


/// The tensors of a model with first values.
StateDict tensors_of(const VitConfig& config) {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params}, config);
  params.finalize(1);
  StateDict state;
  for (const auto& view : parameter_views(params)) {
    state.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }
  return state;
}

void check_equal(const VitConfig& a, const VitConfig& b) {
  CHECK(a.image_size == b.image_size);
  CHECK(a.patch_size == b.patch_size);
  CHECK(a.dim == b.dim);
  CHECK(a.depth == b.depth);
  CHECK(a.heads == b.heads);
  CHECK(a.mlp_ratio == b.mlp_ratio);
  CHECK(a.registers == b.registers);
  CHECK(a.layer_scale == b.layer_scale);
  CHECK(a.mlp == b.mlp);
  CHECK(a.mask_token == b.mask_token);
  CHECK(a.positions == b.positions);
}

}  // namespace

TEST_CASE("backbone_info: a description comes back, of DINO and of DINOv2", "[io]") {
  auto giant = dinov2(vit_giant(14), 4);
  const auto read = [](const VitConfig& vit) {
    return backbone_info(with_model(model_text({.vit = vit, .name = "x", .source = "y", .step = 7})), "f");
  };
  auto timm = tiny, hugging_face = tiny;
  timm.positions = timm_positions;
  hugging_face.positions = hugging_face_positions;
  for (const auto& vit : {tiny, timm, hugging_face, dinov2(vit_small(14)), giant}) check_equal(read(vit).vit, vit);
  CHECK(read(tiny).step == 7);
  CHECK(model_text({.vit = tiny}).find("layer_scale") == std::string::npos);  // as in files of earlier versions
}

TEST_CASE("backbone_info: DINOv2 by the shapes of its tensors", "[io]") {
  auto vit = dinov2({.patch_size = 14, .dim = 64, .depth = 2, .heads = 1}, GENERATE(0, 4));
  vit.image_size = 28;
  vit.mlp = GENERATE(MlpKind::gelu, MlpKind::swiglu);
  check_equal(backbone_info(tensors_of(vit), "w.pth").vit, vit);
}

TEST_CASE("backbone_info: a gated perceptron of another width", "[io]") {
  VitConfig vit{.image_size = 8, .patch_size = 4, .dim = 64, .depth = 1, .heads = 1, .mlp_ratio = 3};
  vit.mlp = MlpKind::swiglu;
  const auto read = backbone_info(tensors_of(vit), "w.pth").vit;
  CHECK(read.mlp == MlpKind::swiglu);
  CHECK(read.hidden() == vit.hidden());
}

TEST_CASE("backbone_info: files that do not describe a possible model are refused", "[io]") {
  CHECK_THROWS_WITH(backbone_info({}, "x.safetensors"),
                    contains("x.safetensors has no description of its model") && contains("number of heads"));
  CHECK_THROWS_WITH(backbone_info(with_model("{"), "x"), contains("dino.model is not JSON"));
  CHECK_THROWS_WITH(backbone_info(with_model("{}"), "x"), contains("image_size in dino.model"));
  const auto good = model_text({.vit = tiny, .name = "", .source = ""});
  CHECK_NOTHROW(backbone_info(with_model(good), "x"));
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = good;
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return with_model(text.replace(at, from.size(), to));
  };
  CHECK_THROWS_WITH(backbone_info(with("\"heads\":3", "\"heads\":0"), "x"),
                    contains("heads in dino.model is 0, expected a whole number from 1 to 1024"));
  CHECK_THROWS_WITH(backbone_info(with("\"heads\":3", "\"heads\":2.5"), "x"), contains("heads in dino.model is 2.5"));
  CHECK_THROWS_WITH(backbone_info(with("\"dim\":6", "\"dim\":1e30"), "x"), contains("dim in dino.model"));
  CHECK_THROWS_WITH(backbone_info(with("\"depth\":1", "\"depth\":\"one\""), "x"), contains("depth in dino.model"));
  CHECK_THROWS_WITH(backbone_info(with("\"mlp_ratio\":1.5", "\"mlp_ratio\":-1"), "x"), contains("mlp_ratio"));
  CHECK_THROWS_WITH(backbone_info(with("\"mean\":[0.485,", "\"mean\":[\"a\","), "x"), contains("mean in dino.model"));
}

TEST_CASE("backbone_info: without a description the shapes tell the model", "[io]") {
  const VitConfig config{.image_size = 12, .patch_size = 4, .dim = 128, .depth = 2, .heads = 2, .mlp_ratio = 1.5};
  const auto state = tensors_of(config);
  const auto read = backbone_info(state, "x.pth").vit;
  CHECK(read.image_size == 12);
  CHECK(read.patch_size == 4);
  CHECK(read.dim == 128);
  CHECK(read.depth == 2);
  CHECK(read.heads == 2);
  CHECK(read.mlp_ratio == 1.5);
  const auto refused = [&](const std::string& name, const Shape& shape) {
    auto other = state;
    other.tensors[name] = {DType::F32, shape, {}};
    CHECK_THROWS_WITH(backbone_info(other, "x.pth"), contains("has no description of its model"));
  };
  constexpr i64 big = i64{1} << 40;
  refused("pos_embed", {1, 9, 128});
  refused("pos_embed", {1, 0, 128});
  refused("pos_embed", {10, 128});
  refused("pos_embed", {1, 10, 64});
  refused("patch_embed.proj.weight", {128, 0, big, big});
  refused("patch_embed.proj.weight", {96, 3, 4, 4});
  refused("patch_embed.proj.weight", {0, 3, 4, 4});
  refused("patch_embed.proj.weight", {128, 3, 4, 0});
  refused("patch_embed.proj.weight", {128, 48});
  refused("blocks.0.mlp.fc1.weight", {0, 128});
  refused("blocks.0.mlp.fc1.weight", {128, 192});
  refused("blocks.0.attn.qkv.weight", {big, 0});
}

TEST_CASE("backbone_info: rules for positions by name", "[io]") {
  CHECK(named_positions("dino") == PositionRule{});
  CHECK(named_positions("timm") == timm_positions);
  CHECK(named_positions("hugging-face") == hugging_face_positions);
  CHECK_THROWS_WITH(named_positions("flax"), contains("positions \"flax\": expected dino, timm or hugging-face"));
}
