// The networks that make features, each compiled once for the program.
#include "source.hpp"

#include "../common/on_device.hpp"
#include "../common/settings.hpp"

#include <dino/eval/backbone.hpp>

#include <iostream>

namespace programs {

using dino::i64;
using dino::str;

namespace {

template <class T, class D> FeatureSource network_source(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx,
                                                         dino::Backbone<T, D> net, const dino::KnnConfig& c,
                                                         const std::string& name) {
  auto transform = net.transform();
  if (c.model.image_size > 0) transform.size = c.model.image_size;
  if (!c.model.normalize_is_auto) {
    transform.mean = c.model.mean;
    transform.deviation = c.model.deviation;
  }
  const auto shared = std::make_shared<dino::Backbone<T, D>>(std::move(net));
  auto info = shared->info();
  const auto& vit = info.vit;
  info.name = info.source = "";  // what does not change a feature
  info.step = 0;
  const dino::FeatureKey key{
      .weights = dino::weights_hash(dino::parameter_views(shared->params()), dino::model_text(info)),
      .backbone = dino::backbone_name({vit.patch_size, vit.dim, vit.depth, vit.heads}, vit.mlp_ratio),
      .file = name,
      .transform = transform,
      .precision = std::is_same_v<T, float> ? "fp32" : "bf16"};
  return {[&host, ctx, shared, transform](const dino::AnyDataset& set, i64 batch, const ShowProgress& show,
                                          dino::BadImages& bad) {
            return dino::extract_features<T>(*ctx, host, *shared, set, transform, batch, show, &bad);
          },
          key, name};
}

template <class T, class D>
FeatureSource source_on(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx, const dino::KnnConfig& c) {
  if (!c.weights.empty()) {
    auto net = dino::load_backbone<T>(*ctx, c.weights, c.checkpoint_key);
    if (!c.common.quiet && !net.unused().empty()) std::cerr << c.weights << ": not used: " << net.unused() << '\n';
    const auto& vit = net.info().vit;  // files of others do not say what they are called
    const auto stored = dino::backbone_name({vit.patch_size, vit.dim, vit.depth, vit.heads}, vit.mlp_ratio);
    dino::require(!c.model.backbone_is_set || c.model.name == stored, dino::ErrorKind::weights,
                  "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, stored,
                  c.model.name);
    return network_source(host, ctx, std::move(net), c, c.weights);
  }
  auto info = backbone_info(c.model);
  if (info.vit.image_size == 0) info.vit.image_size = c.baseline == "pixels" ? 32 : 224;
  const dino::EvalTransform transform{.size = info.vit.image_size, .mean = info.mean, .deviation = info.deviation};
  if (c.baseline == "pixels") {
    return {[&host, transform](const dino::AnyDataset& set, i64, const ShowProgress& show, dino::BadImages& bad) {
              return dino::pixel_features(host, set, transform, show, &bad);
            },
            {.weights = "pixels", .backbone = "pixels", .file = "none", .transform = transform},
            "raw pixels"};
  }
  dino::require(c.baseline == "untrained", dino::ErrorKind::usage,
                "nothing to evaluate: give --weights RUN_DIR|FILE.safetensors, or --baseline pixels|untrained");
  dino::Backbone<T, D> net(*ctx, info, static_cast<dino::u64>(c.common.seed));
  return network_source(host, ctx, std::move(net), c, "untrained " + info.name);
}

}  // namespace

FeatureSource open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::KnnConfig& c) {
  return on_device(device, c.common.precision, host,
                   [&](auto number, const auto& on) { return source_on<decltype(number)>(host, on, c); });
}

}  // namespace programs
