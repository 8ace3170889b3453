#include "session.hpp"

#include <dino/data/whole_transform.hpp>
#include <dino/io/image_write.hpp>

#include <numeric>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::require;
using dino::str;

Plan make_plan(const dino::AttentionConfig& config, const dino::VitConfig& vit) {
  Plan plan;
  plan.request = {config.layers, config.rollout, config.pca || config.match};
  if (config.all_layers) {
    plan.request.layers.resize(static_cast<size_t>(vit.depth));
    std::iota(plan.request.layers.begin(), plan.request.layers.end(), i64{0});
  } else if (config.layers.empty()) {
    plan.request.layers = {vit.depth - 1};
  }
  dino::check_layers(plan.request.layers, vit.depth);
  plan.each_head = !config.mean_only;
  plan.heads = config.heads;
  for (const i64 h : plan.heads)
    require(h < vit.heads, ErrorKind::usage, "heads: there is no head {}: the backbone has {}, 0 to {}", h, vit.heads,
            vit.heads - 1);
  if (plan.heads.empty()) {
    plan.heads.resize(static_cast<size_t>(vit.heads));
    std::iota(plan.heads.begin(), plan.heads.end(), i64{0});
  }
  plan.colors = &dino::color_map(config.colormap);
  require(config.size == 0 || config.size >= vit.patch_size, ErrorKind::usage,
          "size = {} is less than a patch of the backbone, {}: give --size {} or more", config.size, vit.patch_size,
          vit.patch_size);
  return plan;
}

namespace {

/// size x size by Pillow's bilinear filter, as visualize_attention.py has it.
dino::Image square(const dino::Image& image, i64 size) {
  dino::Image out(size, size);
  dino::kernels::ResampleImageScratch scratch;
  dino::kernels::resample_image({.in = image.pixels.data(),
                                 .in_stride = 3 * image.width,
                                 .box = {0, 0, image.width, image.height},
                                 .out_width = size,
                                 .out_height = size,
                                 .window = {0, 0, size, size},
                                 .filter = dino::kernels::ImageFilter::bilinear,
                                 .out = out.pixels.data()},
                                scratch);
  return out;
}

}  // namespace

dino::Image Session::cut(const dino::Image& image, const std::string& name) const {
  const i64 patch = network.vit.patch_size, limit = dino::ImageLimits::side;
  const auto& c = config;
  require(c.size > 0 || (image.width >= patch && image.height >= patch), ErrorKind::data,
          "{}: {} x {} pixels are less than a patch of {} x {}. Give --size to enlarge it", name, image.width,
          image.height, patch, patch);
  const dino::WholeTransform whole{.short_side = c.square ? 0 : c.size, .patch = patch};
  auto out = whole.cut_image(c.square ? square(image, c.size) : image, name);
  require(out.width <= limit && out.height <= limit, ErrorKind::data,
          "{}: {} x {} pixels become {} x {}, a side may have {}. Give a smaller --size, or --square", name,
          image.width, image.height, out.width, out.height, limit);
  return out;
}

Seen Session::look(const dino::Image& image, const std::string& name) const {
  Seen seen{cut(image, name), {}, {}};
  try {
    seen.attention = network.look(seen.image, plan.request);
  } catch (const dino::Error& error) {
    if (error.kind() != ErrorKind::numerical) throw;
    dino::fail(ErrorKind::numerical, "{}: {}. Are the weights {} whole?", name, error.what(), config.weights);
  }
  seen.at = {seen.attention.height, seen.attention.width, network.vit.patch_size};
  return seen;
}

dino::AttentionMaps Session::maps(const dino::ImageAttention& attention, i64 layer) const {
  const auto all = attention.maps(layer);
  dino::AttentionMaps out{static_cast<i64>(plan.heads.size()), all.height, all.width, {}};
  for (const i64 h : plan.heads) out.values.insert(out.values.end(), all.map(h).begin(), all.map(h).end());
  return out;
}

void write_picture(const std::filesystem::path& path, const dino::Image& image) { dino::write_png(path, image); }

}  // namespace programs
