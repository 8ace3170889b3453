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
        "backbone.norm.bias; unexpected: fc.weight. The width differs: use weights of the same backbone");
}

TEST_CASE("weights: the likely cause of what does not fit", "[io]") {
  Model model;
  const auto with = [&](const std::string& name, const Shape& shape) {
    auto state = state_of(model);
    state.tensors["backbone." + name] = tensor_data(shape, std::vector<float>(static_cast<size_t>(shape.numel())));
    return refusal(model, state, "", true);
  };
  CHECK_THAT(with("patch_embed.proj.weight", {6, 3, 8, 8}), contains("The patch size differs"));
  CHECK_THAT(with("pos_embed", {1, 17, 6}), contains("image_size") && contains("--interpolate-pos-embed"));
  CHECK_THAT(with("blocks.0.mlp.fc1.bias", {12}), contains("set mlp_ratio"));
  CHECK_THAT(with("blocks.1.norm1.bias", {6}), contains("The depth or the kind of block differs"));
  CHECK_THAT(with("norm.bias", {7}), contains("Use weights of the same backbone and patch size"));
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

TEST_CASE("weights: the ending of a file says how it is read", "[io]") {
  TemporaryFolder folder;
  for (const char* name : {"a.pth", "a.pt", "pytorch_model.bin", "last.ckpt", "checkpoint.pth.tar"}) {
    write_file_atomic(folder / name, pth::small_file());
    CHECK(read_weights(folder / name).at("t").to<float>() == std::vector<float>{1, 2});
  }
  write_safetensors(folder / "a.safetensors", read_weights(folder / "a.pth"));
  CHECK(read_weights(folder / "a.safetensors").at("t").to<float>() == std::vector<float>{1, 2});
  write_file_atomic(folder / "b.pth", "not weights");
  CHECK_THROWS_WITH(read_weights(folder / "b.pth"), contains("b.pth: not a PyTorch file"));
}
