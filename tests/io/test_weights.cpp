#include <dino/io/weights.hpp>

#include "support/catch.hpp"
#include "support/pth_files.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

const VitConfig tiny{.image_size = 8, .patch_size = 4, .dim = 6, .depth = 1, .heads = 3, .mlp_ratio = 1.5};

/// A model as in training: backbone and something behind it.
struct Model {
  HostContext ctx{1};
  ParamStore<float, Host> params{ctx};
  nn::VisionTransformer<float, Host> net{Scope<float, Host>{params} / "backbone", tiny};

  explicit Model(u64 seed = 1) {
    params.add("head.mlp.0.weight", {3, 6}, normal_init(1));
    params.finalize(seed);
  }
};

StateDict state_of(const Model& model, const std::string& prefix = "") {
  StateDict state;
  for (const auto& view : parameter_views(model.params, prefix))
    state.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  return state;
}

/// The error of loading, and nothing changed by it.
std::string refusal(Model& model, const StateDict& state, const std::string& prefix, bool strict) {
  const auto before = to_vector(model.params.values());
  std::string text;
  try {
    load_parameters(model.params, state, prefix, "a.safetensors", strict);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::weights);
    text = error.what();
  }
  CHECK(to_vector(model.params.values()) == before);
  return text;
}

StateDict with_model(const std::string& text) {
  StateDict state;
  state.metadata["dino.model"] = text;
  return state;
}

}  // namespace

TEST_CASE("weights: views show the parameters under a prefix by their rest", "[io]") {
  Model model;
  const auto all = parameter_views(model.params), part = parameter_views(model.params, "backbone.", "x.");
  CHECK(all.size() == 19);
  CHECK(part.size() == 18);
  CHECK(part[0].name == "x.cls_token");
  CHECK(part[0].shape == Shape{1, 1, 6});
  CHECK(part[0].dtype == DType::F32);
  CHECK(static_cast<const void*>(part[0].bytes.data()) == model.params.value(0).data());
}

TEST_CASE("weights: parameters come back bit for bit, under any prefix", "[io]") {
  Model source(1), target(2);
  auto state = state_of(source);
  load_parameters(target.params, state, "", "a.safetensors");
  CHECK(to_vector(target.params.values()) == to_vector(source.params.values()));
  Model other(3);
  StateDict prefixed;
  for (const auto& [name, tensor] : state.tensors) prefixed.add("student." + name, tensor);
  prefixed.add("optim.steps", tensor_data({1}, std::vector<i64>{1}));
  load_parameters(other.params, prefixed, "student.", "a.safetensors");  // strict about its own prefix only
  CHECK(to_vector(other.params.values()) == to_vector(source.params.values()));
}

TEST_CASE("weights: another number type is converted", "[io]") {
  Model source(1), target(2);
  auto state = state_of(source);
  for (auto& [name, tensor] : state.tensors) tensor = tensor_data(tensor.shape, tensor.to<double>());
  load_parameters(target.params, state, "", "a.safetensors");
  CHECK(to_vector(target.params.values()) == to_vector(source.params.values()));
}

TEST_CASE("weights: files of 16-bit models hold the masters in float", "[io]") {
  HostContext ctx(1);
  ParamStore<bf16, Host> source(ctx), target(ctx);
  ParamStore<float, Host> single(ctx);
  const auto build = [](auto& store, u64 seed) {
    store.add("w", {3, 5}, normal_init(1));
    store.add("v", {4}, normal_init(1));
    store.finalize(seed);
  };
  build(source, 1);
  build(target, 2);
  build(single, 3);
  const auto state_of = [](const auto& store) {
    StateDict state;
    for (const auto& view : parameter_views(store))
      state.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
    return state;
  };
  const auto rounded = [](float x) { return to_bf16(x).bits; };
  auto state = state_of(source);
  CHECK(state.at("w").dtype == DType::F32);
  load_parameters(target, state, "", "a.safetensors");
  CHECK(to_vector(target.masters()) == to_vector(source.masters()));
  CHECK(to_vector(target.value(1))[3].bits == rounded(target.master(1)[3]));
  load_parameters(single, state, "", "a.safetensors");
  CHECK(to_vector(single.values()) == to_vector(source.masters()));
  single.assign(1, std::vector<float>{0.1f, 0.2f, 0.3f, 0.4f});
  load_parameters(target, state_of(single), "", "a.safetensors");
  CHECK(target.master(1)[3] == 0.4f);
  CHECK(target.value(1)[3].bits == rounded(0.4f));
  state.tensors["v"] = tensor_data({4}, std::vector<bf16>(4, to_bf16(0.7f)));
  load_parameters(target, state, "", "a.safetensors");
  CHECK(target.master(1)[0] == to_float(to_bf16(0.7f)));
}

TEST_CASE("weights: all wrong names and shapes are listed at once and nothing is changed", "[io]") {
  Model model;
  auto state = state_of(model);
  state.tensors.erase("backbone.norm.bias");
  state.tensors.erase("backbone.blocks.0.mlp.fc1.weight");
  state.tensors["backbone.cls_token"] = tensor_data({1, 1, 7}, std::vector<float>(7));
  state.tensors["head.mlp.0.weight"] = tensor_data({6, 3}, std::vector<float>(18));
  state.add("fc.weight", tensor_data({1}, std::vector<float>{1}));
  const auto text = refusal(model, state, "", true);
  CHECK(text ==
        "a.safetensors does not fit the model; backbone.cls_token is (1,1,7), the model needs (1,1,6), "
        "head.mlp.0.weight is (6,3), the model needs (3,6); missing: backbone.blocks.0.mlp.fc1.weight, "
        "backbone.norm.bias; unexpected: fc.weight. Use weights of the same backbone and patch size");
}

