// Smaller learning rates for the layers of a trained transformer the closer they stand to its input.
#pragma once

#include <dino/nn/param.hpp>

#include <charconv>
#include <cmath>

namespace dino::inline DINO_ABI {

/// The layer of a parameter in a vision transformer of `depth` blocks, with or without "backbone." in front of its
/// name: 0 for the tokens, the positions and the patch embedding, i + 1 for block i, depth for the final norm, which
/// belongs to the last block, depth + 1 for the head. Throws (internal) for a block that is not there.
/// Source: timm, param_groups_layer_decay. BEiT, optim_factory.py, counts the final norm with the head.
inline i64 transformer_layer(std::string_view name, i64 depth) {
  constexpr std::string_view front = "backbone.", blocks = "blocks.";
  if (name.starts_with(front)) name.remove_prefix(front.size());
  for (const std::string_view first : {"cls_token", "pos_embed", "register_tokens", "mask_token", "patch_embed."}) {
    if (name.starts_with(first)) return 0;
  }
  if (name.starts_with("norm.")) return depth;
  if (!name.starts_with(blocks)) return depth + 1;
  i64 block = -1;
  std::from_chars(name.data() + blocks.size(), name.data() + name.size(), block);
  require(block >= 0 && block < depth, "layer_decay: {} in a model of {} blocks", name, depth);
  return block + 1;
}

/// Sets the rate factor of every parameter to decay^(depth + 1 - layer). decay in (0, 1]; 1: all the same.
template <class T, class D> void set_layer_decay(ParamStore<T, D>& params, double decay, i64 depth) {
  require(decay > 0 && decay <= 1, ErrorKind::usage, "layer_decay = {} must be in (0, 1]", decay);
  for (auto& segment : params.segments()) {
    segment.rate = std::pow(decay, static_cast<double>(depth + 1 - transformer_layer(segment.name, depth)));
  }
}

}  // namespace dino::inline DINO_ABI
