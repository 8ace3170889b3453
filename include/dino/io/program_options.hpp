// The table of options of the programs.
#pragma once

#include <dino/io/data_path.hpp>
#include <dino/io/evaluation_options.hpp>
#include <dino/io/picture_options.hpp>
#include <dino/io/run_options.hpp>
#include <dino/io/training_options.hpp>

#include <algorithm>
#include <array>
#include <filesystem>

namespace dino::inline DINO_ABI {

namespace options_detail {

/// The rows of all parts, one after the other.
template <size_t... N> constexpr auto joined(const OptionRow (&...part)[N]) {
  std::array<OptionRow, (N + ...)> all{};
  auto at = all.begin();
  ((at = std::copy(part, part + N, at)), ...);
  return all;
}

inline constexpr auto program_rows = joined(training_rows, evaluation_rows, picture_rows, run_rows);

}  // namespace options_detail

/// Every key of every program. Keys counted in epochs are real numbers: steps = round(x * steps per epoch).
inline std::span<const OptionRow> program_options() { return options_detail::program_rows; }

/// The data set that a path holds: the word synthetic; a folder with the binary files of CIFAR, itself or one level
/// down; otherwise a folder of images. ImageNet is such a folder too, and has the general defaults.
inline std::string recognise_data_set(const std::string& path) {
  if (path == "synthetic") return path;
  const auto folder = data_path(path);
  std::error_code ignored;
  const auto has = [&](const char* inner, const char* file) {
    return std::filesystem::exists(folder / file, ignored) || std::filesystem::exists(folder / inner / file, ignored);
  };
  if (has("cifar-10-batches-bin", "data_batch_1.bin")) return "cifar-10";
  if (has("cifar-100-binary", "train.bin")) return "cifar-100";
  return "folder";
}

}  // namespace dino::inline DINO_ABI
