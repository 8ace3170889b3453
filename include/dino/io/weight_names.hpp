// The names that different libraries give to the tensors of one backbone, turned into those of torch hub.
#pragma once

#include <dino/io/state_dict.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace dino::inline DINO_ABI {

/// A file's tensors under the names of torch hub ("blocks.0.attn.qkv.weight"), which timm and this library use as well.
struct HubWeights {
  StateDict backbone;                // and the metadata of the file
  StateDict head;                    // "mlp.0.weight", "last_layer.weight_g", ...: empty where the file has none
  std::string layout;                // who wrote the names: "torch hub", "timm" or "Hugging Face"
  std::vector<std::string> ignored;  // what stands beside the backbone
};

namespace detail {

struct Renaming {
  std::string_view from, to;
  int part = 0, parts = 1;  // of the tensor `to`, along its first axis
};

/// Hugging Face: ViTModel of facebook/dino-*, Dinov2Model and Dinov2WithRegistersModel, as files have them and as
/// state_dict() of transformers 5 shows them. Behind each stands .weight, .bias or nothing.
inline constexpr Renaming hugging_face_names[] = {{"embeddings.cls_token", "cls_token"},
                                                  {"embeddings.mask_token", "mask_token"},
                                                  {"embeddings.register_tokens", "register_tokens"},
                                                  {"embeddings.position_embeddings", "pos_embed"},
                                                  {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
                                                  {"layernorm", "norm"}};
inline constexpr Renaming hugging_face_block_names[] = {{"layernorm_before", "norm1"},
                                                        {"layernorm_after", "norm2"},
                                                        {"norm1", "norm1"},
                                                        {"norm2", "norm2"},
                                                        {"attention.attention.query", "attn.qkv", 0, 3},
                                                        {"attention.attention.key", "attn.qkv", 1, 3},
                                                        {"attention.attention.value", "attn.qkv", 2, 3},
                                                        {"attention.q_proj", "attn.qkv", 0, 3},
                                                        {"attention.k_proj", "attn.qkv", 1, 3},
                                                        {"attention.v_proj", "attn.qkv", 2, 3},
                                                        {"attention.output.dense", "attn.proj"},
                                                        {"attention.o_proj", "attn.proj"},
                                                        {"intermediate.dense", "mlp.fc1"},
                                                        {"output.dense", "mlp.fc2"},
                                                        {"mlp.fc1", "mlp.fc1"},
                                                        {"mlp.fc2", "mlp.fc2"},
                                                        {"mlp.weights_in", "mlp.w12"},
                                                        {"mlp.gate_proj", "mlp.w12", 0, 2},
                                                        {"mlp.up_proj", "mlp.w12", 1, 2},
                                                        {"mlp.weights_out", "mlp.w3"},
                                                        {"mlp.down_proj", "mlp.w3"},
                                                        {"layer_scale1.lambda1", "ls1.gamma"},
                                                        {"layer_scale2.lambda1", "ls2.gamma"}};
/// What a file may hold beside a backbone, under the same prefix.
inline constexpr std::string_view beside_backbone[] = {
    "head.", "fc.", "linear.", "pooler.", "classifier.", "dino_head.", "ibot_head.", "projection_head.", "prototypes."};

/// A name cut behind its first `parts` dots: "blocks.3.norm1.bias" and 2 give "blocks.3." and "norm1.bias".
inline std::pair<std::string_view, std::string_view> cut_name(std::string_view name, int parts) {
  size_t at = 0;
  for (int i = 0; i < parts; ++i) {
    const size_t dot = name.find('.', at);
    if (dot == std::string_view::npos) return {{}, name};
    at = dot + 1;
  }
  return {name.substr(0, at), name.substr(at)};
}

inline bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Where a tensor goes: its hub name and which part of that tensor it is.
struct HubName {
  std::string name;
  int part = 0, parts = 1;
};

inline std::optional<HubName> rename_by(std::span<const Renaming> table, std::string_view name,
                                        const std::string& front) {
  for (const auto& r : table) {
    if (!name.starts_with(r.from)) continue;
    const auto rest = name.substr(r.from.size());
    if (rest == ".weight" || rest == ".bias" || rest.empty()) {
      return HubName{front + std::string(r.to) + std::string(rest), r.part, r.parts};
    }
  }
  return std::nullopt;
}

inline std::optional<HubName> hugging_face_name(std::string_view name) {
  for (const std::string_view list : {"encoder.layer.", "layers."}) {
    if (!name.starts_with(list)) continue;
    const auto [number, rest] = cut_name(name.substr(list.size()), 1);
    if (number.empty() || !is_digits(number.substr(0, number.size() - 1))) return std::nullopt;
    return rename_by(hugging_face_block_names, rest, "blocks." + std::string(number));
  }
  return rename_by(hugging_face_names, name, "");
}

/// Training of DINOv2 keeps its blocks in chunks: "blocks.2.7.norm1.bias" is block 7.
inline std::string without_chunk(const std::string& name) {
  const auto [front, rest] = cut_name(name, 2);
  const auto [second, tail] = cut_name(rest, 1);
  if (front.starts_with("blocks.") && !second.empty() && is_digits(second.substr(0, second.size() - 1))) {
    return "blocks." + std::string(rest);
  }
  return name;
}

/// Parts of one tensor, stacked along the first axis.
inline TensorData stacked(const std::string& name, const std::vector<const TensorData*>& parts,
                          const std::string& where) {
  TensorData whole = *parts.front();
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto& p = *parts[i];
    require(p.dtype == whole.dtype && p.shape == parts[0]->shape, ErrorKind::weights,
            "{}: the parts of {} are {} {} and {} {}", where, name, parts[0]->shape, whole.dtype, p.shape, p.dtype);
    whole.bytes.insert(whole.bytes.end(), p.bytes.begin(), p.bytes.end());
  }
  std::vector<i64> extents(whole.shape.begin(), whole.shape.end());
  require(!extents.empty(), ErrorKind::weights, "{}: a part of {} is a single number", where, name);
  extents[0] *= static_cast<i64>(parts.size());
  whole.shape = Shape(std::span<const i64>(extents));
  return whole;
}

/// timm's DINOv2: SwiGLU under the names of an MLP; and, with registers, a class token that has its position already.
inline void from_timm(HubWeights& file) {
  auto& tensors = file.backbone.tensors;
  const auto rename = [&](const std::string& from, const std::string& to) {
    if (auto node = tensors.extract(from); !node.empty()) {
      node.key() = to;
      tensors.insert(std::move(node));
    }
  };
  std::vector<std::string> gated;  // MLPs whose first layer gives twice what the second one takes
  for (const auto& [name, in] : tensors) {
    constexpr std::string_view ending = "fc1.weight";
    if (!name.ends_with(ending)) continue;
    const auto mlp = name.substr(0, name.size() - ending.size());
    const auto* out = file.backbone.find(mlp + "fc2.weight");
    if (out && in.shape.rank() == 2 && out->shape.rank() == 2 && in.shape[0] == 2 * out->shape[1]) gated.push_back(mlp);
  }
  for (const auto& block : gated) {
    for (const auto* kind : {"weight", "bias"}) {
      rename(block + "fc1." + kind, block + "w12." + kind);
      rename(block + "fc2." + kind, block + "w3." + kind);
    }
    file.layout = "timm";
  }
  if (!file.backbone.find("reg_token")) return;
  file.layout = "timm";
  rename("reg_token", "register_tokens");
  const auto at = tensors.find("pos_embed");
  if (at == tensors.end() || at->second.shape.rank() != 3) return;
  auto& positions = at->second;  // of the patches only; the class token's is zero from here on
  const i64 cols = positions.shape[2];
  positions.bytes.insert(positions.bytes.begin(), static_cast<size_t>(cols * dtype_size(positions.dtype)), u8{0});
  positions.shape = {1, positions.shape[1] + 1, cols};
}

/// What stands in front of the backbone's names, with the dictionary that `key` names first: "teacher.backbone.". The
/// shortest where several would do. Nothing where the file has no class token.
inline std::optional<std::string> backbone_front(const StateDict& file, const std::string& key) {
  constexpr std::string_view token = "cls_token", embeddings = "embeddings.";
  std::optional<std::string> best;
  bool best_keyed = false;
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.ends_with(token)) continue;
    std::string front = name.substr(0, name.size() - token.size());
    if (!front.empty() && !front.ends_with('.')) continue;
    if (front.ends_with(embeddings)) front.resize(front.size() - embeddings.size());
    const bool keyed = front.starts_with(key + '.');
    const bool other = front.starts_with("teacher.") || front.starts_with("student.");
    if (!keyed && other) continue;
    if (!best || (keyed && !best_keyed) || (keyed == best_keyed && front.size() < best->size())) {
      best = front;
      best_keyed = keyed;
    }
  }
  return best;
}

