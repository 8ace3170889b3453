// The name that somebody meant: "did you mean" for keys, flags and data sets.
#pragma once

#include <dino/base/config.hpp>

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI {

/// Number of insertions, deletions and replacements of a letter, and swaps of two neighbours, between two words.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool equal = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j - 1] + (equal ? 0 : 1), last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

/// The candidate nearest to what was written: edit distance at most 2, else a shared beginning of 4 letters; or empty.
inline std::string_view suggest(std::string_view written, std::span<const std::string_view> candidates) {
  std::string_view best;
  auto best_rank = std::pair{true, std::numeric_limits<std::size_t>::max()};
  if (written.size() > 64) return best;
  for (const auto candidate : candidates) {
    const auto distance = edit_distance(written, candidate);
    const bool near = distance <= 2 && distance < written.size();
    const bool same_start = written.size() >= 4 && written.substr(0, 4) == candidate.substr(0, 4);
    if ((near || same_start) && std::pair{!near, distance} < best_rank) {
      best = candidate;
      best_rank = {!near, distance};
    }
  }
  return best;
}

}  // namespace dino::inline DINO_ABI
