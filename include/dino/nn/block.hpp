// A pre-norm transformer block.
#pragma once

#include <dino/nn/attention.hpp>
#include <dino/nn/mlp.hpp>
#include <dino/nn/norm.hpp>
#include <dino/nn/optional_parameter.hpp>
#include <dino/ops/pre_norm.hpp>

namespace dino::inline DINO_ABI::nn {

struct BlockConfig {
  i64 dim, heads, hidden;
  MlpKind mlp = MlpKind::gelu;
  double layer_scale = 0;  // first value of gamma; 0: the branches are not scaled
  double drop_rate = 0;
  double init_std = 0.02;
};

/// x + DP(ls1 * attn(norm1(x))), then x + DP(ls2 * mlp(norm2(x))). The scales "ls1.gamma" and "ls2.gamma" (C) are those
/// of DINOv2, and may be absent. The two branches are dropped independently, on the Var path only.
template <class T, class D> struct Block {
  LayerNorm<T, D> norm1;
  Attention<T, D> attn;
  OptionalParameter<T, D> ls1;
  LayerNorm<T, D> norm2;
  Mlp<T, D> mlp;
  OptionalParameter<T, D> ls2;
  double drop_rate;

  Block(const Scope<T, D>& s, const BlockConfig& c)
      : norm1(s / "norm1", c.dim),
        attn(s / "attn", c.dim, c.heads, c.init_std),
        ls1(layer_scale(s / "ls1", c)),
        norm2(s / "norm2", c.dim),
        mlp(s / "mlp", c.dim, c.hidden, c.init_std, c.mlp),
        ls2(layer_scale(s / "ls2", c)),
        drop_rate(c.drop_rate) {}

  template <class X> X operator()(const X& x, const Segments& segments) const {
    const X y =
        pre_norm_attention(x, norm1.weight, norm1.bias, attn.qkv.weight, attn.qkv.bias, attn.proj.weight,
                           attn.proj.bias, ls1, attn.heads, segments, PreNormSettings{norm1.eps, drop_rate});  // (R,C)
    const PreNormSettings settings{norm2.eps, drop_rate};
    if (mlp.kind == MlpKind::swiglu) {
      return pre_norm_swiglu(y, norm2.weight, norm2.bias, mlp.fc1.weight, mlp.fc1.bias, mlp.fc2.weight, mlp.fc2.bias,
                             ls2, segments, settings);  // (R,C)
    }
    return pre_norm_mlp(y, norm2.weight, norm2.bias, mlp.fc1.weight, mlp.fc1.bias, mlp.fc2.weight, mlp.fc2.bias, ls2,
                        segments, settings);  // (R,C)
  }

 private:
  static OptionalParameter<T, D> layer_scale(const Scope<T, D>& s, const BlockConfig& c) {
    if (c.layer_scale == 0) return {};
    return s.param("gamma", {c.dim}, Init{Init::Kind::constant, c.layer_scale});
  }
};

}  // namespace dino::inline DINO_ABI::nn
