// How well points of the plane keep the neighbourhoods of the rows that they stand for.
#pragma once

#include <dino/eval/pca.hpp>

#include <limits>

namespace dino::inline DINO_ABI {

/// The k nearest other points of each point (n,2), nearest first, of equally near ones the first: (n,k) positions.
/// Compares all pairs, n^2 distances taken from differences in float. Throws when k is not in 1..n - 1.
inline std::vector<i64> plane_neighbours(HostContext& ctx, std::span<const float> points, i64 k) {
  const i64 n = static_cast<i64>(points.size()) / 2;
  require(k >= 1 && k < n, ErrorKind::data, "plane_neighbours: {} neighbours of {} points", k, n);
  std::vector<float> x(static_cast<size_t>(n)), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = points[2 * i];
    y[i] = points[2 * i + 1];
  }
  std::vector<i64> out(static_cast<size_t>(n * k));
  parallel_rows(ctx, n, n, [&](i64 i) {
    constexpr i64 block = 256;
    float distance[block];
    i64* const found = out.data() + i * k;
    std::vector<float> best(static_cast<size_t>(k), std::numeric_limits<float>::infinity());
    const float xi = x[static_cast<size_t>(i)], yi = y[static_cast<size_t>(i)];
    for (i64 first = 0; first < n; first += block) {
      const i64 count = std::min(block, n - first);
      const float *const bx = x.data() + first, *const by = y.data() + first;
      for (i64 j = 0; j < count; ++j) distance[j] = (bx[j] - xi) * (bx[j] - xi) + (by[j] - yi) * (by[j] - yi);
      for (i64 j = 0; j < count; ++j) {
        if (!(distance[j] < best.back()) || first + j == i) continue;
        i64 at = k - 1;
        for (; at > 0 && distance[j] < best[static_cast<size_t>(at - 1)]; --at) {
          best[static_cast<size_t>(at)] = best[static_cast<size_t>(at - 1)];
          found[at] = found[at - 1];
        }
        best[static_cast<size_t>(at)] = distance[j];
        found[at] = first + j;
      }
    }
    require(std::isfinite(best.back()), ErrorKind::data, "plane_neighbours: point {} or {} others are not finite", i,
            k);
  });
  return out;
}

/// Share of neighbourhoods in the plane that are those of the rows x (n,dim), 1 at best:
///     1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j of the k nearest of i in the plane} max(0, rank(i,j) - k),
/// rank: 1 for the nearest other row of i by Euclidean distance. k < n / 2. The same number as
/// sklearn.manifold.trustworthiness. 2 n^2 dim operations, 4 MB beside copies of the rows. Distances are float: where
/// two differ by less than a few 1e-7 of the squared length of the rows, their ranks may change places.
/// Source: Venna and Kaski 2001.
inline double trustworthiness(HostContext& ctx, std::span<const float> x, i64 dim, std::span<const float> points,
                              i64 k = 5) {
  const i64 n = static_cast<i64>(points.size()) / 2;
  require(dim >= 1 && static_cast<i64>(x.size()) == n * dim, "trustworthiness: {} numbers in rows of {}, {} points",
          x.size(), dim, n);
  require(k >= 1 && 2 * k < n, ErrorKind::data, "trustworthiness: k = {} must be below half of {} points", k, n);
  const auto near = plane_neighbours(ctx, points, k);
  const auto mean = detail::mean_row(x, n, dim);
  std::vector<float> rows(x.size()), halves(static_cast<size_t>(n)), scores;
  parallel_rows(ctx, n, dim, [&](i64 r) {
    double square = 0;
    for (i64 c = r * dim; c < (r + 1) * dim; ++c) {
      const double value = static_cast<double>(x[static_cast<size_t>(c)]) - mean[static_cast<size_t>(c - r * dim)];
      rows[static_cast<size_t>(c)] = static_cast<float>(value);
      square += value * value;
    }
    halves[static_cast<size_t>(r)] = static_cast<float>(square / 2);
  });
  const i64 block = std::clamp<i64>((i64{1} << 20) / n, 1, 256);
  scores.resize(static_cast<size_t>(block * n));
  std::vector<i64> excess(static_cast<size_t>(n));
  for (i64 first = 0; first < n; first += block) {
    const i64 count = std::min(block, n - first);
    launch(ctx, kernels::Gemm<float>{.c = scores.data(),
                                     .a = rows.data() + first * dim,
                                     .b = rows.data(),
                                     .bias = nullptr,
                                     .m = count,
                                     .n = n,
                                     .k = dim,
                                     .stride_c = n,
                                     .stride_a = dim,
                                     .stride_b = dim,
                                     .transpose_a = false,
                                     .transpose_b = true,
                                     .add = false});
    parallel_rows(ctx, count, n * (k + 1), [&](i64 r) {
      float* const score = scores.data() + r * n;  // <x_i,x_j> - |x_j|^2 / 2 falls with the distance
      for (i64 j = 0; j < n; ++j) score[j] -= halves[static_cast<size_t>(j)];
      score[first + r] = -std::numeric_limits<float>::infinity();
      for (i64 m = 0; m < k; ++m) {
        const i64 other = near[static_cast<size_t>((first + r) * k + m)];
        const float own = score[other];
        i32 nearer = 0, equal = 0;
        for (i64 j = 0; j < n; ++j) nearer += score[j] > own;
        for (i64 j = 0; j < other; ++j) equal += score[j] == own;
        excess[static_cast<size_t>(first + r)] += std::max<i64>(0, nearer + equal + 1 - k);
      }
    });
  }
  const double sum = static_cast<double>(std::accumulate(excess.begin(), excess.end(), i64{0}));
  return 1 - sum * 2 / (static_cast<double>(n) * static_cast<double>(k) * static_cast<double>(2 * n - 3 * k - 1));
}

/// Per cent of the labelled points (n,2) whose class most of their k nearest others have; the lower class where votes
/// are equal. Points with a label below 0 neither ask nor vote. NaN when no point is labelled.
inline double plane_knn_accuracy(HostContext& ctx, std::span<const float> points, const std::vector<i64>& labels,
                                 i64 k = 10) {
  const i64 n = static_cast<i64>(labels.size());
  require(static_cast<i64>(points.size()) == 2 * n, "plane_knn_accuracy: {} labels, {} numbers", n, points.size());
  k = std::min(k, n - 1);
  const auto near = plane_neighbours(ctx, points, k);
  i64 asked = 0, right = 0;
  std::vector<i64> votes(static_cast<size_t>(1 + std::max<i64>(0, *std::max_element(labels.begin(), labels.end()))));
  for (i64 i = 0; i < n; ++i) {
    const i64 own = labels[static_cast<size_t>(i)];
    if (own < 0) continue;
    std::fill(votes.begin(), votes.end(), 0);
    for (i64 m = i * k; m < (i + 1) * k; ++m) {
      const i64 label = labels[static_cast<size_t>(near[static_cast<size_t>(m)])];
      if (label >= 0) ++votes[static_cast<size_t>(label)];
    }
    ++asked;
    right += std::max_element(votes.begin(), votes.end()) - votes.begin() == own;
  }
  return 100.0 * static_cast<double>(right) / static_cast<double>(asked);
}

}  // namespace dino::inline DINO_ABI
