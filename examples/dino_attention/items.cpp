#include "items.hpp"

#include "../common/dataset_options.hpp"

#include <dino/data/image_folder.hpp>
#include <dino/io/image.hpp>

#include <filesystem>
#include <set>

namespace programs {

using dino::i64;
using dino::str;
namespace fs = std::filesystem;

namespace {

/// The stem of a path as the name of a folder: letters, digits, '.', '-', '_' and what is not ASCII; others become '_'.
std::string folder_name(const std::string& path) {
  auto name = fs::path(path).stem().string();
  if (name.empty() || name == "." || name == "..") name = fs::path(path).parent_path().filename().string();
  for (char& c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || byte >= 0x80;
    if (!plain) c = '_';
  }
  if (name.starts_with('.')) name[0] = '_';
  if (name.size() > 100) name.resize(100);
  return name.empty() ? "picture" : name;
}

/// Gives names that stand alone: cat, cat-2, cat-3.
class Names {
 public:
  std::string unique(const std::string& path) {
    const auto stem = folder_name(path);
    auto name = stem;
    for (i64 n = 2; !taken_.insert(lower(name)).second; ++n) name = str("{}-{}", stem, n);
    return name;
  }

 private:
  static std::string lower(std::string name) {  // some file systems do not tell cases apart
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
  }
  std::set<std::string> taken_{"config.json", "cmd.txt", "env.json", "pca.png", "match.png", "matches.csv"};
};

class Finder {
 public:
  explicit Finder(const dino::AttentionConfig& config)
      : config_(config), warnings_(dataset_options(config.common, 0).jpeg_warnings) {}

  Items find() {
    const auto& data = config_.common.data;
    for (const auto& path : config_.files) named(path);
    if (config_.files.empty() && config_.video && fs::is_directory(data)) {
      named(data);
    } else if (config_.files.empty()) {
      data_set(data);
    }
    return std::move(items_);
  }

 private:
  void named(const std::string& path) {
    std::error_code error;
    if (!fs::exists(path, error)) {
      items_.problems.push_back(path + ": no such file or folder");
    } else if (fs::is_directory(path, error)) {
      folder(path);
    } else if (is_video_name(path)) {
      items_.list.push_back({Item::Kind::video, path, names_.unique(path), {}, {}});
    } else {
      picture(path);
    }
  }

  void picture(const std::string& path) {
    items_.list.push_back(
        {Item::Kind::picture,
         path,
         names_.unique(path),
         [path, warnings = warnings_] { return dino::decode_image(dino::read_image_file(path), path, warnings).image; },
         {}});
  }

  void folder(const std::string& path) {
    const auto scan = dino::scan_folder(path);
    if (scan.images.empty()) {
      items_.problems.push_back(str("{}: no images (jpg, png, bmp) in this folder, found {}", path, scan.found()));
      return;
    }
    if (!scan.other.empty()) items_.notes.push_back(str("{}: left out {}", path, scan.found()));
    std::vector<std::string> images;
    for (const auto& name : scan.images) images.push_back((fs::path(path) / name).string());
    if (config_.video) {
      items_.list.push_back({Item::Kind::frames, path, names_.unique(path), {}, std::move(images)});
    } else {
      for (const auto& image : images) picture(image);
    }
  }

  void data_set(const std::string& data) {
    const auto opened = open_data(data, dataset_options(config_.common, 0));
    items_.notes = opened.notes;
    const auto set = all_images(opened);
    for (i64 i = 0; i < set.size(); ++i)
      items_.list.push_back(
          {Item::Kind::picture, set.name(i), names_.unique(set.name(i)), [set, i] { return set.get(i).image; }, {}});
  }

  const dino::AttentionConfig& config_;
  dino::JpegWarnings warnings_;
  Names names_;
  Items items_;
};

}  // namespace

bool is_video_name(const std::string& path) {
  constexpr std::string_view known[] = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif"};
  const auto extension = dino::detail::extension_of(fs::path(path).filename().string());
  return std::find(std::begin(known), std::end(known), extension) != std::end(known);
}

Items find_items(const dino::AttentionConfig& config) { return Finder(config).find(); }

}  // namespace programs
