// What the command line names: pictures, folders, videos, data sets.
#pragma once

#include <dino/base/image.hpp>
#include <dino/io/program_config.hpp>

#include <functional>
#include <string>
#include <vector>

namespace programs {

struct Item {
  enum class Kind { picture, frames, video };
  Kind kind = Kind::picture;
  std::string path;                   // as the user knows it
  std::string name;                   // of the folder of what is drawn; no two are equal
  std::function<dino::Image()> load;  // a picture
  std::vector<std::string> frames;    // of a folder, in bytewise order
};

struct Items {
  std::vector<Item> list;
  std::vector<std::string> problems;  // what cannot be used, and why
  std::vector<std::string> notes;     // what was left out
};

/// Looks at names only; pictures are decoded by load().
Items find_items(const dino::AttentionConfig& config);

/// mp4, avi, mov, mkv, webm and gif, in any case.
bool is_video_name(const std::string& path);

}  // namespace programs
