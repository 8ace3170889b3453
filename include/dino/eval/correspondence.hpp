// Patches of two pictures that are each other's nearest.
#pragma once

#include <dino/kernels/gemm.hpp>
#include <dino/tensor/copy.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace dino::inline DINO_ABI {

/// Patch a of one picture and patch b of another, and the cosine of their tokens.
struct PatchMatch {
  i64 a = 0, b = 0;
  float similarity = 0;
  friend bool operator==(const PatchMatch&, const PatchMatch&) = default;
};

namespace detail {

/// Rows of length 1; a row of zeros stays.
inline std::vector<float> unit_rows(std::span<const float> x, i64 dim) {
  std::vector<float> out(x.begin(), x.end());
  for (auto row = out.begin(); row != out.end(); row += dim) {
    double square = 0;
    for (i64 c = 0; c < dim; ++c) square += static_cast<double>(row[c]) * static_cast<double>(row[c]);
    require(std::isfinite(square), ErrorKind::data, "best_buddies: a token is not finite");
    if (square == 0) continue;
    for (i64 c = 0; c < dim; ++c) row[c] = static_cast<float>(static_cast<double>(row[c]) / std::sqrt(square));
  }
  return out;
}

struct Nearest {
  i64 index = -1;
  float similarity = -std::numeric_limits<float>::infinity();
};

}  // namespace detail

/// The best buddies among patches a (n,dim) and b (m,dim): pairs of which each is the other's nearest by cosine, the
/// most similar first (of equal ones that with the lower a). Of equally near patches the first is taken. Where masks
/// are given, (n) and (m), only patches whose value is not 0 take part. Throws Error{data} when a token is not finite.
/// Costs 2 n m dim operations; keeps 1024 rows of similarities. Source: Dekel et al. 2015, "Best-Buddies Similarity for
/// Robust Template Matching"; Amir et al. 2021, "Deep ViT Features as Dense Visual Descriptors".
inline std::vector<PatchMatch> best_buddies(HostContext& ctx, std::span<const float> a, std::span<const float> b,
                                            i64 dim, std::span<const u8> mask_a = {}, std::span<const u8> mask_b = {}) {
  require(dim >= 1 && a.size() % static_cast<size_t>(dim) == 0 && b.size() % static_cast<size_t>(dim) == 0,
          "best_buddies: {} and {} numbers in rows of {}", a.size(), b.size(), dim);
  const i64 n = static_cast<i64>(a.size()) / dim, m = static_cast<i64>(b.size()) / dim, step = 1024;
  const auto fits = [](std::span<const u8> mask, i64 rows) {
    return mask.empty() || static_cast<i64>(mask.size()) == rows;
  };
  require(fits(mask_a, n) && fits(mask_b, m), "best_buddies: masks of {} and {} for {} and {} rows", mask_a.size(),
          mask_b.size(), n, m);
  const auto left = detail::unit_rows(a, dim), right = detail::unit_rows(b, dim);
  std::vector<detail::Nearest> of_a(static_cast<size_t>(n)), of_b(static_cast<size_t>(m));
  std::vector<float> cosines(static_cast<size_t>(std::min(n, step) * m));
  for (i64 first = 0; first < n && m > 0; first += step) {
    const i64 rows = std::min(step, n - first);
    launch(ctx, kernels::Gemm<float>{.c = cosines.data(),
                                     .a = left.data() + first * dim,
                                     .b = right.data(),
                                     .bias = nullptr,
                                     .m = rows,
                                     .n = m,
                                     .k = dim,
                                     .stride_c = m,
                                     .stride_a = dim,
                                     .stride_b = dim,
                                     .transpose_a = false,
                                     .transpose_b = true,
                                     .add = false});
    for (i64 i = first; i < first + rows; ++i) {
      if (!mask_a.empty() && !mask_a[static_cast<size_t>(i)]) continue;
      for (i64 j = 0; j < m; ++j) {
        if (!mask_b.empty() && !mask_b[static_cast<size_t>(j)]) continue;
        const float cosine = cosines[static_cast<size_t>((i - first) * m + j)];
        auto& ours = of_a[static_cast<size_t>(i)];
        auto& theirs = of_b[static_cast<size_t>(j)];
        if (cosine > ours.similarity) ours = {j, cosine};
        if (cosine > theirs.similarity) theirs = {i, cosine};
      }
    }
  }
  std::vector<PatchMatch> out;
  for (i64 i = 0; i < n; ++i) {
    const auto& nearest = of_a[static_cast<size_t>(i)];
    if (nearest.index >= 0 && of_b[static_cast<size_t>(nearest.index)].index == i)
      out.push_back({i, nearest.index, nearest.similarity});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const PatchMatch& x, const PatchMatch& y) { return x.similarity > y.similarity; });
  return out;
}

/// At most `count` of the matches, for a picture that is not crowded: best first, and each at least `distance` patches
/// (Euclidean) from all those taken before, in both pictures. width_a, width_b: patches in a row.
inline std::vector<PatchMatch> spread_matches(std::span<const PatchMatch> matches, i64 width_a, i64 width_b, i64 count,
                                              double distance) {
  require(width_a >= 1 && width_b >= 1, "spread_matches: rows of {} and {} patches", width_a, width_b);
  const auto apart = [&](i64 p, i64 q, i64 width) {
    const auto dx = static_cast<double>(p % width - q % width), dy = static_cast<double>(p / width - q / width);
    return std::hypot(dx, dy) >= distance;
  };
  std::vector<PatchMatch> out;
  for (const auto& match : matches) {
    if (static_cast<i64>(out.size()) >= count) break;
    if (std::all_of(out.begin(), out.end(), [&](const PatchMatch& taken) {
          return apart(match.a, taken.a, width_a) && apart(match.b, taken.b, width_b);
        }))
      out.push_back(match);
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
