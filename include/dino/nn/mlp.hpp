// The perceptron of a transformer block as a module.
#pragma once

#include <dino/nn/linear.hpp>
#include <dino/ops/mlp.hpp>

namespace dino::inline DINO_ABI::nn {

/// fc2(gelu(fc1(x))), "fc1" (F,C) and "fc2" (C,F).
template <class T, class D> struct Mlp {
  Linear<T, D> fc1, fc2;

  Mlp(const Scope<T, D>& s, i64 dim, i64 hidden, double std)
      : fc1(s / "fc1", dim, hidden, std), fc2(s / "fc2", hidden, dim, std) {}

  auto operator()(const auto& x) const { return mlp(x, fc1.weight, fc1.bias, fc2.weight, fc2.bias); }
};

}  // namespace dino::inline DINO_ABI::nn
