// What linear probes see of an image: class tokens of the last blocks, and the mean of the patch tokens.
#pragma once

#include <dino/eval/feature_rows.hpp>
#include <dino/eval/tokens.hpp>

namespace dino::inline DINO_ABI {

/// A row of features: [c_{L-n+1} .. c_L] of the n last blocks and, if pooled, the mean p of the last block's patch
/// tokens behind them; each token after the final norm.
struct ProbeInput {
  i64 blocks = 1;
  bool pooled = false;

  bool operator==(const ProbeInput&) const = default;
  bool class_token_only() const { return blocks == 1 && !pooled; }
  i64 tokens() const { return blocks + (pooled ? 1 : 0); }
  i64 dim(i64 width) const { return tokens() * width; }
  std::string pooling() const { return pooled ? "cls+mean" : "cls"; }
  /// For people: class tokens of 4 last blocks and mean patch token.
  std::string text() const {
    return str("class tokens of {} last block{}{}", blocks, blocks == 1 ? "" : "s",
               pooled ? " and mean patch token" : "");
  }
};

/// Images (B,3,H,W) to rows (B, input.dim(C)), in one pass. Throws Error{usage} when there are fewer blocks.
/// Source: eval_linear.py and get_intermediate_layers of vision_transformer.py; the order of DINOv2's
/// create_linear_input.
template <class T, class D> Tensor<T, D> probe_features(const nn::VisionTransformer<T, D>& vit,
                                                        const Tensor<T, D>& images, const ProbeInput& input) {
  const i64 depth = vit.config.depth, width = vit.dim();
  require(input.blocks >= 1 && input.blocks <= depth, ErrorKind::usage,
          "n_last_blocks = {} must be in 1..{}: the backbone has {} blocks", input.blocks, depth, depth);
  const std::vector groups{images};
  const auto segments = vit.layout(groups);
  const i64 count = segments[0].images, stride = input.dim(width);
  std::vector<float> rows(static_cast<size_t>(count * stride));
  const auto place = [&](const std::vector<float>& from, i64 column) {
    for (i64 b = 0; b < count; ++b)
      std::copy_n(from.begin() + b * width, width, rows.begin() + b * stride + column * width);
  };
  vit.walk(groups, segments, [&](i64 block, const Tensor<T, D>& x) {  // x has passed `block` blocks
    const i64 column = block - 1 - (depth - input.blocks);
    if (column < 0) return;
    place(detail::to_floats(vit.norm(class_rows(x, segments))), column);
    if (block < depth || !input.pooled) return;
    std::vector<float> mean(static_cast<size_t>(count * width));
    detail::place_tokens(detail::to_floats(vit.norm(x)), segments[0], TokenChoice::mean, width, mean.data(), width);
    place(mean, input.blocks);
  });
  std::vector<T> values;
  values.reserve(rows.size());
  for (const float v : rows) values.push_back(from_acc<T>(static_cast<acc_t<T>>(v)));
  return tensor(images.ctx(), {count, stride}, values);
}

/// Where column j of [c, p], two tokens of `width` values side by side, stands in the layout [c0, p0, c1, p1, ...] of
/// the linear weights that were released for ViT-B.
constexpr i64 interleaved_column(i64 j, i64 width) { return j < width ? 2 * j : 2 * (j - width) + 1; }

/// The columns of a weight (K, 2 width) for [c, p], put in the released order; back = true: the way back.
inline std::vector<float> interleave_columns(const std::vector<float>& weight, i64 width, bool back = false) {
  require(width >= 1 && static_cast<i64>(weight.size()) % (2 * width) == 0, "interleave: {} values for rows of 2 x {}",
          weight.size(), width);
  std::vector<float> out(weight.size());
  for (i64 row = 0; row < static_cast<i64>(weight.size()); row += 2 * width)
    for (i64 j = 0; j < 2 * width; ++j) {
      const i64 own = row + j, other = row + interleaved_column(j, width);
      out[static_cast<size_t>(back ? own : other)] = weight[static_cast<size_t>(back ? other : own)];
    }
  return out;
}

}  // namespace dino::inline DINO_ABI
