// The nearest neighbours of some queries, to look at.
#pragma once

#include <dino/eval/knn.hpp>

namespace dino::inline DINO_ABI {

/// A query and the bank rows that are nearest to it, nearest first.
struct KnnExample {
  i64 query = 0;                    // its row
  i64 predicted = -1;               // the class with the most votes; -1: no row of the bank that votes has a label
  double confidence = 0;            // its share of all votes, 0..1
  std::vector<i64> rows{};          // of the bank
  std::vector<float> similarity{};  // of those rows, descending
};

/// At most n rows of `size`, drawn by the seed, ascending.
inline std::vector<i64> draw_examples(i64 size, i64 n, u64 seed) {
  auto rows = permutation(size, RngKey(seed, stream_of("knn examples")), 0);
  if (n < size) rows.resize(static_cast<size_t>(n));
  std::sort(rows.begin(), rows.end());
  return rows;
}

namespace detail {

/// Of the neighbours of one query all but the row `own`; of k + 1 neighbours among which it is not, the last one goes.
inline Neighbours without_row(const Neighbours& found, i64 query, i64 own, i64 k) {
  Neighbours out{.k = 0, .similarity = {}, .index = {}};
  for (i64 i = 0; i < found.k && out.k < k; ++i) {
    const auto at = static_cast<size_t>(query * found.k + i);
    if (found.index[at] == own) continue;
    out.index.push_back(found.index[at]);
    out.similarity.push_back(found.similarity[at]);
    ++out.k;
  }
  return out;
}

inline KnnExample knn_example(const Neighbours& found, i64 query, const std::vector<i64>& labels, i64 classes,
                              i64 shown, const KnnOptions& o) {
  KnnExample out{.query = query};
  const auto votes = knn_votes(found, labels, 0, o.k[0], classes, o.temperature, o.votes);
  double total = 0;
  for (const double v : votes) total += v;
  if (total > 0) {
    const auto most = std::max_element(votes.begin(), votes.end());
    out.predicted = most - votes.begin();
    out.confidence = *most / total;
  }
  const i64 n = std::min(shown, found.k);
  out.rows.assign(found.index.begin(), found.index.begin() + n);
  out.similarity.assign(found.similarity.begin(), found.similarity.begin() + n);
  return out;
}

}  // namespace detail

/// What knn_accuracy sees of the queries at these rows: their class by the votes of k[0] neighbours, and the `shown`
/// nearest ones, both cut to the size of the bank. The search is the same, so are votes and ties. Rows have unit
/// length; a bank without labels has neighbours and no prediction. With leave_one_out the queries are the bank. Throws
/// as knn_accuracy for impossible options; Error(internal) for rows that are not there.
inline std::vector<KnnExample> knn_examples(HostContext& ctx, const FeatureRows& queries, const FeatureRows& bank,
                                            const std::vector<i64>& rows, i64 shown, const KnnOptions& options) {
  require(options.k.size() == 1 && options.k[0] >= 1 && shown >= 1 && options.temperature > 0, ErrorKind::usage,
          "knn examples: {} values of k, {} neighbours to show, temperature {}", options.k.size(), shown,
          options.temperature);
  require(!options.leave_one_out || queries.size() == bank.size(), ErrorKind::data,
          "knn examples: leave-one-out takes the same rows as bank and queries, these are {} and {}", bank.size(),
          queries.size());
  i64 classes = std::max<i64>(options.classes, 1);
  for (const i64 label : bank.labels) {
    require(options.classes == 0 || label < options.classes, ErrorKind::data,
            "knn examples: label {} is out of range, there are {} classes", label, options.classes);
    classes = std::max(classes, label + 1);
  }
  const i64 most = std::max(options.k[0], shown);
  std::vector<KnnExample> out;
  const auto keep = [&](i64 first, const Neighbours& found) {
    for (i64 q = 0; q < static_cast<i64>(found.index.size()) / found.k; ++q) {
      const i64 row = rows[static_cast<size_t>(first + q)], own = options.leave_one_out ? row : -1;
      out.push_back(
          detail::knn_example(detail::without_row(found, q, own, most), row, bank.labels, classes, shown, options));
    }
  };
  detail::search_neighbours(ctx, select_rows(queries, rows), bank, most + (options.leave_one_out ? 1 : 0), false, keep);
  return out;
}

}  // namespace dino::inline DINO_ABI
