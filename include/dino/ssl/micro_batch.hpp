// How many images fit into one pass.
#pragma once

#include <dino/data/multicrop.hpp>
#include <dino/ssl/config.hpp>

#include <fstream>
#include <sstream>

namespace dino::inline DINO_ABI {

/// Bytes that one image keeps alive between forward and backward, all its crops together: per token and block 1 + 3 + 1
/// + 1 rows of C (input, qkv, attention, residual) and the hidden row of the MLP; per token the rows of one block that
/// come and go, 6 of C (norm, branch, gradients) and 2 hidden ones; per crop the head's rows and the logits, for the
/// student and, two crops, the teacher. An estimate from above; bytes_per_value: 4 for float.
inline double activation_bytes(const DinoConfig& config, const std::vector<CropGroup>& groups,
                               double bytes_per_value = 4) {
  const auto& vit = config.backbone;
  double tokens = 0, crops = 0;
  for (const auto& g : groups) {
    const auto grid = static_cast<double>((g.height / vit.patch_size) * (g.width / vit.patch_size));
    tokens += static_cast<double>(g.crops) * (grid + 1);
    crops += static_cast<double>(g.crops);
  }
  const auto dim = static_cast<double>(vit.dim);
  const auto hidden = static_cast<double>(vit.hidden());
  const double kept = static_cast<double>(vit.depth) * (6 * dim + hidden), passing = 6 * dim + 2 * hidden;
  const double trunk = tokens * (kept + passing);
  const double head =
      (crops + 2) * (static_cast<double>(config.head.layers) * 3 * static_cast<double>(config.head.hidden) +
                     2 * static_cast<double>(config.head.outputs));
  return bytes_per_value * (trunk + head);
}

/// Memory that the system can still give, in bytes; 4 GiB where it does not say.
inline double available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    std::string key;
    double kib = 0;
    if (in >> key >> kib && key == "MemAvailable:") return kib * 1024;
  }
  return 4.0 * (1 << 30);
}

/// The largest number of images whose activations take at most half of the memory, as equal a share of the batch as
/// possible. Batch norm needs the whole batch in one pass.
inline i64 choose_micro_batch(const DinoConfig& config, const std::vector<CropGroup>& groups, double memory_bytes) {
  if (config.head.use_bn) return config.batch;
  const double fits = 0.5 * memory_bytes / activation_bytes(config, groups);
  const i64 most = std::max<i64>(1, static_cast<i64>(fits));
  const i64 passes = (config.batch + most - 1) / most;
  return (config.batch + passes - 1) / passes;
}

}  // namespace dino::inline DINO_ABI
