// How much points belong together: the probabilities that t-SNE embeds.
#pragma once

#include <dino/eval/pca.hpp>
#include <dino/kernels/cpu/nearest.hpp>

#include <limits>

namespace dino::inline DINO_ABI {

/// A symmetric matrix of probabilities with an empty diagonal, by rows; its sum is 1.
struct Affinities {
  std::vector<i64> rows;      // (n + 1): where the entries of each row begin
  std::vector<i32> columns;   // rising within a row
  std::vector<float> values;  // p_ij

  i64 size() const { return static_cast<i64>(rows.size()) - 1; }
};

namespace detail {

/// p_j = exp(-beta d_j) / sum, with beta such that the entropy -sum p log p is log(perplexity) to 1e-5: bisection, at
/// most 100 steps, as scikit-learn does. d: squared distances. When they are all equal, so are the probabilities.
inline void calibrate_row(const float* d, i64 count, double perplexity, double* p) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const double wanted = std::log(perplexity), nearest = static_cast<double>(*std::min_element(d, d + count));
  double beta = 1, low = 0, high = infinity;
  for (i64 step = 0; step < 100; ++step) {
    double sum = 0, weighted = 0;
    for (i64 j = 0; j < count; ++j) {
      const double further = static_cast<double>(d[j]) - nearest;  // the same p, and one of the terms is 1
      p[j] = std::exp(-beta * further);
      sum += p[j];
      weighted += further * p[j];
    }
    for (i64 j = 0; j < count; ++j) p[j] /= sum;
    const double excess = std::log(sum) + beta * weighted / sum - wanted;
    if (std::abs(excess) <= 1e-5) return;
    (excess > 0 ? low : high) = beta;
    beta = high == infinity ? 2 * beta : (low + high) / 2;
  }
}

/// The k nearest other rows of each row of x (n,dim) by Euclidean distance: positions (n,k), squared distances (n,k).
struct NearestOthers {
  std::vector<i64> index;
  std::vector<float> distance;
};

/// Squared distance between two rows, summed in double.
inline float squared_distance(const float* a, const float* b, i64 dim) {
  constexpr i64 lanes = 8;
  double sum[lanes] = {};
  for (i64 c = 0; c < dim; ++c) {
    const double difference = static_cast<double>(a[c]) - static_cast<double>(b[c]);
    sum[c % lanes] += difference * difference;
  }
  double total = 0;
  for (const double s : sum) total += s;
  return static_cast<float>(total);
}

/// |x - y|^2 = |x|^2 - 2 (<x,y> - |y|^2 / 2): the nearest are the largest products of (x, 1) and (y, -|y|^2 / 2), with
/// the mean taken off, so that little cancels. Distances of those that are found are taken anew.
inline NearestOthers nearest_others(HostContext& ctx, std::span<const float> x, i64 dim, i64 k) {
  const i64 n = static_cast<i64>(x.size()) / dim, wide = dim + 1;
  const auto mean = mean_row(x, n, dim);
  std::vector<float> queries(static_cast<size_t>(n * wide)), bank(queries.size()),
      similarity(static_cast<size_t>(n * k));
  parallel_rows(ctx, n, dim, [&](i64 r) {
    double square = 0;
    for (i64 c = 0; c < dim; ++c) {
      const double value = static_cast<double>(x[static_cast<size_t>(r * dim + c)]) - mean[static_cast<size_t>(c)];
      square += value * value;
      queries[static_cast<size_t>(r * wide + c)] = bank[static_cast<size_t>(r * wide + c)] = static_cast<float>(value);
    }
    queries[static_cast<size_t>(r * wide + dim)] = 1;
    bank[static_cast<size_t>(r * wide + dim)] = static_cast<float>(-square / 2);
  });
  NearestOthers out;
  out.index.resize(similarity.size());
  out.distance.resize(similarity.size());
  constexpr i64 together = 4096;  // queries whose candidates are kept at a time
  for (i64 first = 0; first < n; first += together) {
    const i64 count = std::min(together, n - first);
    kernels::NearestRows search(ctx, queries.data() + first * wide, count, wide, k, first);
    search.add(ctx, bank.data(), n);
    search.finish(ctx, k, similarity.data() + first * k, out.index.data() + first * k);
  }
  parallel_rows(ctx, n, k * dim, [&](i64 r) {
    for (i64 j = r * k; j < (r + 1) * k; ++j)
      out.distance[static_cast<size_t>(j)] =
          squared_distance(x.data() + r * dim, x.data() + out.index[static_cast<size_t>(j)] * dim, dim);
  });
  return out;
}

/// (p_j|i + p_i|j) / (2n) from k conditional probabilities p_j|i in each row.
inline Affinities symmetric(const std::vector<i64>& index, const std::vector<double>& p, i64 n, i64 k) {
  struct Entry {
    i64 column;
    double value;
  };
  std::vector<i64> begin(static_cast<size_t>(n + 1), 0);
  for (size_t i = 0; i < index.size(); ++i) {
    ++begin[i / static_cast<size_t>(k) + 1];
    ++begin[static_cast<size_t>(index[i]) + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<Entry> entries(2 * index.size());
  auto next = begin;
  for (size_t i = 0; i < index.size(); ++i) {
    const i64 row = static_cast<i64>(i) / k;
    entries[static_cast<size_t>(next[static_cast<size_t>(row)]++)] = {index[i], p[i]};
    entries[static_cast<size_t>(next[static_cast<size_t>(index[i])]++)] = {row, p[i]};
  }
  Affinities out;
  out.rows.push_back(0);
  for (size_t r = 0; r < static_cast<size_t>(n); ++r) {
    const auto first = entries.begin() + begin[r], last = entries.begin() + begin[r + 1];
    std::sort(first, last, [](const Entry& a, const Entry& b) { return a.column < b.column; });
    for (auto e = first; e != last;) {
      double sum = 0;  // of one, or of two that are neighbours of each other
      const i64 column = e->column;
      for (; e != last && e->column == column; ++e) sum += e->value;
      out.columns.push_back(static_cast<i32>(column));
      out.values.push_back(static_cast<float>(sum / (2 * static_cast<double>(n))));
    }
    out.rows.push_back(static_cast<i64>(out.columns.size()));
  }
  return out;
}

inline Affinities nearest_affinities(HostContext& ctx, std::span<const float> x, i64 dim, double perplexity) {
  const i64 n = static_cast<i64>(x.size()) / dim, k = std::min(n - 1, static_cast<i64>(3 * perplexity + 1));
  const auto near = nearest_others(ctx, x, dim, k);
  std::vector<double> p(near.distance.size());
  parallel_rows(ctx, n, 100 * k,
                [&](i64 r) { calibrate_row(near.distance.data() + r * k, k, perplexity, p.data() + r * k); });
  return symmetric(near.index, p, n, k);
}

inline Affinities all_affinities(HostContext& ctx, std::span<const float> x, i64 dim, double perplexity) {
  const i64 n = static_cast<i64>(x.size()) / dim, k = n - 1;
  std::vector<double> p(static_cast<size_t>(n * k));  // row r without column r
  parallel_rows(ctx, n, n * dim, [&](i64 r) {
    std::vector<float> distance;
    for (i64 j = 0; j < n; ++j)
      if (j != r) distance.push_back(squared_distance(x.data() + r * dim, x.data() + j * dim, dim));
    calibrate_row(distance.data(), k, perplexity, p.data() + r * k);
  });
  Affinities out;
  out.columns.resize(p.size());
  out.values.resize(p.size());
  for (i64 r = 0; r <= n; ++r) out.rows.push_back(r * k);
  parallel_rows(ctx, n, 4 * n, [&](i64 r) {
    for (i64 at = r * k, j = 0; j < n; ++j) {
      if (j == r) continue;
      const double own = p[static_cast<size_t>(at)], other = p[static_cast<size_t>(j * k + r - (r > j ? 1 : 0))];
      out.columns[static_cast<size_t>(at)] = static_cast<i32>(j);
      out.values[static_cast<size_t>(at++)] = static_cast<float>((own + other) / (2 * static_cast<double>(n)));
    }
  });
  return out;
}

}  // namespace detail

/// The joint probabilities of t-SNE for rows x (n,dim): Gaussians around each row that see `perplexity` others,
///     p_ij = (p_j|i + p_i|j) / (2n),   p_j|i = exp(-beta_i |x_i - x_j|^2) / sum_k exp(-beta_i |x_i - x_k|^2),
/// over all others (all = true: 16 n^2 bytes while it works), or over the min(n - 1, 3 perplexity + 1) nearest ones
/// (found exactly, 2 n^2 dim operations). Distances in float, the rest in double. Equal to scikit-learn's to 1e-5.
/// Throws Error{data} when the rows are too few for the perplexity, which then no Gaussian has, or not finite.
/// Source: van der Maaten and Hinton 2008, van der Maaten 2014.
inline Affinities tsne_affinities(HostContext& ctx, std::span<const float> x, i64 dim, double perplexity, bool all) {
  require(dim >= 1 && static_cast<i64>(x.size()) % dim == 0, "tsne: {} numbers in rows of {}", x.size(), dim);
  require(perplexity > 1, ErrorKind::usage, "tsne: perplexity {} must be above 1", perplexity);
  const i64 n = static_cast<i64>(x.size()) / dim;
  require(static_cast<double>(n) > perplexity + 1, ErrorKind::data,
          "tsne: perplexity {} needs {} points or more, there are {}. Take more, or a perplexity of at most a third of "
          "their number",
          perplexity, static_cast<i64>(perplexity) + 2, n);
  require(n < (i64{1} << 31), ErrorKind::data, "tsne: {} points are too many", n);
  for (const float value : x) require(std::isfinite(value), ErrorKind::data, "tsne: a value of the rows is not finite");
  return all ? detail::all_affinities(ctx, x, dim, perplexity) : detail::nearest_affinities(ctx, x, dim, perplexity);
}

}  // namespace dino::inline DINO_ABI
