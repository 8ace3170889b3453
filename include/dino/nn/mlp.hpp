// The perceptron of a transformer block as a module.
#pragma once

#include <dino/nn/linear.hpp>
#include <dino/ops/mlp.hpp>
#include <dino/ops/swiglu.hpp>

namespace dino::inline DINO_ABI {

/// What stands between the two linear layers of a perceptron.
enum class MlpKind { gelu, swiglu };

namespace nn {

/// gelu: fc2(gelu(fc1(x))), "fc1" (F,C) and "fc2" (C,F).
/// swiglu: fc2(silu(x1) * x2), [x1, x2] = fc1(x), under the names of DINOv2, "w12" (2F,C) and "w3" (C,F).
template <class T, class D> struct Mlp {
  MlpKind kind;
  Linear<T, D> fc1, fc2;

  Mlp(const Scope<T, D>& s, i64 dim, i64 hidden, double std, MlpKind k = MlpKind::gelu)
      : kind(k),
        fc1(k == MlpKind::gelu ? s / "fc1" : s / "w12", dim, k == MlpKind::gelu ? hidden : 2 * hidden, std),
        fc2(k == MlpKind::gelu ? s / "fc2" : s / "w3", hidden, dim, std) {}

  template <class X> X operator()(const X& x) const {
    if (kind == MlpKind::swiglu) return fc2(swiglu(fc1(x)));
    return mlp(x, fc1.weight, fc1.bias, fc2.weight, fc2.bias);
  }
};

}  // namespace nn
}  // namespace dino::inline DINO_ABI