TEST_CASE("weights: a long list of names ends with a number", "[io]") {
  Model model;
  const auto text = refusal(model, {}, "", true);
  CHECK_THAT(text, contains("missing: backbone.cls_token, backbone.pos_embed") && contains(" and 9 more"));
}

TEST_CASE("weights: other tensors are accepted on request", "[io]") {
  Model source(1), target(2);
  auto state = state_of(source);
  state.add("fc.weight", tensor_data({1}, std::vector<float>{1}));
  CHECK_THAT(refusal(target, state, "", true), contains("unexpected: fc.weight"));
  load_parameters(target.params, state, "", "a.safetensors", false);
  CHECK(to_vector(target.params.values()) == to_vector(source.params.values()));
}

TEST_CASE("weights: tensors that are not real numbers are refused", "[io]") {
  Model model;
  auto state = state_of(model);
  state.tensors["backbone.norm.bias"] = tensor_data({6}, std::vector<i64>(6));
  CHECK_THROWS_WITH(load_parameters(model.params, state, "", "a.safetensors"), contains("cannot be read as F32"));
}

TEST_CASE("weights: an export holds the backbone under official names and describes it", "[io]") {
  TemporaryFolder folder;
  Model model;
  BackboneInfo info{.vit = tiny, .name = "vit-t-4", .source = "runs/\"a\"", .step = 12500};
  info.mean = {0.4914f, 0.4822f, 0.4465f};
  export_backbone(folder / "b.safetensors", model.params, info);
  const auto file = read_safetensors(folder / "b.safetensors");
  CHECK(file.tensors.size() == 18);
  CHECK(file.find("blocks.0.attn.qkv.weight") != nullptr);
  CHECK(file.find("head.mlp.0.weight") == nullptr);
  CHECK(file.metadata.at("dino.kind") == "weights");
  const auto read = backbone_info(file, "b.safetensors");
  CHECK(read.vit.image_size == 8);
  CHECK(read.vit.patch_size == 4);
  CHECK(read.vit.dim == 6);
  CHECK(read.vit.depth == 1);
  CHECK(read.vit.heads == 3);
  CHECK(read.vit.mlp_ratio == 1.5);
  CHECK(read.mean == info.mean);
  CHECK(read.deviation == info.deviation);
  CHECK(read.name == "vit-t-4");
  CHECK(read.source == "runs/\"a\"");
  CHECK(read.step == 12500);
}

TEST_CASE("weights: files that do not describe a possible model are refused", "[io]") {
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

TEST_CASE("weights: the ending of a file says how it is read", "[io]") {
  TemporaryFolder folder;
  for (const char* name : {"a.pth", "a.pt", "pytorch_model.bin", "last.ckpt"}) {
    write_file_atomic(folder / name, pth::small_file());
    CHECK(read_weights(folder / name).at("t").to<float>() == std::vector<float>{1, 2});
  }
  write_safetensors(folder / "a.safetensors", read_weights(folder / "a.pth"));
  CHECK(read_weights(folder / "a.safetensors").at("t").to<float>() == std::vector<float>{1, 2});
  write_file_atomic(folder / "b.pth", "not weights");
  CHECK_THROWS_WITH(read_weights(folder / "b.pth"), contains("b.pth: not a PyTorch file"));
}

TEST_CASE("weights: the prefix of a backbone is found in checkpoints of several makers", "[io]") {
  const auto prefix = [](const std::vector<std::string>& names, const std::string& key) {
    StateDict state;
    for (const auto& name : names) state.add(name, tensor_data({1}, std::vector<float>{0}));
    return backbone_prefix(state, key);
  };
  const std::vector<std::string> reference{"student.module.backbone.cls_token", "teacher.backbone.cls_token",
                                           "teacher.head.mlp.0.weight"};
  CHECK(prefix(reference, "teacher") == "teacher.backbone.");
  CHECK(prefix(reference, "student") == "student.module.backbone.");
  CHECK(prefix({"teacher.cls_token"}, "teacher") == "teacher.");
  CHECK(prefix({"teacher.module.cls_token"}, "teacher") == "teacher.module.");
  CHECK(prefix({"state_dict.backbone.cls_token"}, "teacher") == "state_dict.backbone.");
  CHECK(prefix({"module.backbone.cls_token"}, "student") == "module.backbone.");
  CHECK(prefix({"backbone.cls_token"}, "student") == "backbone.");
  CHECK(prefix({"cls_token"}, "teacher").empty());
  CHECK(prefix({"student.backbone.cls_token"}, "teacher").empty());  // not the other one in its place
}

TEST_CASE("weights: without a description the shapes tell the model", "[io]") {
  const VitConfig config{.image_size = 12, .patch_size = 4, .dim = 128, .depth = 2, .heads = 2, .mlp_ratio = 1.5};
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params} / "backbone", config);
  params.finalize(1);
  StateDict state;
  for (const auto& view : parameter_views(params)) {
    state.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }
  const auto read = backbone_info(state, "x.pth", "backbone.").vit;
  CHECK(read.image_size == 12);
  CHECK(read.patch_size == 4);
  CHECK(read.dim == 128);
  CHECK(read.depth == 2);
  CHECK(read.heads == 2);
  CHECK(read.mlp_ratio == 1.5);
  CHECK_THROWS_WITH(backbone_info(state, "x.pth", ""), contains("x.pth has no description of its model"));
  const auto refused = [&](const std::string& name, const Shape& shape) {
    auto other = state;
    other.tensors["backbone." + name] = {DType::F32, shape, {}};
    CHECK_THROWS_WITH(backbone_info(other, "x.pth", "backbone."), contains("has no description of its model"));
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
