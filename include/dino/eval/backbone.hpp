// A trained backbone, loaded from a file: pictures in, feature vectors out.
#pragma once

#include <dino/data/eval_transform.hpp>
#include <dino/io/weight_names.hpp>
#include <dino/io/weights.hpp>

#include <memory>

namespace dino::inline DINO_ABI {

/// A backbone with its parameters and the preprocessing it was trained with.
///     auto net = dino::load_backbone<float>(ctx, "teacher_backbone.safetensors");
///     auto f = net(dino::load_image("cat.jpg"));                                                             // (1,C)
template <class T, class D> class Backbone {
 public:
  /// With first values drawn from the seed, for example as a baseline.
  Backbone(Context<D>& ctx, const BackboneInfo& info, u64 seed)
      : info_(info), params_(std::make_unique<ParamStore<T, D>>(ctx)), vit_(Scope{*params_}, info.vit) {
    params_->finalize(seed);
  }

  /// With zeros, for values that a file will give.
  Backbone(Context<D>& ctx, const BackboneInfo& info)
      : info_(info), params_(std::make_unique<ParamStore<T, D>>(ctx)), vit_(Scope{*params_}, info.vit) {
    params_->finalize();
  }

  const BackboneInfo& info() const { return info_; }
  /// What its file holds beside it (unused_text); empty where there is nothing, or no file.
  const std::string& unused() const { return unused_; }
  void set_unused(std::string text) { unused_ = std::move(text); }
  i64 dim() const { return vit_.dim(); }
  ParamStore<T, D>& params() { return *params_; }
  const nn::VisionTransformer<T, D>& vit() const { return vit_; }
  /// How positions reach images of another size than the stored one: dino_positions, timm_positions, ...
  void set_positions(const PositionRule& rule) { info_.vit.positions = vit_.config.positions = rule; }
  EvalTransform transform() const {
    return EvalTransform{.size = info_.vit.image_size, .mean = info_.mean, .deviation = info_.deviation};
  }

  /// The class token after the final norm, (B,C), of pictures prepared by transform(): (B,3,H,W).
  Tensor<T, D> operator()(const Tensor<T, D>& pixels) const { return vit_(pixels); }
  /// The feature of one picture, (1,C): resized, cropped and normalised as for evaluation.
  Tensor<T, D> operator()(const Image& image) const {
    const i64 size = info_.vit.image_size;
    std::vector<float> pixels(static_cast<size_t>(3 * size * size));
    transform().write(image, pixels.data());
    std::vector<T> values;
    for (const float x : pixels) values.push_back(from_acc<T>(static_cast<acc_t<T>>(x)));
    return vit_(tensor(params_->ctx(), {1, 3, size, size}, values));
  }

 private:
  BackboneInfo info_;
  std::unique_ptr<ParamStore<T, D>> params_;  // behind a pointer: the modules hold its address
  nn::VisionTransformer<T, D> vit_;
  std::string unused_;
};

/// The file of a path: itself, or, for the folder of a run, the backbone that it exported last.
inline std::filesystem::path weights_file(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) {
    require(std::filesystem::exists(path), ErrorKind::weights, "{}: no such file or folder", path.string());
    return path;
  }
  const auto file = path / "export" / "teacher_backbone.safetensors";
  require(std::filesystem::exists(file), ErrorKind::weights,
          "{} is a folder without export/teacher_backbone.safetensors: not a finished run. Give a run folder or a file",
          path.string());
  return file;
}

/// Reads a backbone. path: a file of export_backbone, a checkpoint of a training run, a safetensors or PyTorch file
/// (.pth, .pt, .bin) under the names of torch hub, timm or Hugging Face (hub_weights), or the folder of a run.
/// key: "teacher" or "student", for checkpoints, which hold both. Throws Error{weights}.
template <class T, class D>
Backbone<T, D> load_backbone(Context<D>& ctx, const std::filesystem::path& path, const std::string& key = "teacher") {
  const auto file = weights_file(path);
  const auto weights = hub_weights(read_weights(file), key, file.string());
  Backbone<T, D> net(ctx, backbone_info(weights.backbone, file.string()));
  net.set_unused(unused_text(weights));
  load_parameters(net.params(), weights.backbone, "", file.string());
  return net;
}

}  // namespace dino::inline DINO_ABI
