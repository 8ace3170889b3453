// The heads of DINOv2's linear evaluation: rates x blocks x pooling.
#pragma once

#include <dino/eval/linear_probe.hpp>
#include <dino/eval/probe_features.hpp>

namespace dino::inline DINO_ABI {

/// Rates at a batch of 256. Source: dinov2/eval/linear.py, the default of --learning-rates.
inline constexpr std::array<double, 13> sweep_rates{1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3,
                                                    2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1};

/// One head for each rate, number of last blocks and choice of pooling that features of `input` hold. width: of a
/// token. A rate is multiplied by batch / 256. Without pooling in the features: 13 heads for each number of blocks.
/// Names: blocks-4-cls-lr-0.001, blocks-1-cls+mean-lr-0.1; the number is the rate at a batch of 256.
inline std::vector<ProbeHead> sweep_heads(const ProbeInput& input, i64 width, i64 batch) {
  std::vector<ProbeHead> heads;
  std::vector<i64> blocks{1};
  if (input.blocks > 1) blocks.push_back(input.blocks);
  for (const i64 n : blocks) {
    for (const bool pooled : {false, true}) {
      if (pooled && !input.pooled) continue;
      const ProbeInput part{n, pooled};
      const i64 begin = (input.blocks - n) * width;
      for (const double rate : sweep_rates)
        heads.push_back({str("blocks-{}-{}-lr-{}", n, part.pooling(), number_text(rate)), begin,
                         begin + part.dim(width), rate * static_cast<double>(batch) / 256});
    }
  }
  return heads;
}

/// The position of the greatest accuracy; of equal ones the first.
inline i64 best_head(const std::vector<double>& accuracies) {
  require(!accuracies.empty(), "best_head: no accuracies");
  return std::max_element(accuracies.begin(), accuracies.end()) - accuracies.begin();
}

}  // namespace dino::inline DINO_ABI
