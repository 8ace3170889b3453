// Linear layer as a module.
#pragma once

#include <dino/nn/param.hpp>
#include <dino/ops/linear.hpp>

namespace dino::inline DINO_ABI::nn {

/// y = x W^T + b with "weight" (N,K), N(0, std^2), and "bias" (N), zeros.
template <class T, class D> struct Linear {
  Parameter<T, D> weight, bias;

  Linear(const Scope<T, D>& s, i64 in, i64 out, double std = 0.02)
      : weight(s.param("weight", {out, in}, normal_init(std))), bias(s.param("bias", {out}, zeros_init)) {}

  auto operator()(const auto& x) const { return linear(x, weight, bias); }
};

}  // namespace dino::inline DINO_ABI::nn
