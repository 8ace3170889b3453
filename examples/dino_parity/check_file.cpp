// Which files there are, and which check each of them wants.
#include "items.hpp"

#include <algorithm>
#include <array>

namespace parity {
namespace {

constexpr std::array<std::pair<const char*, Check>, 9> kinds{{{"vit", check_vit},
                                                              {"head", check_head},
                                                              {"loss", check_loss},
                                                              {"optimizer", check_optimizer},
                                                              {"ema", check_ema},
                                                              {"knn", check_knn},
                                                              {"trajectory", check_trajectory},
                                                              {"photo", check_photo},
                                                              {"features", check_features}}};

}  // namespace

std::vector<Item> check_file(const std::filesystem::path& path, HostContext& ctx) {
  Golden file(path);
  const auto kind = file.text("kind");
  std::string known;
  for (const auto& [name, check] : kinds) {
    if (kind == name) {
      try {
        return check(file, ctx);
      } catch (const Error& error) {
        if (std::string(error.what()).find(file.path()) != std::string::npos) throw;
        fail(ErrorKind::weights, "{}: {}", file.path(), error.what());
      }
    }
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  file.check(false, "kind \"{}\" is not known to this version, which checks {}", kind, known);
  return {};
}

std::vector<std::filesystem::path> golden_files(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  require(fs::exists(path), ErrorKind::weights, "{}: no such file or folder", path.string());
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  require(!files.empty(), ErrorKind::weights,
          "{}: the folder has no golden files (*.safetensors). tools/reference/parity.py writes them, docs/parity.md "
          "describes them",
          path.string());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace parity
