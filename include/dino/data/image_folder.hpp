// Folders of picture files: one folder per class, or any pictures without labels.
#pragma once

#include <dino/data/labelled_files.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dino::inline DINO_ABI {

/// What lies in a folder and below it, hidden files left out. Names are relative, with '/', in bytewise order of each
/// level; they need not be UTF-8.
struct FolderScan {
  std::vector<std::string> images;   // *.jpg, *.jpeg, *.png, *.bmp in any case
  std::vector<std::string> folders;  // directly in the folder
  std::map<std::string, i64> other;  // extension -> how many files that are no pictures

  /// "2 .zip, 1 .txt", the most frequent first; "nothing" for an empty folder.
  std::string found() const {
    std::vector<std::pair<i64, std::string>> counts;
    for (const auto& [extension, n] : other) counts.emplace_back(-n, extension);
    std::sort(counts.begin(), counts.end());
    std::string text;
    for (size_t k = 0; k < counts.size() && k < 4; ++k) {
      text += str("{}{} {}", k == 0 ? "" : ", ", detail::with_commas(-counts[k].first), counts[k].second);
    }
    if (counts.size() > 4) text += ", ...";
    if (text.empty()) return folders.empty() ? "nothing" : "empty folders";
    return text;
  }
};

namespace detail {

inline std::string extension_of(const std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return "file without extension";
  std::string extension = name.substr(dot);
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return extension;
}

inline bool is_image_name(const std::string& name) {
  constexpr std::array<std::string_view, 4> known = {".jpg", ".jpeg", ".png", ".bmp"};
  return std::find(known.begin(), known.end(), extension_of(name)) != known.end();
}

/// One pass over a tree, with one folder open at a time. Links to folders are followed unless they lead back up.
class FolderWalk {
 public:
  explicit FolderWalk(const std::filesystem::path& root) { walk(root, "", 0); }
  FolderScan take() { return std::move(scan_); }

 private:
  static constexpr int max_depth = 64;

  struct Entry {
    std::string name;
    bool folder, link;
  };

  static std::vector<Entry> list(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::directory_iterator at(folder, error);
    require(!error, ErrorKind::data, "cannot read the folder {}: {}", folder.string(), error.message());
    std::vector<Entry> entries;
    for (const std::filesystem::directory_iterator end; at != end; at.increment(error)) {
      std::string name = at->path().filename().string();
      if (name.starts_with('.')) continue;
      std::error_code ignored;  // a dangling link is neither a folder nor a file
      const bool is_folder = at->is_directory(ignored);
      if (!is_folder && !at->is_regular_file(ignored)) continue;
      entries.push_back({std::move(name), is_folder, at->is_symlink(ignored)});
    }
    require(!error, ErrorKind::data, "cannot read the folder {}: {}", folder.string(), error.message());
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    return entries;
  }

  void walk(const std::filesystem::path& folder, const std::string& prefix, int depth) {
    if (depth > max_depth) return;
    std::error_code error;
    const auto real = std::filesystem::canonical(folder, error);
    above_.push_back(real);
    for (const Entry& entry : list(folder)) {
      if (entry.folder) {
        if (depth == 0) scan_.folders.push_back(entry.name);
        if (entry.link && leads_up(folder / entry.name)) continue;
        walk(folder / entry.name, prefix + entry.name + '/', depth + 1);
      } else if (is_image_name(entry.name)) {
        scan_.images.push_back(prefix + entry.name);
      } else {
        ++scan_.other[extension_of(entry.name)];
      }
    }
    above_.pop_back();
  }

  bool leads_up(const std::filesystem::path& link) const {
    std::error_code error;
    const auto real = std::filesystem::canonical(link, error);
    return error || std::find(above_.begin(), above_.end(), real) != above_.end();
  }

  FolderScan scan_;
  std::vector<std::filesystem::path> above_;  // resolved, from the root to where the walk is
};

}  // namespace detail

/// Lists a folder. Throws Error{data} when it or a folder below it cannot be read.
inline FolderScan scan_folder(const std::filesystem::path& folder) { return detail::FolderWalk(folder).take(); }

