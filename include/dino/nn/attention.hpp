// Multi-head self-attention as a module.
#pragma once

#include <dino/nn/linear.hpp>
#include <dino/ops/attention.hpp>

namespace dino::inline DINO_ABI::nn {

/// proj(attention(qkv(x))), "qkv" (3C,C) with rows q, k, v of H heads each, and "proj" (C,C).
template <class T, class D> struct Attention {
  Linear<T, D> qkv, proj;
  i64 heads;

  Attention(const Scope<T, D>& s, i64 dim, i64 head_count, double std)
      : qkv(s / "qkv", dim, 3 * dim, std), proj(s / "proj", dim, dim, std), heads(head_count) {}

  auto operator()(const auto& x, const Segments& segments) const { return proj(attention(qkv(x), heads, segments)); }
};

}  // namespace dino::inline DINO_ABI::nn
