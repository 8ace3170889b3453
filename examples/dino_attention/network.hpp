// A network on some device: number type and device are behind it.
#pragma once

#include <dino/base/image.hpp>
#include <dino/device/choose.hpp>
#include <dino/eval/image_attention.hpp>
#include <dino/io/program_config.hpp>

#include <functional>
#include <string>

namespace programs {

struct Network {
  /// A picture whose sides are multiples of the patch.
  std::function<dino::ImageAttention(const dino::Image&, const dino::AttentionRequest&)> look;
  dino::VitConfig vit;
  std::string name, unused;  // of the backbone; what else its file holds
};

/// The weights that the options name. host: where a CPU run computes; it must outlive the network.
Network open_network(dino::HostContext& host, const dino::DeviceChoice& device, const dino::AttentionConfig& config);

}  // namespace programs
