// The networks that make features, each compiled once for the program.
#include "source.hpp"

#include "../common/on_device.hpp"

#include <dino/eval/backbone.hpp>
#include <dino/eval/feature_cache.hpp>
#include <dino/io/progress.hpp>

#include <iostream>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::require;

namespace {

template <class T, class D>
Source open(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx, const dino::EmbedConfig& c) {
  const auto net = std::make_shared<dino::Backbone<T, D>>(dino::load_backbone<T>(*ctx, c.weights, c.checkpoint_key));
  auto info = net->info();
  const dino::BackboneSize size{info.vit.patch_size, info.vit.dim, info.vit.depth, info.vit.heads};
  const auto name = dino::backbone_name(size, info.vit.mlp_ratio);
  require(c.backbone == "auto" || dino::backbone_size(c.backbone) == size, ErrorKind::weights,
          "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, name, c.backbone);
  auto transform = net->transform();
  if (c.image_size > 0) transform.size = c.image_size;
  if (c.normalize != "auto") {
    const auto colours = dino::published_colours(c.normalize);
    transform.mean = colours.mean;
    transform.deviation = colours.deviation;
  }
  info.name = info.source = "";  // what does not change a feature
  info.step = 0;
  const dino::FeatureKey key{
      .weights = dino::weights_hash(dino::parameter_views(net->params()), dino::model_text(info)),
      .backbone = name,
      .file = c.weights,
      .transform = transform,
      .precision = std::is_same_v<T, float> ? "fp32" : "bf16"};
  return {[&host, ctx, net, transform, batch = c.batch_size](
              const dino::AnyDataset& set, const std::function<void(i64)>& done, dino::BadImages& bad) {
            return dino::extract_features<T>(*ctx, host, *net, set, transform, batch, done, &bad);
          },
          key, net->unused()};
}

}  // namespace

Source open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::EmbedConfig& config) {
  require(!config.weights.empty(), ErrorKind::usage, "nothing to embed with: give --weights RUN_DIR|FILE");
  return on_device(device, config.common.precision, host,
                   [&](auto number, const auto& ctx) { return open<decltype(number)>(host, ctx, config); });
}

dino::FeatureSet unit_features(dino::HostContext& host, const dino::EmbedConfig& c, const Source& source,
                               const dino::AnyDataset& images) {
  const bool terminal = !c.common.quiet && dino::standard_error().terminal;
  i64 before = 0;  // images of earlier parts
  const auto show = [&](i64 done) {
    if (terminal)
      std::cerr << "\rfeatures of " << dino::format_count(before + done) << " of " << dino::format_count(images.size())
                << " images" << std::flush;
  };
  dino::FeatureSet set;
  if (c.features_cache.empty()) {
    dino::BadImages bad(images.size(), c.common.max_bad_fraction);
    set = source.extract(images, show, bad);
  } else {
    const auto extract = [&](const dino::AnyDataset& part, dino::BadImages& bad) {
      return source.extract(part, show, bad);
    };
    const dino::FeatureCache cache = dino::cache_features(
        std::filesystem::path(c.features_cache), source.key, images, extract,
        {.max_bad_fraction = c.common.max_bad_fraction, .on_shard = [&](i64 done) { before = done; }});
    const auto rows = rows_of(cache);
    const auto values = rows.read(0, rows.size(), set.values);
    if (values.data() != set.values.data()) set.values.assign(values.begin(), values.end());
    set.dim = rows.dim;
    set.labels = rows.labels;
    set.index = cache.index();
    set.skipped = cache.skipped();
  }
  if (terminal) std::cerr << "\r\x1b[K";
  for (const auto& reason : set.skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  require(set.size() > 0, ErrorKind::data, "{}: no image could be read", images.title());
  dino::normalize_rows(host, set);
  return set;
}

}  // namespace programs
