// A backbone under the names of other libraries.
#pragma once

#include <dino/io/weight_names.hpp>

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

}  // namespace dino::inline DINO_ABI
