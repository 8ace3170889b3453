// Parameters to and from named tensors, and backbones as files that other libraries load.
#pragma once

#include <dino/io/parse_record.hpp>
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

/// "a, b, c and 7 more".
inline std::string name_list(const std::vector<std::string>& names) {
  constexpr size_t shown = 10;
  std::string text;
  for (size_t i = 0; i < names.size() && i < shown; ++i) text += (i ? ", " : "") + names[i];
  return names.size() > shown ? text + str(" and {} more", names.size() - shown) : text;
}

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

/// What dino.model of a file says. Throws Error{weights} when the file has none: the number of heads is not in the
/// tensors.
inline BackboneInfo backbone_info(const StateDict& file, const std::string& where) {
  const auto text = detail::model_description(file);
  require(
      text.has_value(), ErrorKind::weights,
      "{} has no description of its model (dino.model in the metadata), which holds the number of heads. Use a file "
      "written by dino_pretrain",
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
  BackboneInfo info;
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
