// The networks that make features, compiled once for all programs.
#include "feature_source.hpp"

#include "on_device.hpp"

#include <dino/eval/backbone.hpp>

namespace programs {

using dino::i64;

namespace {

std::string name_of(const dino::VitConfig& vit) {  // files of others do not say what they are called
  return dino::backbone_name({vit.patch_size, vit.dim, vit.depth, vit.heads}, vit.mlp_ratio);
}

template <class T, class D>
FeatureSource network_source(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx, dino::Backbone<T, D> net,
                             const dino::EvalTransform& transform, const std::string& name) {
  const auto shared = std::make_shared<dino::Backbone<T, D>>(std::move(net));
  auto info = shared->info();
  info.name = info.source = "";  // what does not change a feature
  info.step = 0;
  const dino::FeatureKey key{
      .weights = dino::weights_hash(dino::parameter_views(shared->params()), dino::model_text(info)),
      .backbone = name_of(info.vit),
      .file = name,
      .transform = transform,
      .precision = std::is_same_v<T, float> ? "fp32" : "bf16"};
  return {[&host, ctx, shared, transform](const dino::AnyDataset& set, i64 batch, const ShowProgress& show,
                                          dino::BadImages& bad) {
            return dino::extract_features<T>(*ctx, host, *shared, set, transform, batch, show, &bad);
          },
          key, name, shared->unused()};
}

}  // namespace

FeatureSource trained_source(dino::HostContext& host, const dino::DeviceChoice& device, const std::string& precision,
                             const NetworkRequest& request) {
  return on_device(device, precision, host, [&](auto number, const auto& ctx) {
    auto net = dino::load_backbone<decltype(number)>(*ctx, request.weights, request.checkpoint_key);
    const auto stored = name_of(net.info().vit);
    dino::require(request.backbone.empty() || request.backbone == stored, dino::ErrorKind::weights,
                  "{}: these are weights of {}, --backbone says {}. Leave --backbone out", request.weights, stored,
                  request.backbone);
    auto transform = net.transform();
    if (request.image_size > 0) transform.size = request.image_size;
    if (request.colours) {
      transform.mean = request.colours->mean;
      transform.deviation = request.colours->deviation;
    }
    return network_source(host, ctx, std::move(net), transform, request.weights);
  });
}

FeatureSource untrained_source(dino::HostContext& host, const dino::DeviceChoice& device, const std::string& precision,
                               const dino::BackboneInfo& info, dino::u64 seed) {
  return on_device(device, precision, host, [&]<class T, class D>(T, const std::shared_ptr<dino::Context<D>>& ctx) {
    dino::Backbone<T, D> net(*ctx, info, seed);
    const auto transform = net.transform();
    return network_source(host, ctx, std::move(net), transform, "untrained " + info.name);
  });
}

FeatureSource pixel_source(dino::HostContext& host, const dino::EvalTransform& transform) {
  return {[&host, transform](const dino::AnyDataset& set, i64, const ShowProgress& show, dino::BadImages& bad) {
            return dino::pixel_features(host, set, transform, show, &bad);
          },
          {.weights = "pixels", .backbone = "pixels", .file = "none", .transform = transform},
          "raw pixels"};
}

}  // namespace programs
