// What makes the features that are compared.
#pragma once

#include "../common/feature_source.hpp"

namespace programs {

/// The weights, or the baseline, that the options name. host: where a CPU run computes; it must outlive the source.
FeatureSource open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::KnnConfig& config);

}  // namespace programs
