#include "source.hpp"

#include <dino/eval/feature_cache.hpp>
#include <dino/io/progress.hpp>

#include <iostream>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::require;

FeatureSource open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::EmbedConfig& c) {
  NetworkRequest request{.weights = c.weights,
                         .checkpoint_key = c.checkpoint_key,
                         .backbone = c.backbone == "auto" ? "" : c.backbone,
                         .image_size = c.image_size,
                         .colours = {}};
  if (c.normalize != "auto") request.colours = dino::published_colours(c.normalize);
  return trained_source(host, device, c.common.precision, request);
}

dino::FeatureSet unit_features(dino::HostContext& host, const dino::EmbedConfig& c, const FeatureSource& source,
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
    set = source.extract(images, c.batch_size, show, bad);
  } else {
    const auto extract = [&](const dino::AnyDataset& part, dino::BadImages& bad) {
      return source.extract(part, c.batch_size, show, bad);
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
