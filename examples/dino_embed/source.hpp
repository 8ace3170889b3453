// The features of images: a network on some device.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/device/choose.hpp>
#include <dino/eval/feature_manifest.hpp>
#include <dino/eval/features.hpp>
#include <dino/io/program_config.hpp>

#include <functional>
#include <string>

namespace programs {

/// Number type and device are behind it.
struct Source {
  std::function<dino::FeatureSet(const dino::AnyDataset&, const std::function<void(dino::i64)>& done, dino::BadImages&)>
      extract;
  dino::FeatureKey key;  // backbone: its name
  std::string unused;    // what else the file of weights holds
};

/// The weights that the options name. host: where a CPU run computes; it must outlive the source.
Source open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::EmbedConfig& config);

/// Features of all images that can be read, scaled to unit length: computed, or kept in config.features_cache.
dino::FeatureSet unit_features(dino::HostContext& host, const dino::EmbedConfig& config, const Source& source,
                               const dino::AnyDataset& images);

}  // namespace programs
