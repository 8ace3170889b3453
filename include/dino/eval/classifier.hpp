// A backbone with a linear head: a network that is trained, or used, to tell classes apart.
#pragma once

#include <dino/eval/backbone.hpp>
#include <dino/nn/linear.hpp>
#include <dino/ssl/initial_weights.hpp>

namespace dino::inline DINO_ABI {

/// Images (B,3,H,W) to logits (B,classes): the class token after the final norm, then a linear layer. Parameters are
/// "backbone.*", "head.weight" and "head.bias".
template <class T, class D> struct Classifier {
  nn::VisionTransformer<T, D> backbone;
  nn::Linear<T, D> head;

  Classifier(const Scope<T, D>& s, const VitConfig& vit, i64 classes)
      : backbone(s / "backbone", vit), head(s / "head", vit.dim, classes) {}

  template <class X> X operator()(const X& images) const { return head(backbone(images)); }
};

/// Weights of a backbone and, where the file has one, of its linear head.
struct ClassifierWeights {
  BackboneInfo info;
  StateDict backbone;                // names of torch hub
  StateDict head;                    // "weight" (classes,C) and "bias" (classes); empty: none
  std::vector<std::string> classes;  // by label; empty where the file does not say
  std::string where;

  i64 outputs() const { return head.tensors.empty() ? 0 : head.at("weight").shape[0]; }
};

namespace detail {

/// ["cat","dog"].
inline std::string class_names_text(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const auto& name : names) out += (out.size() > 1 ? "," : "") + json_quote(name);
  return out + ']';
}

inline std::vector<std::string> parse_class_names(const std::string& text, const std::string& where) {
  require(valid_utf8(text), ErrorKind::weights, "{}: dino.classes is not UTF-8", where);
  std::vector<std::string> names;
  JsonCursor json(text, where + ": dino.classes");
  json.array("a list", [&] { names.push_back(json.string("the name of a class")); });
  json.expect_end();
  return names;
}

/// Takes "head.weight" and "head.bias" (timm, torch hub and export_classifier) out of a file.
inline StateDict take_linear_head(StateDict& file) {
  StateDict head;
  for (const char* name : {"weight", "bias"}) {
    if (auto node = file.tensors.extract(std::string("head.") + name); !node.empty()) {
      head.add(name, std::move(node.mapped()));
    }
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

/// Reads the weights of a backbone, and of a linear head over its class token if there is one: any file that
/// load_backbone reads, or one of export_classifier. Throws Error{weights}.
inline ClassifierWeights read_classifier(const std::filesystem::path& path, const std::string& key = "teacher") {
  ClassifierWeights out;
  const auto file = classifier_file(path);
  out.where = file.string();
  auto state = read_weights(file);
  auto head = detail::take_linear_head(state);
  auto weights = hub_weights(std::move(state), key, out.where);
  if (head.tensors.empty()) head = std::move(weights.head);
  out.backbone = std::move(weights.backbone);
  out.info = backbone_info(out.backbone, out.where);
  if (detail::is_linear_head(head, out.info.vit.dim)) out.head = std::move(head);
  const auto names = out.backbone.metadata.find("dino.classes");
  if (names != out.backbone.metadata.end()) out.classes = detail::parse_class_names(names->second, out.where);
  require(out.classes.empty() || static_cast<i64>(out.classes.size()) == out.outputs(), ErrorKind::weights,
          "{}: {} names of classes for a head of {} outputs", out.where, out.classes.size(), out.outputs());
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

/// Writes backbone and head under the names of torch hub and timm, whose vit_* models load the file as it is.
template <class T, class D> void export_classifier(const std::filesystem::path& path, const ParamStore<T, D>& store,
                                                   const BackboneInfo& info, const std::vector<std::string>& classes) {
  auto tensors = parameter_views(store, "backbone.");
  for (auto& view : parameter_views(store, "head.", "head.")) tensors.push_back(std::move(view));
  write_safetensors(path, tensors,
                    {{"dino.kind", "classifier"},
                     {"dino.model", model_text(info)},
                     {"dino.classes", detail::class_names_text(classes)}});
}

}  // namespace dino::inline DINO_ABI
