// The backbones of DINOv2 as settings of a vision transformer.
#pragma once

#include <dino/nn/vit.hpp>

namespace dino::inline DINO_ABI {

/// The published backbones of DINOv2: dinov2(vit_small(14)), _base, _large, _giant, each with 0 or 4 registers.
/// image_size is 518: a stored grid of 37 x 37. Source: hub/backbones.py, vision_transformer.py of DINOv2.
inline VitConfig dinov2(VitConfig c, i64 registers = 0) {
  c.image_size = 37 * c.patch_size;
  c.registers = registers;
  c.layer_scale = 1;
  c.token_std = 1e-6;
  c.mask_token = true;
  if (registers > 0) c.positions = {.offset = 0, .antialias = true};
  return c;
}

}  // namespace dino::inline DINO_ABI
