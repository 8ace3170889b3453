// Layer normalisation as a module.
#pragma once

#include <dino/nn/param.hpp>
#include <dino/ops/layernorm.hpp>

namespace dino::inline DINO_ABI::nn {

/// "weight" (C), ones, and "bias" (C), zeros. eps 1e-6 is the reference's value.
template <class T, class D> struct LayerNorm {
  Parameter<T, D> weight, bias;
  double eps = 1e-6;

  LayerNorm(const Scope<T, D>& s, i64 dim)
      : weight(s.param("weight", {dim}, ones_init)), bias(s.param("bias", {dim}, zeros_init)) {}

  auto operator()(const auto& x) const { return layernorm(x, weight, bias, eps); }
};

}  // namespace dino::inline DINO_ABI::nn