/// The head beside a backbone: "teacher.head." beside "teacher.backbone.", with the old names of released checkpoints.
inline void take_head(StateDict& file, const std::string& front, StateDict& head) {
  constexpr std::string_view own = "backbone.";
  if (!front.ends_with(own)) return;
  const std::string base = front.substr(0, front.size() - own.size());
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> fronts{{{"head.projection_head.", "mlp."},
                                                                                {"head.prototypes.", "last_layer."},
                                                                                {"projection_head.", "mlp."},
                                                                                {"prototypes.", "last_layer."},
                                                                                {"dino_head.", ""},
                                                                                {"head.", ""}}};
  for (auto at = file.tensors.begin(); at != file.tensors.end();) {
    const auto next = std::next(at);
    const std::string_view name = at->first;
    if (name.starts_with(base)) {
      for (const auto& [from, to] : fronts) {
        if (!name.substr(base.size()).starts_with(from)) continue;
        auto node = file.tensors.extract(at);
        node.key() = std::string(to) + node.key().substr(base.size() + from.size());
        head.tensors.insert(std::move(node));
        break;
      }
    }
    at = next;
  }
}

}  // namespace detail

/// Sorts the tensors of a file into backbone, head and the rest. Known are torch hub and timm, with and without
/// "module." (of DistributedDataParallel), "backbone.", "state_dict." and chunks of blocks; full checkpoints, of which
/// `key` names the dictionary (teacher or student); and Hugging Face. Names that belong to a backbone and are not known
/// stay as they are, for the model to complain about. Throws Error{weights} where there is no vision transformer.
inline HubWeights hub_weights(StateDict file, const std::string& key, const std::string& where) {
  const auto front = detail::backbone_front(file, key);
  require(front.has_value(), ErrorKind::weights,
          "{}: none of its {} tensors is a class token (cls_token){}. Give weights of a vision transformer under the "
          "names of torch hub, timm or Hugging Face, or name the model with --checkpoint-key",
          where, file.tensors.size(), key.empty() ? "" : str(" of {}, or of a model outside any dictionary", key));
  HubWeights out;
  out.layout = "torch hub";
  out.backbone.metadata = std::move(file.metadata);
  detail::take_head(file, *front, out.head);
  const auto place = [&](const std::string& name, TensorData tensor) {
    require(!out.backbone.find(name), ErrorKind::weights, "{}: two of its tensors are {}", where, name);
    out.backbone.add(name, std::move(tensor));
  };
  std::map<std::string, std::vector<const TensorData*>> parts;
  const bool hugging_face = file.find(*front + "embeddings.cls_token") != nullptr;
  if (hugging_face) out.layout = "Hugging Face";
  std::vector<std::string> whole;
  for (const auto& [name, tensor] : file.tensors) {
    const auto rest = name.starts_with(*front) ? std::string_view(name).substr(front->size()) : std::string_view();
    const bool beside = std::any_of(std::begin(detail::beside_backbone), std::end(detail::beside_backbone),
                                    [&](std::string_view part) { return rest.starts_with(part); });
    if (rest.empty() || beside) {
      out.ignored.push_back(name);
      continue;
    }
    const auto renamed = hugging_face ? detail::hugging_face_name(rest) : std::nullopt;
    if (renamed && renamed->parts > 1) {
      auto& list = parts[renamed->name];
      list.resize(static_cast<size_t>(renamed->parts));
      list[static_cast<size_t>(renamed->part)] = &tensor;
    } else {
      whole.push_back(name);
    }
  }
  for (const auto& [name, list] : parts) {
    require(std::find(list.begin(), list.end(), nullptr) == list.end(), ErrorKind::weights,
            "{}: a part of {} is missing (query, key and value, or gate and up)", where, name);
    place(name, detail::stacked(name, list, where));
  }
  for (const auto& name : whole) {
    auto node = file.tensors.extract(name);
    const auto rest = name.substr(front->size());
    const auto renamed = hugging_face ? detail::hugging_face_name(rest) : std::nullopt;
    place(renamed ? renamed->name : detail::without_chunk(rest), std::move(node.mapped()));
  }
  if (!hugging_face) detail::from_timm(out);
  return out;
}

/// What of a file is not its backbone, for a user: "optimizer.*, the head, epoch, args (argparse.Namespace)". Tensors
/// stand under the first part of their names, of which at most ten are shown. used: what of this is of use all the same
/// ("teacher.*", "the head").
inline std::string unused_text(const HubWeights& file, const std::vector<std::string>& used = {}) {
  std::vector<std::string> parts;
  const auto add = [&](std::string part) {
    const bool is_used = std::find(used.begin(), used.end(), part) != used.end();
    if (!is_used && (parts.empty() || parts.back() != part)) parts.push_back(std::move(part));
  };
  for (const auto& name : file.ignored) {  // in order: names with the same first part stand together
    const auto dot = name.find('.');
    add(dot == name.npos ? name : name.substr(0, dot) + ".*");
  }
  constexpr size_t shown = 10;
  if (parts.size() > shown) {
    const auto more = str("{} more", parts.size() - shown);
    parts.resize(shown);
    parts.push_back(more);
  }
  if (!file.head.tensors.empty()) add("the head");
  const auto objects = file.backbone.metadata.find("pth.ignored");
  if (objects != file.backbone.metadata.end()) parts.push_back(objects->second);
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace dino::inline DINO_ABI
