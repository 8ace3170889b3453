#include "source.hpp"

#include "../common/settings.hpp"

#include <iostream>

namespace programs {

FeatureSource open_source(dino::HostContext& host, const dino::DeviceChoice& device, const dino::KnnConfig& c) {
  const auto& m = c.model;
  if (!c.weights.empty()) {
    NetworkRequest request{.weights = c.weights,
                           .checkpoint_key = c.checkpoint_key,
                           .backbone = m.backbone_is_set ? m.name : "",
                           .image_size = m.image_size,
                           .colours = {}};
    if (!m.normalize_is_auto) request.colours = dino::Colours{m.mean, m.deviation};
    auto source = trained_source(host, device, c.common.precision, request);
    if (!c.common.quiet && !source.unused.empty())
      std::cerr << c.weights << ": not used: " << source.unused << '\n';
    return source;
  }
  auto info = backbone_info(m);
  if (info.vit.image_size == 0) info.vit.image_size = c.baseline == "pixels" ? 32 : 224;
  if (c.baseline == "pixels")
    return pixel_source(host, {.size = info.vit.image_size, .mean = info.mean, .deviation = info.deviation});
  dino::require(c.baseline == "untrained", dino::ErrorKind::usage,
                "nothing to evaluate: give --weights RUN_DIR|FILE.safetensors, or --baseline pixels|untrained");
  return untrained_source(host, device, c.common.precision, info, static_cast<dino::u64>(c.common.seed));
}

}  // namespace programs
