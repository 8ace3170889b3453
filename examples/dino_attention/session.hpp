// What all pictures of a run share: the network, the folder, and what is drawn of each.
#pragma once

#include "items.hpp"
#include "network.hpp"

#include <dino/eval/attention_image.hpp>

#include <filesystem>

namespace programs {

/// What is drawn, with everything that the network had to decide.
struct Plan {
  dino::AttentionRequest request;  // layers, rollout, patch tokens
  std::vector<dino::i64> heads;    // drawn one by one, and their mean
  bool each_head = true;           // false: the mean alone
  const dino::ColorMap* colors = nullptr;
};

/// Throws Error{usage} when the options do not fit the network.
Plan make_plan(const dino::AttentionConfig& config, const dino::VitConfig& vit);

/// A picture and what the network sees in it.
struct Seen {
  dino::Image image;  // as the network sees it: resized, cut to whole patches
  dino::PatchLayout at;
  dino::ImageAttention attention;
};

struct Session {
  const dino::AttentionConfig& config;
  const Network& network;
  Plan plan;
  std::filesystem::path folder;

  /// The picture as the network sees it. Throws Error{data} with the name.
  dino::Image cut(const dino::Image& image, const std::string& name) const;
  Seen look(const dino::Image& image, const std::string& name) const;
  /// The maps of a layer, of the heads that the plan names, in its order.
  dino::AttentionMaps maps(const dino::ImageAttention& attention, dino::i64 layer) const;
};

/// Writes a picture; throws Error{resources}.
void write_picture(const std::filesystem::path& path, const dino::Image& image);

}  // namespace programs
