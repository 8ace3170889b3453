// A backbone with a linear head: a network that is trained, or used, to tell classes apart.
#pragma once

#include <dino/eval/backbone.hpp>
#include <dino/eval/linear_head.hpp>
#include <dino/nn/linear.hpp>
#include <dino/ssl/initial_weights.hpp>

namespace dino::inline DINO_ABI {

/// Images (B,3,H,W) to logits (B,classes): what `input` says of the tokens after the final norm, then a linear layer.
/// Only a head on the last class token can be trained together with its backbone: of others the logits of a Var throw
/// Error{usage}. Parameters are "backbone.*", "head.weight" and "head.bias".
template <class T, class D> struct Classifier {
  nn::VisionTransformer<T, D> backbone;
  ProbeInput input;
  nn::Linear<T, D> head;

  Classifier(const Scope<T, D>& s, const VitConfig& vit, i64 classes, const ProbeInput& sees = {})
      : backbone(s / "backbone", vit), input(sees), head(s / "head", sees.dim(vit.dim), classes) {}

  template <class X> X operator()(const X& images) const {
    if constexpr (std::is_same_v<X, Tensor<T, D>>) {
      if (!input.class_token_only()) return head(probe_features(backbone, images, input));
    }
    require(input.class_token_only(), ErrorKind::usage, "classifier: a head on {} is not trained with its backbone",
            input.text());
    return head(backbone(images));
  }
};

/// Weights of a backbone and, where the file has one, of its linear head.
struct ClassifierWeights {
  BackboneInfo info;
  StateDict backbone;                // names of torch hub
  StateDict head;                    // "weight" (classes,input.dim(C)) and "bias" (classes); empty: none
  ProbeInput input;                  // what the head sees
  std::vector<std::string> classes;  // by label; empty where the file does not say
  std::string where;

