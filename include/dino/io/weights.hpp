// Parameters to and from named tensors, and backbones as files that other libraries load.
#pragma once

#include <dino/io/parse_record.hpp>
#include <dino/io/pth.hpp>
#include <dino/io/safetensors.hpp>
#include <dino/nn/vit.hpp>

#include <array>

namespace dino::inline DINO_ABI {

/// What a backbone file says about itself beside its tensors ("dino.model"): no tensor's shape tells the number of
/// heads.
struct BackboneInfo {
  VitConfig vit;
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, deviation{0.229f, 0.224f, 0.225f};  // of the pixels, in 0..1
  std::string name;    // vit-s-16, or "" when the file does not say
  std::string source;  // the run it comes from
  i64 step = 0;
};

namespace detail {

/// The elements of a contiguous tensor for writing: where they lie when that is the host, else a copy.
template <class T> struct HostElements {
  const T* data;
  std::shared_ptr<const void> owner;  // of the copy

  template <class D> explicit HostElements(const Tensor<T, D>& x) {
    require(x.defined() && x.is_contiguous(), "weights: {} cannot be shown as it lies in memory", x);
    if constexpr (std::is_same_v<D, HostDevice>) {
      data = x.data();
    } else {
      const auto copy = std::make_shared<const std::vector<T>>(to_vector(x));
      data = copy->data();
      owner = copy;
    }
  }
  TensorView view(std::string name, const Shape& shape, i64 offset = 0) const {
    auto view =
        tensor_view(std::move(name), shape, std::span<const T>(data + offset, static_cast<size_t>(shape.numel())));
    view.owner = owner;
    return view;
  }
};

}  // namespace detail

/// Views of all parameters whose name starts with `prefix`, named `rename` + the rest: of the masters, so that a file
/// holds all that training knows. On the host nothing is copied, and the store must outlive the views; elsewhere they
/// own what they show.
template <class T, class D> std::vector<TensorView> parameter_views(const ParamStore<T, D>& store,
                                                                    const std::string& prefix = "",
                                                                    const std::string& rename = "") {
  std::vector<TensorView> views;
  const detail::HostElements<acc_t<T>> elements(store.masters());
  for (const auto& segment : store.segments()) {
    if (!segment.name.starts_with(prefix)) continue;
    views.push_back(elements.view(rename + segment.name.substr(prefix.size()), segment.shape, segment.offset));
  }
  return views;
}

namespace detail {

/// All that is wrong between a store and a file, in one error, before anything is changed.
template <class T, class D> void check_parameters(const ParamStore<T, D>& store, const StateDict& file,
                                                  const std::string& prefix, bool strict, const std::string& where) {
  std::vector<std::string> missing, shapes, unexpected;
  std::map<std::string, bool> known;
  for (const auto& segment : store.segments()) {
    known[prefix + segment.name] = true;
    const auto* tensor = file.find(prefix + segment.name);
    if (!tensor) {
      missing.push_back(segment.name);
    } else if (!(tensor->shape == segment.shape)) {
      shapes.push_back(str("{} is {}, the model needs {}", segment.name, tensor->shape, segment.shape));
    }
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (strict && name.starts_with(prefix) && !known.count(name)) unexpected.push_back(name);
  }
  if (missing.empty() && shapes.empty() && unexpected.empty()) return;
  std::string text = where + " does not fit the model";
  if (!shapes.empty()) text += "; " + name_list(shapes);
  if (!missing.empty()) text += "; missing: " + name_list(missing);
  if (!unexpected.empty()) text += "; unexpected: " + name_list(unexpected);
  fail(ErrorKind::weights, "{}. Use weights of the same backbone and patch size", text);
}

}  // namespace detail

/// Sets every parameter of the store, master and value, from tensors named prefix + its name. All is checked first: on
/// an error (ErrorKind::weights, all names and shapes at once) nothing has changed. strict: no other tensors under the
/// prefix.
template <class T, class D> void load_parameters(ParamStore<T, D>& store, const StateDict& file,
                                                 const std::string& prefix, const std::string& where,
                                                 bool strict = true) {
  detail::check_parameters(store, file, prefix, strict, where);
  for (size_t i = 0; i < store.segments().size(); ++i) {
    const auto values = file.at(prefix + store.segments()[i].name).template to<acc_t<T>>();
    store.assign(static_cast<i64>(i), values);
  }
}

inline std::string model_text(const BackboneInfo& info) {
  const auto three = [](const std::array<float, 3>& v) {
    return str("[{},{},{}]", number_text(shortest_double(v[0])), number_text(shortest_double(v[1])),
               number_text(shortest_double(v[2])));
  };
  return str(
      "{\"backbone\":{},\"depth\":{},\"dim\":{},\"heads\":{},\"mlp_ratio\":{},\"registers\":0,\"patch_size\":{},"
      "\"image_size\":{},\"norm_eps\":1e-06,\"positions\":\"bicubic, scale (grid + 0.1) / stored grid\",\"mean\":{},"
      "\"std\":{},\"source\":{},\"step\":{}}",
      json_text(info.name), info.vit.depth, info.vit.dim, info.vit.heads, number_text(info.vit.mlp_ratio),
      info.vit.patch_size, info.vit.image_size, three(info.mean), three(info.deviation), json_text(info.source),
      info.step);
}

/// Writes the backbone part of a model ("backbone.*") under the names of torch hub and timm.
template <class T, class D> void export_backbone(const std::filesystem::path& path, const ParamStore<T, D>& store,
                                                 const BackboneInfo& info, const std::string& prefix = "backbone.") {
  write_safetensors(path, parameter_views(store, prefix),
                    {{"dino.version", DINO_VERSION}, {"dino.kind", "weights"}, {"dino.model", model_text(info)}});
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

}  // namespace detail

/// Reads named tensors: files called .pth, .pt, .bin or .ckpt as PyTorch files, all others as safetensors. Throws
/// Error{weights}.
inline StateDict read_weights(const std::filesystem::path& path) {
  const auto ending = path.extension();
  const bool torch = ending == ".pth" || ending == ".pt" || ending == ".bin" || ending == ".ckpt";
  return torch ? read_pth(path) : read_safetensors(path);
}

/// What stands in front of cls_token: the dictionary ("teacher." or "student.", as key says, in checkpoints of ours and
/// of the reference; "state_dict."; or none), then "module." and "backbone.", each where the file has it. Empty when
/// there is no cls_token. Source: utils.py, load_pretrained_weights.
inline std::string backbone_prefix(const StateDict& file, const std::string& key) {
  for (const auto& dictionary : {key + '.', std::string("state_dict."), std::string()})
    for (const auto* module : {"", "module."})
      for (const auto* backbone : {"backbone.", ""})
        if (const auto prefix = dictionary + module + backbone; file.find(prefix + "cls_token")) return prefix;
  return "";
}

namespace detail {

/// The sizes of a vision transformer from the shapes of its tensors, and the one number that they do not tell: the
/// heads are 64 wide, as in every published DINO model. Nothing when the shapes are not those of such a model.
inline std::optional<VitConfig> vit_of_shapes(const StateDict& file, const std::string& prefix) {
  const auto shape = [&](const std::string& name) {
    const auto* tensor = file.find(prefix + name);
    return tensor ? tensor->shape : Shape();
  };
  const auto positions = shape("pos_embed"), patch = shape("patch_embed.proj.weight"),
             hidden = shape("blocks.0.mlp.fc1.weight");
  if (positions.rank() != 3 || positions[1] < 2 || patch.rank() != 4 || hidden.rank() != 2) return std::nullopt;
  VitConfig c{.patch_size = patch[3], .dim = patch[0], .depth = 0, .heads = patch[0] / 64};
  const i64 grid = std::llround(std::sqrt(static_cast<double>(positions[1] - 1)));
  const bool fitting = c.heads > 0 && c.dim % 64 == 0 && c.patch_size > 0 && hidden[0] > 0 &&
                       patch == Shape{c.dim, 3, c.patch_size, c.patch_size} && hidden == Shape{hidden[0], c.dim} &&
                       positions == Shape{1, 1 + grid * grid, c.dim};
  if (!fitting) return std::nullopt;
  c.image_size = grid * c.patch_size;
  c.mlp_ratio = static_cast<double>(hidden[0]) / static_cast<double>(c.dim);
  // Whole blocks are counted: the model that is made of these sizes is no larger than the file.
  const auto block = [&](const char* name) { return shape(str("blocks.{}.{}", c.depth, name)); };
  while (block("attn.qkv.weight") == Shape{3 * c.dim, c.dim} && block("mlp.fc1.weight") == hidden) ++c.depth;
  return c.depth > 0 ? std::optional(c) : std::nullopt;
}

}  // namespace detail

/// What dino.model of a file says; without it, what the shapes of the tensors under the prefix say
/// (heads of 64, pixels as for ImageNet). Throws Error{weights} when neither describes a vision transformer.
inline BackboneInfo backbone_info(const StateDict& file, const std::string& where, const std::string& prefix = "") {
  const auto text = detail::model_description(file);
  BackboneInfo info;
  if (const auto vit = text ? std::nullopt : detail::vit_of_shapes(file, prefix)) {
    info.vit = *vit;
    return info;
  }
  require(text.has_value(), ErrorKind::weights,
          "{} has no description of its model (dino.model in the metadata), which holds the number of heads, and its "
          "tensors are not those of a vision transformer with heads of 64 under the names of torch hub. Use a file "
          "written by dino_pretrain, or weights of such a model",
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
  info.vit = {.image_size = whole("image_size", 1, 16384),
              .patch_size = whole("patch_size", 1, 1024),
              .dim = whole("dim", 1, 65536),
              .depth = whole("depth", 1, 1000),
              .heads = whole("heads", 1, 1024),
              .mlp_ratio = record->number("mlp_ratio")};
  require(info.vit.mlp_ratio > 0 && info.vit.mlp_ratio <= 64, ErrorKind::weights, "{}: mlp_ratio in dino.model is {}",
          where, record->text("mlp_ratio"));
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
