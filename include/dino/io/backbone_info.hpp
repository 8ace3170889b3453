// What a file of weights says about its backbone, in words or by the shapes of its tensors.
#pragma once

#include <dino/io/parse_record.hpp>
#include <dino/io/state_dict.hpp>
#include <dino/nn/vit.hpp>

#include <array>

namespace dino::inline DINO_ABI {

/// What a backbone file says about itself beside its tensors ("dino.model"): no tensor's shape tells the number of
/// heads.
struct BackboneInfo {
  VitConfig vit;
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, deviation{0.229f, 0.224f, 0.225f};  // of the pixels, in 0..1
  std::string name{};    // vit-s-16, or "" when the file does not say
  std::string source{};  // the run it comes from
  i64 step = 0;
};

/// The text of dino.model.
inline std::string model_text(const BackboneInfo& info) {
  const auto three = [](const std::array<float, 3>& v) {
    return str("[{},{},{}]", number_text(shortest_double(v[0])), number_text(shortest_double(v[1])),
               number_text(shortest_double(v[2])));
  };
  const auto& vit = info.vit;
  const std::string more = vit.layer_scale != 0 || vit.mlp != MlpKind::gelu || vit.mask_token
                               ? str("\"layer_scale\":{},\"mlp\":\"{}\",\"mask_token\":{},",
                                     number_text(vit.layer_scale), vit.mlp == MlpKind::swiglu ? "swiglu" : "gelu",
                                     vit.mask_token ? 1 : 0)
                               : "";
  const std::string positions = str("{}{}", vit.positions.antialias ? "antialiased " : "",
                                    vit.positions.offset == 0
                                        ? "bicubic, scale grid / stored grid"
                                        : str("bicubic, scale (grid + {}) / stored grid",
                                              number_text(vit.positions.offset)));
  return str(
      "{\"backbone\":{},\"depth\":{},\"dim\":{},\"heads\":{},\"mlp_ratio\":{},\"registers\":{},{}\"patch_size\":{},"
      "\"image_size\":{},\"norm_eps\":1e-06,\"positions\":{},\"mean\":{},\"std\":{},\"source\":{},\"step\":{}}",
      json_text(info.name), vit.depth, vit.dim, vit.heads, number_text(vit.mlp_ratio), vit.registers, more,
      vit.patch_size, vit.image_size, json_text(positions), three(info.mean), three(info.deviation),
      json_text(info.source), info.step);
}

namespace detail {

/// dino.model of an export, or the field "model" of a checkpoint's state.
inline std::optional<std::string> model_description(const StateDict& file) {
  if (const auto model = file.metadata.find("dino.model"); model != file.metadata.end()) return model->second;
  const auto state = file.metadata.find("dino.state");
  if (state == file.metadata.end()) return std::nullopt;
  const auto record = parse_record(state->second);
  return record && record->has("model") ? std::optional(record->text("model")) : std::nullopt;
}

/// The sizes of a vision transformer from the shapes of its tensors, and the one number that they do not tell: the
/// heads are 64 wide, as in every published DINO model. Nothing when the shapes are not those of such a model.
inline std::optional<VitConfig> vit_of_shapes(const StateDict& file) {
  const auto shape = [&](const std::string& name) {
    const auto* tensor = file.find(name);
    return tensor ? tensor->shape : Shape();
  };
  const bool gated = file.find("blocks.0.mlp.w12.weight") != nullptr;
  const std::string first = gated ? "mlp.w12.weight" : "mlp.fc1.weight";
  const auto positions = shape("pos_embed"), patch = shape("patch_embed.proj.weight"),
             hidden = shape("blocks.0." + first), registers = shape("register_tokens");
  if (positions.rank() != 3 || positions[1] < 2 || patch.rank() != 4 || hidden.rank() != 2) return std::nullopt;
  VitConfig c{.patch_size = patch[3], .dim = patch[0], .depth = 0, .heads = patch[0] / 64};
  const i64 grid = std::llround(std::sqrt(static_cast<double>(positions[1] - 1)));
  const bool fitting = c.heads > 0 && c.dim % 64 == 0 && c.patch_size > 0 && hidden[0] > 0 &&
                       patch == Shape{c.dim, 3, c.patch_size, c.patch_size} && hidden == Shape{hidden[0], c.dim} &&
                       positions == Shape{1, 1 + grid * grid, c.dim};
  if (!fitting) return std::nullopt;
  c.image_size = grid * c.patch_size;
  if (gated) {
    c.mlp = MlpKind::swiglu;  // its width is a multiple of 8 near 2/3 of what the ratio says: 4 in all published models
    if (2 * c.hidden() != hidden[0]) c.mlp_ratio = 0.75 * static_cast<double>(hidden[0]) / static_cast<double>(c.dim);
    if (2 * c.hidden() != hidden[0]) return std::nullopt;
  } else {
    c.mlp_ratio = static_cast<double>(hidden[0]) / static_cast<double>(c.dim);
  }
  c.layer_scale = file.find("blocks.0.ls1.gamma") ? 1 : 0;
  c.mask_token = file.find("mask_token") != nullptr;
  if (registers.rank() == 3) {
    c.registers = registers[1];
    c.positions = {.offset = 0, .antialias = true};
  }
  // Whole blocks are counted: the model that is made of these sizes is no larger than the file.
  const auto block = [&](const std::string& name) { return shape(str("blocks.{}.{}", c.depth, name)); };
  while (block("attn.qkv.weight") == Shape{3 * c.dim, c.dim} && block(first) == hidden) ++c.depth;
  return c.depth > 0 ? std::optional(c) : std::nullopt;
}

inline PositionRule position_rule(const std::string& text) {
  PositionRule rule{.offset = text.find("grid + ") == std::string::npos ? 0 : 0.1,
                    .antialias = text.starts_with("antialiased")};
  return text.empty() ? PositionRule() : rule;
}

}  // namespace detail

/// dino_positions, timm_positions or hugging_face_positions by name. Throws Error{usage}.
inline PositionRule named_positions(std::string_view name) {
  if (name == "dino") return dino_positions;
  if (name == "timm") return timm_positions;
  require(name == "hugging-face", ErrorKind::usage, "positions \"{}\": expected dino, timm or hugging-face", name);
  return hugging_face_positions;
}

/// What dino.model of a file says; without it, what the shapes of its tensors, under the names of torch hub, say
/// (heads of 64, pixels as for ImageNet). Throws Error{weights} when neither describes a vision transformer.
inline BackboneInfo backbone_info(const StateDict& file, const std::string& where) {
  const auto text = detail::model_description(file);
  BackboneInfo info;
  if (const auto vit = text ? std::nullopt : detail::vit_of_shapes(file)) {
    info.vit = *vit;
    return info;
  }
  require(text.has_value(), ErrorKind::weights,
          "{} has no description of its model (dino.model in the metadata), which holds the number of heads, and its "
          "tensors are not those of a vision transformer with heads of 64. Use a file written by dino_pretrain, or "
          "weights of such a model",
          where);
  const auto record = parse_record(*text);
  require(record.has_value(), ErrorKind::weights, "{}: dino.model is not JSON: {}", where, *text);
  const auto whole = [&](const char* key, i64 least, i64 most) {
    const double x = record->number(key);
    require(x >= static_cast<double>(least) && x <= static_cast<double>(most) && x == std::floor(x), ErrorKind::weights,
            "{}: {} in dino.model is {}, expected a whole number from {} to {}", where, key, record->text(key), least,
            most);
    return static_cast<i64>(x);
  };
  const auto optional = [&](const char* key, i64 most) { return record->has(key) ? whole(key, 0, most) : 0; };
  info.vit = {.image_size = whole("image_size", 1, 16384),
              .patch_size = whole("patch_size", 1, 1024),
              .dim = whole("dim", 1, 65536),
              .depth = whole("depth", 1, 1000),
              .heads = whole("heads", 1, 1024),
              .mlp_ratio = record->number("mlp_ratio")};
  require(info.vit.mlp_ratio > 0 && info.vit.mlp_ratio <= 64, ErrorKind::weights, "{}: mlp_ratio in dino.model is {}",
          where, record->text("mlp_ratio"));
  info.vit.registers = optional("registers", 1024);
  info.vit.mask_token = optional("mask_token", 1) == 1;
  info.vit.layer_scale = record->has("layer_scale") ? record->number("layer_scale") : 0;
  require(std::isfinite(info.vit.layer_scale), ErrorKind::weights, "{}: layer_scale in dino.model is {}", where,
          record->text("layer_scale"));
  const auto mlp = record->has("mlp") ? record->text("mlp") : "gelu";
  require(mlp == "gelu" || mlp == "swiglu", ErrorKind::weights, "{}: mlp in dino.model is {}, expected gelu or swiglu",
          where, mlp);
  info.vit.mlp = mlp == "swiglu" ? MlpKind::swiglu : MlpKind::gelu;
  info.vit.positions = detail::position_rule(record->text("positions"));
  const auto three = [&](const char* key, std::array<float, 3>& out) {
    std::istringstream in(record->text(key));
    char mark = 0;
    for (size_t i = 0; i < 3; ++i) in >> mark >> out[i];
    require(bool(in), ErrorKind::weights, "{}: {} in dino.model is {}, expected three numbers", where, key,
            record->text(key));
  };
  three("mean", info.mean);
  three("std", info.deviation);
  info.name = record->text("backbone");
  info.source = record->text("source");
  info.step = std::isfinite(record->number("step")) ? static_cast<i64>(record->number("step")) : 0;
  return info;
}

}  // namespace dino::inline DINO_ABI
