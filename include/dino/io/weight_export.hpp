// A backbone under the names of other libraries.
#pragma once

#include <dino/io/weight_names.hpp>
#include <dino/io/weights.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

/// Our names in those of Hugging Face. dinov2: Dinov2Model, else ViTModel.
struct HuggingFaceName {
  std::string_view hub, vit, dinov2;
};
inline constexpr HuggingFaceName hugging_face_exports[] = {
    {"cls_token", "embeddings.cls_token", "embeddings.cls_token"},
    {"mask_token", "embeddings.mask_token", "embeddings.mask_token"},
    {"register_tokens", "embeddings.register_tokens", "embeddings.register_tokens"},
    {"pos_embed", "embeddings.position_embeddings", "embeddings.position_embeddings"},
    {"patch_embed.proj", "embeddings.patch_embeddings.projection", "embeddings.patch_embeddings.projection"},
    {"norm", "layernorm", "layernorm"}};
inline constexpr HuggingFaceName hugging_face_block_exports[] = {
    {"norm1", "layernorm_before", "norm1"},
    {"norm2", "layernorm_after", "norm2"},
    {"attn.proj", "attention.output.dense", "attention.output.dense"},
    {"mlp.fc1", "intermediate.dense", "mlp.fc1"},
    {"mlp.fc2", "output.dense", "mlp.fc2"},
    {"mlp.w12", "mlp.weights_in", "mlp.weights_in"},
    {"mlp.w3", "mlp.weights_out", "mlp.weights_out"},
    {"ls1.gamma", "layer_scale1.lambda1", "layer_scale1.lambda1"},
    {"ls2.gamma", "layer_scale2.lambda1", "layer_scale2.lambda1"}};

inline std::string export_name(std::span<const HuggingFaceName> table, std::string_view name, bool dinov2) {
  for (const auto& row : table) {
    if (!name.starts_with(row.hub)) continue;
    const auto rest = name.substr(row.hub.size());
    if (rest.empty() || rest.front() == '.') return std::string(dinov2 ? row.dinov2 : row.vit) + std::string(rest);
  }
  fail(ErrorKind::weights, "{} has no name in Hugging Face's models", name);
}

/// Part `part` of `parts` of a tensor, along the first axis.
inline TensorView part_view(const TensorView& whole, std::string name, size_t part, size_t parts) {
  TensorView view = whole;
  view.name = std::move(name);
  std::vector<i64> extents(whole.shape.begin(), whole.shape.end());
  extents[0] /= static_cast<i64>(parts);
  view.shape = Shape(std::span<const i64>(extents));
  const size_t bytes = whole.bytes.size() / parts;
  view.bytes = whole.bytes.subspan(part * bytes, bytes);
  return view;
}

/// A view of floats that it owns.
inline TensorView owned_view(std::string name, const Shape& shape, std::vector<float> values) {
  const auto owner = std::make_shared<const std::vector<float>>(std::move(values));
  auto view = tensor_view(std::move(name), shape, std::span<const float>(*owner));
  view.owner = owner;
  return view;
}

}  // namespace detail

/// Hub names turned into those of transformers: ViTModel, or with dinov2 Dinov2Model and Dinov2WithRegistersModel. The
/// bytes stay where they are. Throws Error{weights} for a tensor that those models do not have.
inline std::vector<TensorView> hugging_face_views(const std::vector<TensorView>& hub, bool dinov2) {
  std::vector<TensorView> views;
  for (const auto& tensor : hub) {
    const auto [blocks, rest] = detail::cut_name(tensor.name, 2);
    if (!blocks.starts_with("blocks.")) {
      views.push_back(tensor);
      views.back().name = detail::export_name(detail::hugging_face_exports, tensor.name, dinov2);
      continue;
    }
    const std::string front = "encoder.layer." + std::string(blocks.substr(7));
    if (rest.starts_with("attn.qkv.")) {
      const std::string kind(rest.substr(8));  // .weight or .bias
      for (size_t part = 0; part < 3; ++part) {
        constexpr const char* names[] = {"query", "key", "value"};
        views.push_back(detail::part_view(tensor, front + "attention.attention." + names[part] + kind, part, 3));
      }
      continue;
    }
    views.push_back(tensor);
    views.back().name = front + detail::export_name(detail::hugging_face_block_exports, rest, dinov2);
  }
  return views;
}

