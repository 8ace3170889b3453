// Backbone and projection head as one model over all crops.
#pragma once

#include <dino/nn/dino_head.hpp>
#include <dino/nn/vit.hpp>

namespace dino::inline DINO_ABI {

/// Groups of equally large crops (B_g,3,H_g,W_g) to logits, one row per crop, group after group: the backbone runs over
/// all groups as one packed matrix, the head once over all rows. Parameters are "backbone.*" and "head.*". Source:
/// utils.py, MultiCropWrapper.
template <class T, class D> struct MultiCropModel {
  nn::VisionTransformer<T, D> backbone;
  nn::DinoHead<T, D> head;

  MultiCropModel(const Scope<T, D>& s, const VitConfig& vit, const DinoHeadConfig& head_config)
      : backbone(s / "backbone", vit), head(s / "head", vit.dim, head_config) {}

  template <class X> auto operator()(const std::vector<X>& groups) const { return head(backbone(groups)); }
};

}  // namespace dino::inline DINO_ABI
