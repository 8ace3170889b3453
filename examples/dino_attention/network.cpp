#include "network.hpp"

#include "../common/on_device.hpp"

#include <dino/eval/backbone.hpp>

namespace programs {

using dino::ErrorKind;
using dino::require;

namespace {

std::string checked_name(const dino::AttentionConfig& c, const dino::VitConfig& vit) {
  const dino::BackboneSize size{vit.patch_size, vit.dim, vit.depth, vit.heads};
  const auto name = dino::backbone_name(size, vit.mlp_ratio);
  require(c.backbone == "auto" || dino::backbone_size(c.backbone) == size, ErrorKind::weights,
          "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, name, c.backbone);
  return name;
}

template <class T, class D> Network open(const std::shared_ptr<dino::Context<D>>& ctx, const dino::AttentionConfig& c) {
  const auto net = std::make_shared<dino::Backbone<T, D>>(dino::load_backbone<T>(*ctx, c.weights, c.checkpoint_key));
  if (c.positions != "auto") net->set_positions(dino::named_positions(c.positions));
  auto colours = dino::Colours{net->info().mean, net->info().deviation};
  if (c.normalize != "auto") colours = dino::published_colours(c.normalize);
  return {[ctx, net, colours](const dino::Image& image, const dino::AttentionRequest& request) {
            std::vector<float> pixels(image.pixels.size());
            dino::kernels::normalize_pixels(image.pixels.data(), image.width * image.height,
                                            {colours.mean, colours.deviation}, pixels.data());
            std::vector<T> values;
            values.reserve(pixels.size());
            for (const float x : pixels) values.push_back(dino::from_acc<T>(static_cast<dino::acc_t<T>>(x)));
            const auto batch = dino::tensor(*ctx, {1, 3, image.height, image.width}, values);
            return dino::image_attention(net->vit(), batch, request);
          },
          net->info().vit, checked_name(c, net->info().vit), net->unused()};
}

}  // namespace

Network open_network(dino::HostContext& host, const dino::DeviceChoice& device, const dino::AttentionConfig& config) {
  return on_device(device, config.common.precision, host,
                   [&](auto number, const auto& ctx) { return open<decltype(number)>(ctx, config); });
}

}  // namespace programs
