// What a network looks at in a picture: the attention of any blocks, its rollout, and the patch tokens, in one pass.
#pragma once

#include <dino/eval/attention_map.hpp>
#include <dino/eval/tokens.hpp>

namespace dino::inline DINO_ABI {

struct AttentionRequest {
  std::vector<i64> layers;  // blocks from 0, in any order
  bool rollout = false;
  bool patches = false;  // the patch tokens too
};

/// What one pass gives, on the host. H heads, T tokens, P = height * width patches, C the width of the network.
struct ImageAttention {
  std::vector<i64> layers;
  i64 heads = 0, tokens = 0, height = 0, width = 0, dim = 0;
  std::vector<float> attention;  // (layers,H,T): the row of the class token
  std::vector<float> rollout;    // (T): through all blocks; empty unless asked for
  std::vector<float> patches;    // (P,C) after the final norm; empty unless asked for

  i64 size() const { return static_cast<i64>(layers.size()); }
  /// The maps of layers[i].
  AttentionMaps maps(i64 i) const {
    const auto size = static_cast<size_t>(heads * tokens);
    return class_attention_maps(std::span(attention).subspan(static_cast<size_t>(i) * size, size), heads, tokens,
                                height, width);
  }
  AttentionMaps rollout_map() const { return class_attention_maps(rollout, 1, tokens, height, width); }
};

/// The blocks of a network that a user names; throws Error{usage} for one that it does not have.
inline void check_layers(const std::vector<i64>& layers, i64 depth) {
  for (const i64 i : layers)
    require(i >= 0 && i < depth, ErrorKind::usage, "layers: there is no block {}: the backbone has {}, 0 to {}", i,
            depth, depth - 1);
}

namespace detail {

inline constexpr i64 rollout_values = i64{1} << 25;  // probabilities at a time: 128 MB

/// inputs: the tokens (T,C) that enter each block of one picture.
template <class T, class D> std::vector<float> class_rollout(const nn::VisionTransformer<T, D>& vit,
                                                             const std::vector<Tensor<T, D>>& inputs,
                                                             const Segments& segments) {
  const i64 tokens = segments[0].tokens, heads = vit.config.heads;
  const i64 step = std::clamp<i64>(rollout_values / (heads * tokens), 1, tokens);
  ClassRollout rollout(tokens);
  for (i64 block = static_cast<i64>(inputs.size()); block-- > 0; rollout.next_block())
    for (i64 first = 0; first < tokens; first += step) {
      const i64 count = std::min(step, tokens - first);
      const auto& x = inputs[static_cast<size_t>(block)];
      rollout.rows(to_floats(vit.block_attention(block, x, segments, first, count)), heads, first, count);
    }
  return rollout.values();
}

}  // namespace detail

/// image: (1,3,H,W), prepared; H and W are multiples of the patch. With the rollout the tokens that enter the blocks
/// are kept, (L,T,C), and all probabilities are computed, 128 MB of them at a time. Throws Error{usage} for a block
/// that is not there, Error{numerical} when a number that comes out is not finite. Source: vision_transformer.py,
/// get_last_selfattention; Abnar and Zuidema 2020.
template <class T, class D> ImageAttention image_attention(const nn::VisionTransformer<T, D>& vit,
                                                           const Tensor<T, D>& image, const AttentionRequest& request) {
  check_layers(request.layers, vit.config.depth);
  const std::vector groups{image};
  const auto segments = vit.layout(groups);
  const auto& s = segments[0];
  require(s.images == 1, "image_attention: {} is not one picture", image);
  ImageAttention out{request.layers, vit.config.heads, s.tokens, s.grid_h, s.grid_w, vit.dim(), {}, {}, {}};
  const i64 row = out.heads * out.tokens;
  out.attention.resize(static_cast<size_t>(out.size() * row));
  std::vector<Tensor<T, D>> inputs;
  vit.walk(groups, segments, [&](i64 block, const Tensor<T, D>& x) {
    if (block == vit.config.depth) {
      if (request.patches) out.patches = detail::to_floats(vit.norm(patch_rows(x, segments)));
      return;
    }
    if (request.rollout) inputs.push_back(x);
    for (i64 i = 0; i < out.size(); ++i) {
      if (request.layers[static_cast<size_t>(i)] != block) continue;
      const auto values = detail::to_floats(vit.block_attention(block, x, segments));
      std::copy(values.begin(), values.end(), out.attention.begin() + i * row);
    }
  });
  if (request.rollout) out.rollout = detail::class_rollout(vit, inputs, segments);
  for (const auto* values : {&out.attention, &out.rollout, &out.patches})
    require(std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }), ErrorKind::numerical,
            "the network gives numbers that are not finite");
  return out;
}

}  // namespace dino::inline DINO_ABI
