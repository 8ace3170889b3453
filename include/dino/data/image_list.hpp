// Pictures that a text file names, one a line, with their labels.
#pragma once

#include <dino/data/image_folder.hpp>
#include <dino/io/file.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dino::inline DINO_ABI {

namespace detail {

inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const size_t first = text.find_first_not_of(blank);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(blank) - first + 1);
}

/// The lines of a small text file, without what stands around them, empty ones included. Limit: 1 GiB.
inline std::vector<std::string> text_lines(const std::filesystem::path& file) {
  const std::string text = read_text(file, i64{1} << 30);
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.emplace_back(trimmed(std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

inline bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace detail

/// A line of a list. label: a number, the name of a class, or empty.
struct ListedImage {
  std::string path, label;
  i64 line = 0;
};

/// Reads `path label` lines: the label is what stands behind the last blank; a line that ends like a picture's name
/// (.jpg, .png, ...) has none. Throws Error{data} naming file and line: no line at all, a line that names no picture,
/// lines with and without labels.
inline std::vector<ListedImage> read_image_list(const std::filesystem::path& file) {
  std::vector<ListedImage> list;
  i64 number = 0;
  for (const std::string& line : detail::text_lines(file)) {
    ++number;
    if (line.empty()) continue;
    ListedImage image{line, "", number};
    if (!detail::is_image_name(line)) {
      const size_t blank = line.find_last_of(" \t");
      require(blank != std::string::npos, ErrorKind::data,
              "{}:{}: \"{}\" names no picture. Expected PATH LABEL, or a path that ends in .jpg, .jpeg, .png or .bmp",
              file.string(), number, line.substr(0, 80));
      image.path = detail::trimmed(std::string_view(line).substr(0, blank));
      image.label = line.substr(blank + 1);
    }
    require(list.empty() || image.label.empty() == list[0].label.empty(), ErrorKind::data,
            "{}:{}: {} label, but line {} has {}. Give every picture one, or none", file.string(), number,
            image.label.empty() ? "no" : "a", list.empty() ? 0 : list[0].line, image.label.empty() ? "one" : "none");
    list.push_back(std::move(image));
  }
  require(!list.empty(), ErrorKind::data, "{}: no lines. Expected PATH LABEL, one picture a line", file.string());
  return list;
}

/// Pictures of a list. Numbers are labels, counted from 0, and class names stand in `classes.txt` beside the list, one
/// a line, if it is there; words are names of classes, labelled in bytewise order. Relative paths start at the folder
/// of the list, or at the folder beside it that is called like it (train/ for train.txt) when the first picture is
/// there.
class ImageList : public LabelledFiles {
 public:
  /// With the classes of another list or folder when they are given. Throws Error{data} naming file and line: a class
  /// that is not among them, a label beyond them; a first picture that does not exist.
  explicit ImageList(const std::filesystem::path& file, std::vector<std::string> classes = {})
      : ImageList(file, read_image_list(file), std::move(classes)) {}

  /// With lines read before; `file` is where they come from, for messages.
  ImageList(const std::filesystem::path& file, const std::vector<ListedImage>& list, std::vector<std::string> classes,
            const std::filesystem::path& root = {})
      : LabelledFiles(root.empty() ? root_of(file, list[0].path) : root, "", file.string()) {
    if (!list[0].label.empty()) set_labels(list, std::move(classes));
    files_.reserve(list.size());
    for (const ListedImage& image : list) files_.push_back(image.path);
    std::error_code error;
    require(std::filesystem::exists(root_ / files_[0], error), ErrorKind::data,
            "{}:{}: no such file: {}. Paths are relative to the folder of the list", title_, list[0].line,
            (root_ / files_[0]).string());
  }

  std::string kind() const { return "list"; }

 private:
  static std::filesystem::path root_of(const std::filesystem::path& file, const std::string& first) {
    std::error_code error;
    const auto beside = file.parent_path() / file.stem();
    const bool below = !std::filesystem::exists(file.parent_path() / first, error) &&
                       std::filesystem::exists(beside / first, error);
    return below ? beside : file.parent_path();
  }

  static std::vector<std::string> names_beside(const std::filesystem::path& file) {
    std::error_code error;
    const auto names = file.parent_path() / "classes.txt";
    if (names == file || !std::filesystem::exists(names, error)) return {};
    auto lines = detail::text_lines(names);
    std::erase(lines, "");
    return lines;
  }

  void set_labels(const std::vector<ListedImage>& list, std::vector<std::string> classes) {
    const bool numbers =
        std::all_of(list.begin(), list.end(), [](const ListedImage& image) { return detail::is_number(image.label); });
    if (classes.empty()) classes = names_beside(title_);
    if (classes.empty()) classes = numbers ? counted_classes(list) : named_classes(list);
    std::map<std::string_view, i32> label_of;
    for (size_t label = 0; label < classes.size(); ++label) label_of.emplace(classes[label], static_cast<i32>(label));
    labels_.reserve(list.size());
    for (const ListedImage& image : list) {
      if (numbers) {
        const i64 label = std::stoll(image.label);
        require(label < static_cast<i64>(classes.size()), ErrorKind::data,
                "{}:{}: label {}, but there are {} classes. Labels count from 0", title_, image.line, label,
                classes.size());
        labels_.push_back(static_cast<i32>(label));
      } else {
        const auto found = label_of.find(image.label);
        require(found != label_of.end(), ErrorKind::data,
                "{}:{}: unknown class \"{}\". The classes are {}", title_, image.line, image.label, some(classes));
        labels_.push_back(found->second);
      }
    }
    classes_ = std::move(classes);
  }

  static constexpr i64 max_classes = 1'000'000;

  static std::vector<std::string> counted_classes(const std::vector<ListedImage>& list) {
    i64 largest = 0;
    for (const ListedImage& image : list) largest = std::max<i64>(largest, std::stoll(image.label));
    require(largest < max_classes, ErrorKind::data, "a label is {}; there may be {} classes, counted from 0", largest,
            max_classes);
    std::vector<std::string> names;
    for (i64 label = 0; label <= largest; ++label) names.push_back(std::to_string(label));
    return names;
  }

  static std::vector<std::string> named_classes(const std::vector<ListedImage>& list) {
    std::vector<std::string> names;
    for (const ListedImage& image : list) names.push_back(image.label);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  static std::string some(const std::vector<std::string>& names) {
    std::string text;
    for (size_t k = 0; k < names.size() && k < 5; ++k) text += (k == 0 ? "" : ", ") + names[k];
    return names.size() > 5 ? text + ", ..." : text;
  }
};

}  // namespace dino::inline DINO_ABI
