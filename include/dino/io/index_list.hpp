// Lists of numbers from 0 as a user writes them.
#pragma once

#include <dino/io/option_table.hpp>

namespace dino::inline DINO_ABI {

/// The numbers of "0,3", "0..11" (both ends included) or "0,4..6", in their order; nothing for any other text, for a
/// number above 9,999 and for one that stands twice.
inline std::optional<std::vector<i64>> index_list(std::string_view text) {
  using options_detail::whole_number;
  std::vector<i64> out;
  for (const auto part : options_detail::split(text, ',')) {
    const auto dots = part.find("..");
    const auto first = whole_number<i64>(part.substr(0, dots));
    const auto last = dots == std::string_view::npos ? first : whole_number<i64>(part.substr(dots + 2));
    if (!first || !last || *first < 0 || *last < *first || *last > 9999) return std::nullopt;
    for (i64 i = *first; i <= *last; ++i) {
      if (std::find(out.begin(), out.end(), i) != out.end()) return std::nullopt;
      out.push_back(i);
    }
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