  i64 outputs() const { return head.tensors.empty() ? 0 : head.at("weight").shape[0]; }
  void set_head(LinearHead from) {
    head = std::move(from.tensors);
    input = from.input;
    classes = std::move(from.classes);
  }
};

namespace detail {

/// Takes "head.weight" and "head.bias" (timm, torch hub and export_classifier), or those of another front, out of a
/// file.
inline StateDict take_linear_head(StateDict& file, const std::string& front) {
  StateDict head;
  for (const char* name : {"weight", "bias"}) {
    if (auto node = file.tensors.extract(front + name); !node.empty()) head.add(name, std::move(node.mapped()));
  }
  return head;
}

inline bool is_linear_head(const StateDict& head, i64 dim) {
  const auto *weight = head.find("weight"), *bias = head.find("bias");
  return weight && bias && head.tensors.size() == 2 && weight->shape.rank() == 2 && weight->shape[1] == dim &&
         bias->shape == Shape{weight->shape[0]};
}

}  // namespace detail

/// The file of a path: itself, or, for the folder of a run, its best classifier, the last one, or the backbone that
/// pre-training exported.
inline std::filesystem::path classifier_file(const std::filesystem::path& path) {
  for (const char* name : {"best_classifier.safetensors", "classifier.safetensors"}) {
    if (std::filesystem::exists(path / "export" / name)) return path / "export" / name;
  }
  return weights_file(path);
}

/// Reads the weights of a backbone, and of a linear head if there is one: any file that load_backbone reads, with a
/// head on the class token, or one of write_classifier. Throws Error{weights}.
inline ClassifierWeights read_classifier(const std::filesystem::path& path, const std::string& key = "teacher") {
  ClassifierWeights out;
  const auto file = classifier_file(path);
  out.where = file.string();
  auto state = read_weights(file);
  auto head = detail::take_linear_head(state, "head.");
  std::optional<StateDict> linear;  // a head that sees more
  if (state.metadata.contains("dino.blocks")) {
    linear.emplace();
    linear->metadata = state.metadata;
    for (const char* name : {"linear.weight", "linear.bias"}) {
      if (auto node = state.tensors.extract(name); !node.empty()) linear->tensors.insert(std::move(node));
    }
  }
  auto weights = hub_weights(std::move(state), key, out.where);
  if (head.tensors.empty()) head = std::move(weights.head);
  out.backbone = std::move(weights.backbone);
  out.info = backbone_info(out.backbone, out.where);
  if (linear) {
    out.set_head(linear_head(*linear, out.info.vit, {}, out.where));
    return out;
  }
  if (detail::is_linear_head(head, out.info.vit.dim)) out.head = std::move(head);
  out.classes = detail::class_names(out.backbone.metadata, out.outputs(), out.where);
  return out;
}

/// Makes the positions those of images of this side. Throws Error{weights} when they are others and may not be
/// resampled.
inline void fit_image_size(ClassifierWeights& weights, i64 image_size, bool interpolate) {
  auto& vit = weights.info.vit;
  if (image_size == vit.image_size) return;
  require(image_size % vit.patch_size == 0, ErrorKind::usage, "image_size = {} must be a multiple of the patch, {}",
          image_size, vit.patch_size);
  require(interpolate, ErrorKind::weights,
          "{}: the weights are for images of {} x {}, image_size is {}. Leave image_size out, or let the positions be "
          "resampled: --interpolate-pos-embed",
          weights.where, vit.image_size, vit.image_size, image_size);
  auto& table = weights.backbone.tensors.at("pos_embed");
  table = resize_positions(table, image_size / vit.patch_size, vit.positions, weights.where);
  vit.image_size = image_size;
}

/// Puts the weights into a store of a Classifier. with_head: the head too, which must then be there and fit. Throws
/// Error{weights} before anything is changed.
template <class T, class D>
void load_classifier(ParamStore<T, D>& store, const ClassifierWeights& weights, bool with_head) {
  StateDict all;
  for (const auto& [name, tensor] : weights.backbone.tensors) {
    if (name != "mask_token" || weights.info.vit.mask_token) all.add("backbone." + name, tensor);
  }
  for (const auto& view : parameter_views(store, "head.", "head.")) {
    const auto* tensor = with_head ? weights.head.find(view.name.substr(5)) : nullptr;
    require(!with_head || tensor, ErrorKind::weights, "{}: there is no {}. The file has no classifier", weights.where,
            view.name);
    all.add(view.name, tensor ? *tensor : TensorData{view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }
  load_parameters(store, all, "", weights.where);
}

/// Writes a classifier, its backbone under the names of torch hub and timm. A head on the last class token alone is
/// "head.*" as well, so that timm's vit_* models load the file as it is; any other is "linear.*", and the metadata say
/// what it sees (dino.blocks, dino.pooling, dino.layout).
inline void write_classifier(const std::filesystem::path& path, std::vector<TensorView> backbone,
                             const LinearHead& head, const BackboneInfo& info) {
  const bool as_timm = head.input.class_token_only();
  const auto stored = detail::stored_head(head, as_timm ? "head." : "linear.");
  for (auto& view : stored.views()) backbone.push_back(std::move(view));
  auto metadata = as_timm ? Metadata() : stored.metadata;
  metadata["dino.kind"] = "classifier";
  metadata["dino.model"] = model_text(info);
  metadata["dino.classes"] = detail::class_names_text(head.classes);
  write_safetensors(path, backbone, metadata);
}

/// The same, of a store of a Classifier.
template <class T, class D> void export_classifier(const std::filesystem::path& path, const ParamStore<T, D>& store,
                                                   const BackboneInfo& info, const std::vector<std::string>& classes,
                                                   const ProbeInput& input = {}) {
  LinearHead head{input, {}, classes};
  for (const auto& view : parameter_views(store, "head.")) {
    head.tensors.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }
  write_classifier(path, parameter_views(store, "backbone."), head, info);
}

}  // namespace dino::inline DINO_ABI
