// Where a data set lies that is called by its name.
#pragma once

#include <dino/base/config.hpp>

#include <filesystem>
#include <string>

namespace dino::inline DINO_ABI {

/// data/<name> for cifar-10, cifar-100 and imagenet-1k, unless something of that name is here; anything else as it is.
inline std::filesystem::path data_path(const std::string& path_or_name) {
  std::error_code error;
  const bool named = path_or_name == "cifar-10" || path_or_name == "cifar-100" || path_or_name == "imagenet-1k";
  if (named && !std::filesystem::exists(path_or_name, error)) return std::filesystem::path("data") / path_or_name;
  return path_or_name;
}

}  // namespace dino::inline DINO_ABI
