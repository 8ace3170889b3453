// The projection head of DINO.
#pragma once

#include <dino/nn/batchnorm.hpp>
#include <dino/nn/linear.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/normalize.hpp>
#include <dino/ops/weight_norm_linear.hpp>

#include <cmath>
#include <optional>

namespace dino::inline DINO_ABI {

struct DinoHeadConfig {
  i64 outputs = 65536;  // prototypes K
  i64 layers = 3, hidden = 2048, bottleneck = 256;
  bool use_bn = false;          // batch norm behind each hidden layer
  bool norm_last_layer = true;  // the gain of the last layer stays 1
};

namespace nn {

/// layers x (Linear, [BatchNorm], GELU), the last one Linear to the bottleneck; L2 normalisation; weight-normed Linear
/// to K without bias. Names as in the reference: "mlp.0.weight", ..., "last_layer.weight_g" (K,1),
/// "last_layer.weight_v". With layers = 1 the perceptron is one Linear, named "mlp". Source: vision_transformer.py,
/// DINOHead.
template <class T, class D> struct DinoHead {
  struct Stage {
    Linear<T, D> linear;
    std::optional<BatchNorm<T, D>> norm;
  };
  std::vector<Stage> hidden;
  std::vector<Linear<T, D>> projection;  // one element: behind the hidden stages
  Parameter<T, D> weight_g, weight_v;

  DinoHead(const Scope<T, D>& s, i64 in, const DinoHeadConfig& c) {
    require(c.layers >= 1 && c.hidden >= 1 && c.bottleneck >= 1 && c.outputs >= 2, ErrorKind::usage,
            "dino head: {} layers, hidden {}, bottleneck {}, outputs {}", c.layers, c.hidden, c.bottleneck, c.outputs);
    const auto mlp = s / "mlp";
    i64 width = in, position = 0;  // position in the reference's Sequential: Linear, [BN], GELU
    for (i64 i = 0; i + 1 < c.layers; ++i) {
      Stage stage{Linear<T, D>(mlp / position, width, c.hidden), {}};
      if (c.use_bn) stage.norm = BatchNorm<T, D>(mlp / (position + 1), c.hidden);
      hidden.push_back(stage);
      width = c.hidden;
      position += c.use_bn ? 3 : 2;
    }
    projection.push_back(Linear<T, D>(c.layers == 1 ? mlp : mlp / position, width, c.bottleneck));
    weight_g = s.param("last_layer.weight_g", {c.outputs, 1}, ones_init);
    weight_v = s.param("last_layer.weight_v", {c.outputs, c.bottleneck},
                       uniform_init(1 / std::sqrt(static_cast<double>(c.bottleneck))));
    if (c.norm_last_layer)
      s.store().segments()[static_cast<size_t>(s.store().find(weight_g.segment().name))].frozen = true;
  }

  /// Features (R,C) to logits (R,K), these in acc_t<T>.
  template <class X> auto operator()(const X& features) const {
    X x = features;
    for (const auto& stage : hidden) {
      x = stage.linear(x);  // (R,F)
      if (stage.norm) x = (*stage.norm)(x);
      x = gelu(x);
    }
    return weight_norm_linear(normalize(projection[0](x)), weight_v, weight_g);  // (R,K)
  }
};

}  // namespace nn
}  // namespace dino::inline DINO_ABI
