// Parameters to and from named tensors, and backbones as files that other libraries load.
#pragma once

#include <dino/io/backbone_info.hpp>
#include <dino/io/pth.hpp>
#include <dino/io/safetensors.hpp>
#include <dino/nn/param.hpp>

namespace dino::inline DINO_ABI {

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

/// Why weights do not fit, as far as the names tell: in the order in which one thing brings about the others.
inline std::string likely_cause(const std::vector<std::string>& shapes, const std::vector<std::string>& missing,
                                const std::vector<std::string>& unexpected) {
  const auto names = [](const std::vector<std::string>& list, std::string_view part) {
    return std::any_of(list.begin(), list.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
  };
  if (names(shapes, "cls_token")) return "The width differs: use weights of the same backbone";
  if (names(shapes, "patch_embed.proj.weight")) return "The patch size differs: use weights of the same patch size";
  if (names(shapes, "mlp.")) return "The perceptrons differ: set mlp_ratio as the weights have it";
  if (names(missing, "blocks.") || names(unexpected, "blocks.")) {
    return "The depth or the kind of block differs: use weights of the same backbone";
  }
  if (names(shapes, "pos_embed")) {
    return "The positions belong to another image size: set image_size as the weights have it, or let them be "
           "interpolated (--interpolate-pos-embed)";
  }
  return "Use weights of the same backbone and patch size";
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
  fail(ErrorKind::weights, "{}. {}", text, likely_cause(shapes, missing, unexpected));
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

namespace detail {

inline void write_backbone(const std::filesystem::path& path, const std::vector<TensorView>& tensors,
                           const BackboneInfo& info) {
  write_safetensors(path, tensors, {{"dino.kind", "weights"}, {"dino.model", model_text(info)}});
}

}  // namespace detail

/// Writes the backbone part of a model ("backbone.*") under the names of torch hub and timm.
template <class T, class D> void export_backbone(const std::filesystem::path& path, const ParamStore<T, D>& store,
                                                 const BackboneInfo& info, const std::string& prefix = "backbone.") {
  detail::write_backbone(path, parameter_views(store, prefix), info);
}

/// Reads named tensors: files called .pth, .pt, .bin, .ckpt or .pth.tar as PyTorch files, all others as safetensors.
/// Throws Error{weights}.
inline StateDict read_weights(const std::filesystem::path& path) {
  const auto ending = path.extension();
  const bool torch = ending == ".pth" || ending == ".pt" || ending == ".bin" || ending == ".ckpt" || ending == ".tar";
  return torch ? read_pth(path) : read_safetensors(path);
}

}  // namespace dino::inline DINO_ABI
