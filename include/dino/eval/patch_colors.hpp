// Patch tokens as colours: three principal components as red, green and blue, the background left out.
#pragma once

#include <dino/eval/pca.hpp>

#include <algorithm>
#include <numeric>

namespace dino::inline DINO_ABI {

/// The patch tokens of one picture, (height width,C), row by row.
struct PatchGrid {
  i64 height = 0, width = 0;
  std::span<const float> tokens;

  i64 patches() const { return height * width; }
  bool on_border(i64 patch) const {
    const i64 y = patch / width, x = patch % width;
    return y == 0 || x == 0 || y == height - 1 || x == width - 1;
  }
};

struct PatchColors {
  i64 height = 0, width = 0;
  std::vector<float> rgb;      // (height width,3), in [0, 1]; 0 in the background
  std::vector<u8> foreground;  // (height width), 0 or 1
};

struct PatchColorOptions {
  bool remove_background = true;
  double threshold = 0;  // of the first component, in its standard deviations, from its mean to the foreground
};

namespace detail {

/// For all patches of all pictures, one after the other, whether the first component says foreground. It has two sides;
/// the background is the one that lies at the borders of the pictures with the larger part of its patches. A picture
/// that would be all background, because the pictures differ more than what is in them, is divided at its own mean.
inline std::vector<u8> foreground_patches(HostContext& ctx, std::span<const PatchGrid> grids,
                                          const std::vector<float>& tokens, i64 dim, double threshold) {
  const auto pca = principal_components(ctx, tokens, dim, 1);
  const auto along = project(ctx, pca, tokens);
  double count[2] = {0, 0}, border[2] = {0, 0};
  size_t at = 0;
  for (const auto& grid : grids)
    for (i64 p = 0; p < grid.patches(); ++p, ++at) {
      const size_t side = along[at] > 0;
      ++count[side];
      border[side] += grid.on_border(p);
    }
  const double sign = border[1] * count[0] > border[0] * count[1] ? -1 : 1;
  const double least = threshold * std::sqrt(pca.variance[0]);
  std::vector<u8> out;
  auto from = along.begin();
  for (const auto& grid : grids) {
    const auto end = from + grid.patches();
    const auto judge = [&](double mean) {
      return std::count_if(from, end, [&](float x) {
        out.push_back(sign * (static_cast<double>(x) - mean) > least);
        return out.back() != 0;
      });
    };
    if (judge(0) == 0) {
      out.resize(out.size() - static_cast<size_t>(grid.patches()));
      judge(std::accumulate(from, end, 0.0) / static_cast<double>(grid.patches()));
    }
    from = end;
  }
  return out;
}

}  // namespace detail

/// Colours of the patches of several pictures, from one basis, so that equal parts have equal colours:
///     1. the first principal component of all patches cuts off the background (the side with more of its patches at
///        the borders),
///     2. the first three components of the other patches, each scaled from its least and greatest value to [0, 1].
/// Everything is foreground when fewer than two patches would be left, or without remove_background. A component that
/// all patches share is 1/2. Throws Error{data} when a token is not finite.
/// Source: Oquab et al. 2024, "DINOv2", section 7.5 and figure 1; which side is the background, and that no picture is
/// all background, are rules of this file.
inline std::vector<PatchColors> patch_colors(HostContext& ctx, std::span<const PatchGrid> grids, i64 dim,
                                             const PatchColorOptions& options = {}) {
  std::vector<float> tokens;
  for (const auto& grid : grids) {
    require(grid.patches() >= 1 && static_cast<i64>(grid.tokens.size()) == grid.patches() * dim,
            "patch_colors: {} numbers for {} x {} patches of {}", grid.tokens.size(), grid.height, grid.width, dim);
    tokens.insert(tokens.end(), grid.tokens.begin(), grid.tokens.end());
  }
  if (tokens.empty()) return {};
  const size_t n = tokens.size() / static_cast<size_t>(dim);
  std::vector<u8> foreground(n, 1);
  if (options.remove_background) foreground = detail::foreground_patches(ctx, grids, tokens, dim, options.threshold);
  if (std::count(foreground.begin(), foreground.end(), 1) < 2) foreground.assign(n, 1);

  std::vector<float> rows;
  for (size_t i = 0; i < n; ++i) {
    const auto row = tokens.begin() + static_cast<i64>(i) * dim;
    if (foreground[i]) rows.insert(rows.end(), row, row + dim);
  }
  auto values = project(ctx, principal_components(ctx, rows, dim, 3), rows);  // (foreground,3)
  for (size_t c = 0; c < 3; ++c) {
    float low = values[c], high = low;
    for (size_t i = c; i < values.size(); i += 3) low = std::min(low, values[i]), high = std::max(high, values[i]);
    for (size_t i = c; i < values.size(); i += 3) values[i] = high > low ? (values[i] - low) / (high - low) : 0.5f;
  }

  std::vector<PatchColors> out;
  size_t at = 0, from = 0;
  for (const auto& grid : grids) {
    auto& picture = out.emplace_back(PatchColors{grid.height, grid.width, {}, {}});
    for (i64 p = 0; p < grid.patches(); ++p, ++at) {
      picture.foreground.push_back(foreground[at]);
      for (size_t c = 0; c < 3; ++c) picture.rgb.push_back(foreground[at] ? values[from + c] : 0.0f);
      if (foreground[at]) from += 3;
    }
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
