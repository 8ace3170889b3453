// What makes features: a network on some device, or the pixels themselves.
#pragma once

#include <dino/device/choose.hpp>
#include <dino/eval/bad_images.hpp>
#include <dino/eval/feature_manifest.hpp>
#include <dino/eval/features.hpp>
#include <dino/io/program_config.hpp>

#include <functional>
#include <string>

namespace programs {

using ShowProgress = std::function<void(dino::i64)>;  // gets the number of images done

/// Number type and device are behind it.
struct FeatureSource {
  std::function<dino::FeatureSet(const dino::AnyDataset&, dino::i64 batch, const ShowProgress&, dino::BadImages&)>
      extract;
  dino::FeatureKey key;
  std::string name;
};

/// The weights, or the baseline, that the options name. host: where a CPU run computes; it must outlive the source.
FeatureSource open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::KnnConfig& config);

}  // namespace programs
