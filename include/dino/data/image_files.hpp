// Picture files that somebody names one by one.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/io/image.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// In the order given, without labels; a file may be named twice. get() reads and decodes.
class ImageFiles {
 public:
  /// Throws Error{data} when a path does not exist or is a folder; what the files hold is not looked at.
  explicit ImageFiles(std::vector<std::string> paths, JpegWarnings warnings = JpegWarnings::skip)
      : paths_(std::move(paths)), warnings_(warnings) {
    for (const auto& path : paths_) {
      std::error_code error;
      require(std::filesystem::exists(path, error), ErrorKind::data, "{}: no such file", path);
      require(!std::filesystem::is_directory(path, error), ErrorKind::data,
              "{} is a folder, expected a picture. A folder is given as --data {}", path, path);
    }
  }

  i64 size() const { return static_cast<i64>(paths_.size()); }
  i64 label(i64) const { return -1; }
  std::string name(i64 i) const { return paths_.at(static_cast<size_t>(i)); }
  std::string kind() const { return "files"; }
  std::string title() const { return "files"; }
  Sample get(i64 i) const {
    const auto path = name(i);
    return {decode_image(read_image_file(path), path, warnings_).image, -1, path};
  }

 private:
  std::vector<std::string> paths_;
  JpegWarnings warnings_;
};

}  // namespace dino::inline DINO_ABI
