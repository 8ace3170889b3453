// What makes features: a network on some device, or the pixels themselves.
#pragma once

#include <dino/device/choose.hpp>
#include <dino/eval/bad_images.hpp>
#include <dino/eval/feature_manifest.hpp>
#include <dino/eval/features.hpp>
#include <dino/io/backbone_info.hpp>
#include <dino/io/program_config.hpp>

#include <functional>
#include <string>

namespace programs {

using ShowProgress = std::function<void(dino::i64)>;  // gets the number of images done

/// Number type and device are behind it.
struct FeatureSource {
  std::function<dino::FeatureSet(const dino::AnyDataset&, dino::i64 batch, const ShowProgress&, dino::BadImages&)>
      extract;
  dino::FeatureKey key;  // backbone: its name
  std::string name;      // for results
  std::string unused{};  // what else the file of weights holds
};

/// A network, and what of its preprocessing is not as its weights say.
struct NetworkRequest {
  std::string weights, checkpoint_key;
  std::string backbone;                  // that the weights must be of; empty: any
  dino::i64 image_size = 0;              // 0: as the weights say
  std::optional<dino::Colours> colours;  // empty: as the weights say
};

/// host: where a CPU run computes; it must outlive the source. precision: fp32, bf16 or auto. Throws Error{weights}.
FeatureSource trained_source(dino::HostContext& host, const dino::DeviceChoice& device, const std::string& precision,
                             const NetworkRequest& request);

/// First values by the seed.
FeatureSource untrained_source(dino::HostContext& host, const dino::DeviceChoice& device, const std::string& precision,
                               const dino::BackboneInfo& info, dino::u64 seed);

/// Pixels (3 S S) as transform makes them.
FeatureSource pixel_source(dino::HostContext& host, const dino::EvalTransform& transform);

}  // namespace programs
