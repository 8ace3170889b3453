// Labels of a flat validation folder, as ImageNet's is delivered: pictures in val/, labels in a file beside them.
#pragma once

#include <dino/data/image_list.hpp>

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

namespace detail {

inline std::optional<std::filesystem::path> first_existing(const std::vector<std::filesystem::path>& paths) {
  std::error_code error;
  for (const auto& path : paths) {
    if (std::filesystem::is_regular_file(path, error)) return path;
  }
  return std::nullopt;
}

/// LOC_val_solution.csv of Kaggle: `ILSVRC2012_val_00000001,n01751748 20 ...` below one line of headings. The first
/// word behind the comma is the class; more than one object may follow.
inline std::vector<ListedImage> read_kaggle_solution(const std::filesystem::path& file) {
  std::vector<ListedImage> list;
  i64 number = 0;
  for (const std::string& line : text_lines(file)) {
    if (++number == 1 || line.empty()) continue;
    const size_t comma = line.find(',');
    require(comma != std::string::npos, ErrorKind::data, "{}:{}: \"{}\" has no comma. Expected IMAGE,WNID ...",
            file.string(), number, line.substr(0, 80));
    const auto label = trimmed(std::string_view(line).substr(comma + 1));
    list.push_back({line.substr(0, comma) + ".JPEG", std::string(label.substr(0, label.find(' '))), number});
  }
  require(!list.empty(), ErrorKind::data, "{}: no lines. Expected IMAGE,WNID ...", file.string());
  return list;
}

}  // namespace detail

/// The pictures of the flat folder root/split with the labels of a file: `<split>.txt` (lines `name label`, label a
/// number in the order of `classes`, or the name of a class), or LOC_<split>_solution.csv; in root, or in the folder
/// itself. Nothing when there is no such file. Throws Error{data} as ImageList does.
inline std::optional<ImageList> labelled_by_file(const std::filesystem::path& root, const std::string& split,
                                                 const std::vector<std::string>& classes) {
  const std::string list = split + ".txt", kaggle = "LOC_" + split + "_solution.csv";
  if (const auto file = detail::first_existing({root / list, root / split / list})) {
    return ImageList(*file, read_image_list(*file), classes, root / split);
  }
  if (const auto file = detail::first_existing({root / kaggle, root / split / kaggle})) {
    return ImageList(*file, detail::read_kaggle_solution(*file), classes, root / split);
  }
  return std::nullopt;
}

}  // namespace dino::inline DINO_ABI