/// Hub names turned into those of timm where they differ: with registers the class token has its position added, and
/// SwiGLU has the names of an MLP. The mask token, which timm does not have, is left out.
inline std::vector<TensorView> timm_views(const std::vector<TensorView>& hub) {
  std::vector<TensorView> views;
  const auto find = [&](std::string_view name) {
    const auto at = std::find_if(hub.begin(), hub.end(), [&](const TensorView& t) { return t.name == name; });
    return at == hub.end() ? nullptr : &*at;
  };
  const auto numbers = [](const TensorView& t) {
    return TensorData{t.dtype, t.shape, {t.bytes.begin(), t.bytes.end()}}.to<float>();
  };
  const bool registers = find("register_tokens") != nullptr;
  for (const auto& tensor : hub) {
    if (tensor.name == "mask_token") continue;
    auto view = tensor;
    if (const auto at = view.name.find(".mlp.w12."); at != std::string::npos) view.name.replace(at, 9, ".mlp.fc1.");
    if (const auto at = view.name.find(".mlp.w3."); at != std::string::npos) view.name.replace(at, 8, ".mlp.fc2.");
    if (registers && view.name == "register_tokens") view.name = "reg_token";
    const auto* positions = find("pos_embed");
    if (registers && positions && view.name == "cls_token") {
      auto values = numbers(tensor);
      const auto position = numbers(*positions);
      for (size_t c = 0; c < values.size(); ++c) values[c] += position[c];
      view = detail::owned_view("cls_token", tensor.shape, std::move(values));
    } else if (registers && view.name == "pos_embed") {
      const i64 cols = tensor.shape[2], rows = tensor.shape[1] - 1;
      view.shape = {1, rows, cols};
      view.bytes = tensor.bytes.subspan(static_cast<size_t>(cols * dtype_size(tensor.dtype)));
    }
    views.push_back(std::move(view));
  }
  return views;
}

/// Whose names a file gets.
enum class WeightLayout { hub, timm, hugging_face };

/// True for what transformers calls Dinov2Model or Dinov2WithRegistersModel, false for ViTModel.
inline bool is_dinov2(const VitConfig& c) { return c.registers > 0 || c.layer_scale != 0 || c.mlp == MlpKind::swiglu; }

/// The config.json beside which transformers' AutoModel loads the weights.
inline std::string hugging_face_config(const VitConfig& c) {
  std::string text = "{\n";
  const auto line = [&](const char* key, const std::string& value) { text += str("  \"{}\": {},\n", key, value); };
  const bool dinov2 = is_dinov2(c);
  const auto* model = !dinov2 ? "ViTModel" : c.registers > 0 ? "Dinov2WithRegistersModel" : "Dinov2Model";
  line("architectures", str("[\"{}\"]", model));
  line("model_type", !dinov2 ? "\"vit\"" : c.registers > 0 ? "\"dinov2_with_registers\"" : "\"dinov2\"");
  line("hidden_size", str("{}", c.dim));
  line("num_hidden_layers", str("{}", c.depth));
  line("num_attention_heads", str("{}", c.heads));
  line("image_size", str("{}", c.image_size));
  line("patch_size", str("{}", c.patch_size));
  if (dinov2) {
    line("mlp_ratio", number_text(c.mlp_ratio));
    line("layerscale_value", "1.0");
    line("use_swiglu_ffn", c.mlp == MlpKind::swiglu ? "true" : "false");
    if (c.registers > 0) line("num_register_tokens", str("{}", c.registers));
  } else {
    line("intermediate_size", str("{}", c.hidden()));
  }
  line("num_channels", "3");
  line("qkv_bias", "true");
  line("hidden_act", "\"gelu\"");
  line("hidden_dropout_prob", "0.0");
  line("attention_probs_dropout_prob", "0.0");
  return text + "  \"layer_norm_eps\": 1e-06\n}\n";
}

namespace detail {

/// What Dinov2Model has and a backbone of ours may lack: a mask token of zeros, scales of one.
inline void complete_dinov2(std::vector<TensorView>& hub, const VitConfig& c) {
  const auto add = [&](const std::string& name, const Shape& shape, float value) {
    for (const auto& tensor : hub) {
      if (tensor.name == name) return;
    }
    hub.push_back(owned_view(name, shape, std::vector<float>(static_cast<size_t>(shape.numel()), value)));
  };
  add("mask_token", {1, c.dim}, 0);
  for (i64 i = 0; i < c.depth; ++i) {
    for (const auto* scale : {"ls1", "ls2"}) add(str("blocks.{}.{}.gamma", i, scale), {c.dim}, 1);
  }
}

}  // namespace detail

/// Writes the parameters under `prefix` as a safetensors file in somebody's names. For Hugging Face the file must be
/// called model.safetensors for AutoModel.from_pretrained(folder), and config.json is written beside it.
template <class T, class D>
void export_backbone_as(WeightLayout layout, const std::filesystem::path& path, const ParamStore<T, D>& store,
                        const BackboneInfo& info, const std::string& prefix = "") {
  auto views = parameter_views(store, prefix);
  if (layout == WeightLayout::timm) views = timm_views(views);
  if (layout == WeightLayout::hugging_face) {
    if (is_dinov2(info.vit)) detail::complete_dinov2(views, info.vit);
    views = hugging_face_views(views, is_dinov2(info.vit));
    write_file_atomic(path.parent_path() / "config.json", hugging_face_config(info.vit));
  }
  detail::write_backbone(path, views, info);
}

}  // namespace dino::inline DINO_ABI
