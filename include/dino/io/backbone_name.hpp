// Names of backbones: vit-s-16, vit-d96-l4-h3-4.
#pragma once

#include <dino/io/option_table.hpp>

namespace dino::inline DINO_ABI {

/// Free dimensions of a vision transformer.
struct BackboneSize {
  i64 patch = 0, width = 0, layers = 0, heads = 0;
  bool operator==(const BackboneSize&) const = default;
};

namespace options_detail {

struct NamedWidth {
  std::string_view letter;
  i64 width, layers, heads;
};

inline constexpr std::array<NamedWidth, 3> named_widths{{{"t", 192, 12, 3}, {"s", 384, 12, 6}, {"b", 768, 12, 12}}};
inline constexpr std::array<i64, 4> named_patches{4, 8, 14, 16};

/// The number behind the letter, in 1..limit, or 0.
inline i64 lettered(std::string_view text, std::string_view letter, i64 limit) {
  if (!text.starts_with(letter)) return 0;
  const auto number = whole_number<i64>(text.substr(letter.size()));
  return number && *number >= 1 && *number <= limit ? *number : 0;
}

}  // namespace options_detail

/// The size that a name stands for: vit-{t,s,b}-{4,8,14,16} or vit-d<width>-l<layers>-h<heads>-<patch>.
inline std::optional<BackboneSize> backbone_size(std::string_view name) {
  using namespace options_detail;
  const auto parts = split(name, '-');
  if (parts.size() < 3 || parts.front() != "vit") return std::nullopt;
  BackboneSize size{.patch = lettered(parts.back(), "", 1024)};
  if (parts.size() == 3) {
    if (std::find(named_patches.begin(), named_patches.end(), size.patch) == named_patches.end()) return std::nullopt;
    for (const auto& [letter, width, layers, heads] : named_widths) {
      if (parts[1] == letter) return BackboneSize{size.patch, width, layers, heads};
    }
    return std::nullopt;
  }
  if (parts.size() != 5) return std::nullopt;
  size.width = lettered(parts[1], "d", 65536);
  size.layers = lettered(parts[2], "l", 1024);
  size.heads = lettered(parts[3], "h", 1024);
  const bool good = size.patch != 0 && size.width != 0 && size.layers != 0 && size.heads != 0;
  return good ? std::optional{size} : std::nullopt;
}

/// The name under which runs are filed: a named backbone where all dimensions are its own, else vit-d96-l4-h3-4.
inline std::string backbone_name(const BackboneSize& size, double mlp_ratio) {
  for (const auto& named : options_detail::named_widths) {
    const auto name = str("vit-{}-{}", named.letter, size.patch);
    if (mlp_ratio == 4 && backbone_size(name) == size) return name;
  }
  return str("vit-d{}-l{}-h{}-{}", size.width, size.layers, size.heads, size.patch);
}

}  // namespace dino::inline DINO_ABI
