// A pre-norm transformer block.
#pragma once

#include <dino/nn/attention.hpp>
#include <dino/nn/mlp.hpp>
#include <dino/nn/norm.hpp>
#include <dino/ops/pre_norm.hpp>

namespace dino::inline DINO_ABI::nn {

/// x + DP(attn(norm1(x))), then x + DP(mlp(norm2(x))). The two branches are dropped independently, on the Var path
/// only.
template <class T, class D> struct Block {
  LayerNorm<T, D> norm1;
  Attention<T, D> attn;
  LayerNorm<T, D> norm2;
  Mlp<T, D> mlp;
  double drop_rate;

  Block(const Scope<T, D>& s, i64 dim, i64 heads, i64 hidden, double rate, double std)
      : norm1(s / "norm1", dim),
        attn(s / "attn", dim, heads, std),
        norm2(s / "norm2", dim),
        mlp(s / "mlp", dim, hidden, std),
        drop_rate(rate) {}

  template <class X> X operator()(const X& x, const Segments& segments) const {
    const X y = pre_norm_attention(x, norm1.weight, norm1.bias, attn.qkv.weight, attn.qkv.bias, attn.proj.weight,
                                   attn.proj.bias, attn.heads, segments, {norm1.eps, drop_rate});  // (R,C)
    return pre_norm_mlp(y, norm2.weight, norm2.bias, mlp.fc1.weight, mlp.fc1.bias, mlp.fc2.weight, mlp.fc2.bias,
                        segments, {norm2.eps, drop_rate});  // (R,C)
  }
};

}  // namespace dino::inline DINO_ABI::nn
