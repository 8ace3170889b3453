// Vision transformer over groups of crops of any size, as one packed pass.
#pragma once

#include <dino/nn/block.hpp>
#include <dino/ops/gather.hpp>
#include <dino/ops/patchify.hpp>
#include <dino/ops/tokens.hpp>

#include <cmath>
#include <string>

namespace dino::inline DINO_ABI {

/// Sizes of a vision transformer. The stored position grid is image_size / patch_size, square.
struct VitConfig {
  i64 image_size = 224, patch_size = 16;
  i64 dim = 384, depth = 12, heads = 6;
  double mlp_ratio = 4;
  double drop_path = 0;    // rate of the last block; block i has rate * i / (depth - 1), so block 0 never drops
  double init_std = 0.02;  // of every linear weight in the blocks

  // What DINOv2 adds. As they stand here, they are DINO's.
  i64 registers = 0;            // tokens between the class token and the patches; they have no position
  double layer_scale = 0;       // first value of the scales that end both branches of a block; 0: there are none
  MlpKind mlp = MlpKind::gelu;  // swiglu: gated, and narrower by a third, so that it has as many parameters
  double token_std = 0.02;      // first values of the class token and the registers
  bool mask_token = false;      // a parameter that comes with the weights of DINOv2; nothing here reads it
  PositionRule positions = {};  // to grids other than the stored one

