// The features of images: a network on some device.
#pragma once

#include "../common/feature_source.hpp"

namespace programs {

/// The weights that the options name. host: where a CPU run computes; it must outlive the source.
FeatureSource open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::EmbedConfig& config);

/// Features of all images that can be read, scaled to unit length: computed, or kept in config.features_cache.
dino::FeatureSet unit_features(dino::HostContext& host, const dino::EmbedConfig& config, const FeatureSource& source,
                               const dino::AnyDataset& images);

}  // namespace programs