/// Picture files below `root/split` ("" for root itself). Labelled when there are at least two folders and every
/// picture lies in <class>/<file>: classes are the folders in bytewise order. Otherwise unlabelled: flat, nested, or
/// both. Names are relative to root. Only names are read when it is opened; get() reads one file and decodes it.
class ImageFolder : public LabelledFiles {
 public:
  /// Throws Error{data}: no pictures (says what was found), or a class folder without any (names it).
  ImageFolder(const std::filesystem::path& root, const std::string& split) : ImageFolder(root, split, {}, {}) {}

  /// With the classes of another split: a class folder of another name is refused.
  ImageFolder(const std::filesystem::path& root, const std::string& split, const std::vector<std::string>& classes)
      : ImageFolder(root, split, classes, {}) {}

  /// With a scan made before.
  ImageFolder(const std::filesystem::path& root, const std::string& split, const std::vector<std::string>& classes,
              FolderScan scan)
      : LabelledFiles(root, split.empty() ? "" : split + "/", (root / split).string()) {
    if (title_.size() > 1 && title_.back() == '/') title_.pop_back();
    if (scan.images.empty()) scan = scan_folder(root / split);
    require(!scan.images.empty(), ErrorKind::data,
            "no images under {}. Expected {}<class>/*.jpg, or pictures without classes (jpg, png, bmp); found {}",
            title_, prefix_, scan.found());
    if (is_labelled(scan, classes)) {
      check_classes(scan.folders, classes, scan);
      classes_ = classes.empty() ? scan.folders : classes;
      set_labels(scan.images);
    }
    files_ = std::move(scan.images);
  }

  /// Every picture lies in a folder and no deeper, and there are at least two folders; where the classes are known, one
  /// of them is enough.
  static bool is_labelled(const FolderScan& scan, const std::vector<std::string>& classes) {
    const bool folders = scan.folders.size() >= 2 || (scan.folders.size() == 1 && known(classes, scan.folders[0]));
    return folders && std::all_of(scan.images.begin(), scan.images.end(), [](const std::string& name) {
             return std::count(name.begin(), name.end(), '/') == 1;
           });
  }

  std::string kind() const { return "folder"; }

 private:
  static bool known(const std::vector<std::string>& classes, const std::string& folder) {
    return std::binary_search(classes.begin(), classes.end(), folder);
  }

  /// The images of a folder stand together, because each folder was listed as a whole.
  void set_labels(const std::vector<std::string>& images) {
    labels_.reserve(images.size());
    std::string folder;
    i32 label = -1;
    for (const std::string& image : images) {
      const std::string_view own = std::string_view(image).substr(0, image.find('/'));
      if (own != folder) {
        folder = own;
        label = static_cast<i32>(std::lower_bound(classes_.begin(), classes_.end(), folder) - classes_.begin());
      }
      labels_.push_back(label);
    }
  }

  void check_classes(const std::vector<std::string>& folders, const std::vector<std::string>& allowed,
                     const FolderScan& scan) const {
    std::vector<std::string> empty, unknown;
    auto image = scan.images.begin();
    for (const std::string& folder : folders) {
      const auto first = image;
      while (image != scan.images.end() && image->compare(0, folder.size() + 1, folder + "/") == 0) ++image;
      if (image == first) empty.push_back(folder);
      if (!allowed.empty() && !known(allowed, folder)) unknown.push_back(folder);
    }
    require(empty.empty(), ErrorKind::data, "class folder{} without images in {}: {}. Fill or remove {}",
            empty.size() == 1 ? "" : "s", title_, listed(empty), empty.size() == 1 ? "it" : "them");
    require(unknown.empty(), ErrorKind::data, "class folder{} in {} that the training images do not have: {}",
            unknown.size() == 1 ? "" : "s", title_, listed(unknown));
  }

  static std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (size_t k = 0; k < names.size() && k < 3; ++k) text += (k == 0 ? "" : ", ") + names[k];
    if (names.size() > 3) text += str(" and {} more", names.size() - 3);
    return text;
  }
};

}  // namespace dino::inline DINO_ABI
