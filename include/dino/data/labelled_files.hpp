// Picture files below a folder, with or without labels: what folders and lists of pictures have in common.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/io/image.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// A base: the constructor of a derived class fills in what it found. get() reads one file and decodes it.
class LabelledFiles {
 public:
  /// What to do with a JPEG that gives pixels only with a warning of damage. The default is skip: it is a bad image.
  void set_jpeg_warnings(JpegWarnings policy) { warnings_ = policy; }

  i64 size() const { return static_cast<i64>(files_.size()); }
  i64 label(i64 i) const { return labels_.empty() ? -1 : labels_.at(static_cast<size_t>(i)); }
  std::string name(i64 i) const { return prefix_ + files_.at(static_cast<size_t>(i)); }
  const std::string& title() const { return title_; }
  const std::vector<std::string>& classes() const { return classes_; }

  Sample get(i64 i) const {
    const auto bytes = read_image_file(root_ / name(i));
    return {decode_image(bytes, name(i), warnings_).image, label(i), name(i)};
  }

 protected:
  LabelledFiles(std::filesystem::path root, std::string prefix, std::string title)
      : root_(std::move(root)), prefix_(std::move(prefix)), title_(std::move(title)) {}

  std::filesystem::path root_;
  std::string prefix_, title_;      // prefix: of every name, the folder of a split
  std::vector<std::string> files_;  // below root/prefix
  std::vector<i32> labels_;         // empty: unlabelled
  std::vector<std::string> classes_;

 private:
  JpegWarnings warnings_ = JpegWarnings::skip;
};

}  // namespace dino::inline DINO_ABI