  i64 grid() const { return image_size / patch_size; }
  /// The width between the linear layers of the perceptron; for swiglu a multiple of 8 (swiglu_ffn.py of DINOv2).
  i64 hidden() const {
    const double wide = static_cast<double>(dim) * mlp_ratio;
    if (mlp == MlpKind::swiglu) return (static_cast<i64>(std::floor(wide) * 2 / 3) + 7) / 8 * 8;
    return static_cast<i64>(std::lround(wide));
  }
};

inline VitConfig vit_tiny(i64 patch) { return {.patch_size = patch, .dim = 192, .heads = 3}; }
inline VitConfig vit_small(i64 patch) { return {.patch_size = patch, .dim = 384, .heads = 6}; }
inline VitConfig vit_base(i64 patch) { return {.patch_size = patch, .dim = 768, .heads = 12}; }
inline VitConfig vit_large(i64 patch) { return {.patch_size = patch, .dim = 1024, .depth = 24, .heads = 16}; }
inline VitConfig vit_giant(i64 patch) {
  return {.patch_size = patch, .dim = 1536, .depth = 40, .heads = 24, .mlp = MlpKind::swiglu};
}

namespace nn {

/// The ViT of the reference (Dosovitskiy et al. 2021; vision_transformer.py): pre-norm blocks, class token, learned
/// positions, resampled for every grid that differs from the stored one. With the fields of VitConfig that say so, that
/// of DINOv2 (Oquab et al. 2024): registers, layer scale, gated perceptrons. Parameter names are those of torch hub,
/// and for DINO of timm too.
template <class T, class D> struct VisionTransformer {
  VitConfig config;
  Parameter<T, D> cls_token, pos_embed;
  OptionalParameter<T, D> register_tokens, mask_token;
  Parameter<T, D> patch_weight, patch_bias;
  std::vector<Block<T, D>> blocks;
  LayerNorm<T, D> norm;

  VisionTransformer(const Scope<T, D>& s, const VitConfig& c)
      : config(check(c)),
        cls_token(s.param("cls_token", {1, 1, c.dim}, normal_init(c.token_std))),
        pos_embed(s.param("pos_embed", {1, 1 + c.grid() * c.grid(), c.dim}, normal_init(0.02))),
        register_tokens(
            optional(c.registers > 0, s, "register_tokens", {1, c.registers, c.dim}, normal_init(c.token_std))),
        mask_token(optional(c.mask_token, s, "mask_token", {1, c.dim}, zeros_init)),
        patch_weight(s.param("patch_embed.proj.weight", {c.dim, 3, c.patch_size, c.patch_size}, patch_init(c))),
        patch_bias(s.param("patch_embed.proj.bias", {c.dim}, patch_init(c))),
        blocks(make_blocks(s / "blocks", c)),
        norm(s / "norm", c.dim) {}

  i64 dim() const { return config.dim; }

  /// How the tokens of these groups (B_g,3,H_g,W_g) lie in the packed matrix.
  template <class X> Segments layout(const std::vector<X>& groups) const {
    Segments segments;
    for (const auto& x : groups) {
      require(x.shape().rank() == 4 && x.shape()[1] == 3, "vit: images are {}, expected (B,3,H,W)", x);
      const i64 h = x.shape()[2] / config.patch_size, w = x.shape()[3] / config.patch_size;
      segments.add(x.shape()[0], 1 + config.registers + h * w, h, w);
    }
    return segments;
  }

  /// The tokens after all blocks, before the final norm.  groups: (B_g,3,H_g,W_g).  Returns (R,C), rows as layout()
  /// says.
  template <class X> X trunk(const std::vector<X>& groups, const Segments& segments) const {
    return walk(groups, segments, [](i64, const X&) {});
  }

  /// The same, and on the way see(i, x) with the tokens x (R,C) that enter block i, and at last i = depth.
  template <class X, class F> X walk(const std::vector<X>& groups, const Segments& segments, F&& see) const {
    X x = embed(groups, segments);
    for (i64 i = 0; i < config.depth; ++i) {
      see(i, x);
      x = blocks[static_cast<size_t>(i)](x, segments);  // (R,C)
    }
    see(config.depth, x);
    return x;
  }

  /// One feature row per image, group after group: the class token after the final norm, (sum B_g, C).
  template <class X> X operator()(const std::vector<X>& groups) const {
    const auto segments = layout(groups);
    return norm(class_rows(trunk(groups, segments), segments));
  }
  template <class X> X operator()(const X& images) const { return (*this)(std::vector<X>{images}); }

  /// The patches after the final norm, row by row of each image's grid, (sum B_g h_g w_g, C): for dense tasks.
  template <class X> X patch_tokens(const std::vector<X>& groups) const {
    const auto segments = layout(groups);
    return norm(patch_rows(trunk(groups, segments), segments));
  }

  /// All tokens after the final norm, (R,C): of each image the class token, the registers, the patches.
  template <class X> X all_tokens(const std::vector<X>& groups) const { return norm(trunk(groups, layout(groups))); }

  /// What the class token of each image looks at in the last block: (B,H,N).  images: (B,3,H,W). The N tokens stand as
  /// in all_tokens: those of the patches begin at 1 + registers.
  Tensor<acc_t<T>, D> last_attention(const Tensor<T, D>& images) const {
    const std::vector<Tensor<T, D>> groups{images};
    const auto segments = layout(groups);
    auto x = embed(groups, segments);
    for (size_t i = 0; i + 1 < blocks.size(); ++i) x = blocks[i](x, segments);
    return last_attention(x, segments);
  }
  /// The same from the tokens x (R,C) that enter the last block; segments: one group.
  Tensor<acc_t<T>, D> last_attention(const Tensor<T, D>& x, const Segments& segments) const {
    const auto& last = blocks.back();
    return class_attention(last.attn.qkv(last.norm1(x)), config.heads, segments);
  }

  /// What tokens [first, first + count) of each image look at in block i: (B,H,count,N), tokens as in last_attention.
  /// x: the tokens (R,C) that enter the block, as walk shows them; segments: one group.
  Tensor<acc_t<T>, D> block_attention(i64 i, const Tensor<T, D>& x, const Segments& segments, i64 first = 0,
                                      i64 count = 1) const {
    require(i >= 0 && i < config.depth, ErrorKind::usage, "block {} of a backbone with blocks 0..{}", i,
            config.depth - 1);
    const auto& block = blocks[static_cast<size_t>(i)];
    return attention_rows(block.attn.qkv(block.norm1(x)), config.heads, segments, first, count);
  }

 private:
  static const VitConfig& check(const VitConfig& c) {
    require(c.patch_size >= 1 && c.image_size >= c.patch_size && c.image_size % c.patch_size == 0, ErrorKind::usage,
            "vit: image_size {} must be a multiple of patch_size {}", c.image_size, c.patch_size);
    require(c.heads >= 1 && c.dim >= 1 && c.dim % c.heads == 0, ErrorKind::usage,
            "vit: embed_dim {} must be a multiple of num_heads {}", c.dim, c.heads);
    require(c.depth >= 1 && c.mlp_ratio > 0, ErrorKind::usage, "vit: depth {} and mlp_ratio {} must be positive",
            c.depth, c.mlp_ratio);
    require(c.registers >= 0 && c.layer_scale >= 0 && c.positions.offset >= 0, ErrorKind::usage,
            "vit: registers {}, layer_scale {} and the offset of positions {} must not be negative", c.registers,
            c.layer_scale, c.positions.offset);
    return c;
  }
  static OptionalParameter<T, D> optional(bool has, const Scope<T, D>& s, const char* name, const Shape& shape,
                                          const Init& init) {
    if (!has) return {};
    return s.param(name, shape, init);
  }
  static Init patch_init(const VitConfig& c) {
    return uniform_init(1 / std::sqrt(3.0 * static_cast<double>(c.patch_size * c.patch_size)));
  }
  static std::vector<Block<T, D>> make_blocks(const Scope<T, D>& s, const VitConfig& c) {
    std::vector<Block<T, D>> list;
    list.reserve(static_cast<size_t>(c.depth));
    for (i64 i = 0; i < c.depth; ++i) {
      const double rate = c.depth == 1 ? 0 : c.drop_path * static_cast<double>(i) / static_cast<double>(c.depth - 1);
      list.push_back(Block<T, D>(s / i, {.dim = c.dim,
                                         .heads = c.heads,
                                         .hidden = c.hidden(),
                                         .mlp = c.mlp,
                                         .layer_scale = c.layer_scale,
                                         .drop_rate = rate,
                                         .init_std = c.init_std}));
    }
    return list;
  }
  template <class X> X embed(const std::vector<X>& groups, const Segments& segments) const {
    const auto patches = patchify(groups, config.patch_size);                                     // (P,3pp)
    const auto embedding = linear(patches, patch_matrix(), patch_bias);                           // (P,C)
    return tokens(embedding, cls_token, pos_embed, register_tokens, segments, config.positions);  // (R,C)
  }

  /// The convolution weight (C,3,p,p) seen as the matrix (C,3pp) of a linear layer.
  struct MatrixView {
    const Parameter<T, D>& weight;
    Tensor<T, D> value() const {
      const auto w = weight.value();
      return w.reshape({w.shape()[0], w.numel() / w.shape()[0]});
    }
    Sink<D> sink() const { return weight.sink(); }
  };
  MatrixView patch_matrix() const { return {patch_weight}; }
};

}  // namespace nn
}  // namespace dino::inline DINO_ABI
