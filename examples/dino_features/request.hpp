// What the options of dino_features mean for given weights, and whether there is room for the result.
#pragma once

#include <dino/eval/tokens.hpp>
#include <dino/io/file.hpp>
#include <dino/io/program_config.hpp>
#include <dino/io/weights.hpp>
#include <dino/ssl/micro_batch.hpp>

#include <filesystem>

namespace programs {

using dino::ErrorKind;
using dino::i64;
using dino::require;
using dino::str;

inline dino::TokenRequest request_of(const dino::FeaturesConfig& c) {
  return {.tokens = dino::token_choice(c.tokens), .layers = c.layers, .attention = c.attention};
}

/// --backbone, where it is given, names the sizes of the weights.
inline std::string checked_name(const dino::FeaturesConfig& c, const dino::VitConfig& vit) {
  const dino::BackboneSize size{vit.patch_size, vit.dim, vit.depth, vit.heads};
  const auto name = dino::backbone_name(size, vit.mlp_ratio);
  require(c.backbone == "auto" || dino::backbone_size(c.backbone) == size, ErrorKind::weights,
          "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, name, c.backbone);
  return name;
}

inline i64 crop_size(const dino::FeaturesConfig& c, const dino::VitConfig& vit) {
  const i64 size = c.size > 0 ? c.size : vit.image_size, patch = vit.patch_size, below = size - size % patch;
  require(below == size, ErrorKind::usage, "size = {} must be a multiple of the patch, {}: {}{}", size, patch,
          below > 0 ? str("{} or ", below) : "", below + patch);
  return size;
}

inline dino::PreparePicture preparation(const dino::FeaturesConfig& c, const dino::BackboneInfo& info) {
  auto colours = dino::Colours{info.mean, info.deviation};
  if (c.normalize != "auto") colours = dino::published_colours(c.normalize);
  if (!c.crop) return dino::WholeTransform{c.size, info.vit.patch_size, colours.mean, colours.deviation};
  const dino::EvalTransform transform{crop_size(c, info.vit), colours.mean, colours.deviation};
  return [transform](const dino::Image& image, const std::string&) { return dino::prepare(transform, image); };
}

/// Bytes of the features of a picture; 0: its size decides.
inline i64 bytes_of_picture(const dino::FeaturesConfig& c, const dino::VitConfig& vit) {
  const auto request = request_of(c);
  const i64 side = c.crop ? crop_size(c, vit) / vit.patch_size : 1, special = 1 + vit.registers;
  const auto shape = dino::token_shape(vit, request, special, side * side);  // refuses too many layers
  if (!c.crop && (!request.one_row() || request.attention)) return 0;
  return 4 * (shape.numel() + (request.attention ? vit.heads * (special + side * side) : 0));
}

inline bool is_npy(const std::string& output) { return std::filesystem::path(output).extension() == ".npy"; }

/// Stops before the work when its result has no place.
inline void check_room(const std::string& output, i64 bytes) {
  const auto folder = std::filesystem::absolute(output).parent_path();
  std::error_code error;
  require(std::filesystem::is_directory(folder, error), ErrorKind::resources, "{}: there is no folder {}", output,
          folder.string());
  const auto disk = std::filesystem::space(folder, error);
  const double memory = dino::available_memory(), room = error ? 1e300 : static_cast<double>(disk.available);
  require(static_cast<double>(bytes) < std::min(memory, room), ErrorKind::resources,
          "the features are {}; free are {} of memory and {} in {}. Take --tokens cls or mean, fewer layers, or a part "
          "of the pictures",
          dino::size_text(bytes), dino::size_text(static_cast<i64>(memory)),
          error ? "?" : dino::size_text(static_cast<i64>(disk.available)), folder.string());
}

inline std::string settings_text(const dino::FeaturesConfig& c, const dino::VitConfig& vit) {
  return str(
      "{\"v\":1,\"weights\":{},\"tokens\":\"{}\",\"layers\":{},\"attention\":{},\"crop\":{},\"size\":{},"
      "\"normalize\":\"{}\"}",
      dino::json_text(c.weights), c.tokens, c.layers, c.attention ? "true" : "false", c.crop ? "true" : "false",
      c.crop ? crop_size(c, vit) : c.size, c.normalize);
}

}  // namespace programs
