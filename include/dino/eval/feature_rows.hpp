// Labelled rows that are read block by block, wherever they lie.
#pragma once

#include <dino/eval/features.hpp>

#include <functional>
#include <memory>
#include <span>

namespace dino::inline DINO_ABI {

/// Features of n images, in memory or on disk. Copies share them.
struct FeatureRows {
  i64 dim = 0;
  std::vector<i64> labels;  // (n)
  /// Rows [first, first + rows): where they lie, or read into the buffer. Not to be called from several threads with
  /// the same buffer.
  std::function<std::span<const float>(i64 first, i64 rows, std::vector<float>& buffer)> read;

  i64 size() const { return static_cast<i64>(labels.size()); }
};

/// The rows of a set in memory; it must outlive them.
inline FeatureRows rows_of(const FeatureSet& set) {
  return {
      set.dim, set.labels, [&set](i64 first, i64 rows, std::vector<float>&) {
        return std::span(set.values).subspan(static_cast<size_t>(first * set.dim), static_cast<size_t>(rows * set.dim));
      }};
}

/// The same rows scaled to unit length as they are read, as normalize_rows does. Throws Error{data} when a row holds
/// NaN or infinity.
inline FeatureRows unit_rows(HostContext& ctx, FeatureRows rows) {
  const auto read = [&ctx, from = rows.read, dim = rows.dim](i64 first, i64 count, std::vector<float>& buffer) {
    const auto x = from(first, count, buffer);
    buffer.resize(x.size());
    std::vector<float> norms(static_cast<size_t>(count));
    launch(ctx, kernels::NormalizeForward<float>{.y = buffer.data(),  // may be x itself
                                                 .norm = norms.data(),
                                                 .x = x.data(),
                                                 .rows = count,
                                                 .cols = dim,
                                                 .eps = 1e-12f});
    for (i64 r = 0; r < count; ++r)
      require(std::isfinite(norms[static_cast<size_t>(r)]), ErrorKind::data,
              "features: row {} holds values that are not finite", first + r);
    return std::span<const float>(buffer);
  };
  rows.read = read;
  return rows;
}

/// The rows at these positions, in this order. Throws when a position is outside.
inline FeatureRows select_rows(const FeatureRows& rows, std::vector<i64> positions) {
  FeatureRows out{.dim = rows.dim, .labels = {}, .read = {}};
  for (const i64 i : positions) {
    require(i >= 0 && i < rows.size(), "select_rows: row {} of {}", i, rows.size());
    out.labels.push_back(rows.labels[static_cast<size_t>(i)]);
  }
  const auto at = std::make_shared<const std::vector<i64>>(std::move(positions));
  out.read = [rows, at](i64 first, i64 count, std::vector<float>& buffer) {
    std::vector<float> part;
    buffer.resize(static_cast<size_t>(count * rows.dim));
    for (i64 i = first, run = 0; i < first + count; i += run) {  // neighbouring rows together
      const i64 begin = (*at)[static_cast<size_t>(i)];
      for (run = 1; i + run < first + count && (*at)[static_cast<size_t>(i + run)] == begin + run;) ++run;
      const auto some = rows.read(begin, run, part);
      std::copy(some.begin(), some.end(), buffer.begin() + (i - first) * rows.dim);
    }
    return std::span<const float>(buffer);
  };
  return out;
}

}  // namespace dino::inline DINO_ABI
