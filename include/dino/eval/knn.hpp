// Weighted k-nearest-neighbour classification on frozen features.
#pragma once

#include <dino/eval/features.hpp>
#include <dino/kernels/gemm.hpp>
#include <dino/kernels/topk.hpp>

#include <algorithm>
#include <cmath>

namespace dino::inline DINO_ABI {

/// The k nearest bank rows of each query: similarities (n,k) descending, and their positions (n,k).
struct Neighbours {
  i64 k = 0;
  std::vector<float> similarity;
  std::vector<i64> index;
};

/// By dot product, in blocks: beside the features themselves, a few MB whatever the size of the bank.
/// queries and bank are rows of unit length (normalize_rows). k is cut to the size of the bank.
inline Neighbours nearest_neighbours(HostContext& ctx, const FeatureSet& queries, const FeatureSet& bank, i64 k) {
  constexpr i64 query_block = 256, bank_block = 4096;
  require(queries.dim == bank.dim && bank.size() > 0 && k >= 1, "knn: queries of {} values, bank of {} x {}, k = {}",
          queries.dim, bank.size(), bank.dim, k);
  Neighbours found{.k = std::min(k, bank.size()), .similarity = {}, .index = {}};
  found.similarity.resize(static_cast<size_t>(queries.size() * found.k));
  found.index.resize(found.similarity.size());
  const HostTensor<float> scores(ctx, {query_block, bank_block});
  for (i64 q = 0; q < queries.size(); q += query_block) {
    const i64 rows = std::min(query_block, queries.size() - q);
    for (i64 b = 0; b < bank.size(); b += bank_block) {
      const i64 cols = std::min(bank_block, bank.size() - b);
      launch(ctx, kernels::Gemm<float>{.c = scores.data(),
                                       .a = queries.values.data() + q * queries.dim,
                                       .b = bank.values.data() + b * bank.dim,
                                       .bias = nullptr,
                                       .m = rows,
                                       .n = cols,
                                       .k = bank.dim,
                                       .stride_c = cols,
                                       .stride_a = queries.dim,
                                       .stride_b = bank.dim,
                                       .transpose_a = false,
                                       .transpose_b = true,
                                       .add = false});
      launch(ctx, kernels::TopK<float>{.value = found.similarity.data() + q * found.k,
                                       .index = found.index.data() + q * found.k,
                                       .x = scores.data(),
                                       .rows = rows,
                                       .cols = cols,
                                       .k = found.k,
                                       .first = b,
                                       .filled = std::min(found.k, b)});
    }
  }
  return found;
}

/// Votes of one query: for each class the sum of exp(similarity / temperature) over its first k neighbours.
inline std::vector<double> knn_votes(const Neighbours& found, const std::vector<i64>& labels, i64 query, i64 k,
                                     i64 classes, double temperature) {
  std::vector<double> votes(static_cast<size_t>(classes), 0.0);
  for (i64 i = 0; i < std::min(k, found.k); ++i) {
    const auto at = static_cast<size_t>(query * found.k + i);
    const i64 label = labels[static_cast<size_t>(found.index[at])];
    if (label >= 0)
      votes[static_cast<size_t>(label)] += std::exp(static_cast<double>(found.similarity[at]) / temperature);
  }
  return votes;
}

struct KnnScore {
  i64 k = 0;
  double top1 = 0, top5 = 0;  // per cent; top5 counts a class among the first min(5, k)
};

/// The protocol of the reference (eval_knn.py): cosine similarity, exponential weights with temperature 0.07, no
/// subtraction. Equal votes go to the lower class. Both sets are labelled and have unit rows.
inline std::vector<KnnScore> knn_accuracy(HostContext& ctx, const FeatureSet& queries, const FeatureSet& bank,
                                          const std::vector<i64>& ks, double temperature = 0.07) {
  require(!ks.empty() && *std::min_element(ks.begin(), ks.end()) >= 1 && temperature > 0, ErrorKind::usage,
          "knn: {} values of k, each at least 1, and temperature {}, above 0", ks.size(), temperature);
  require(queries.size() > 0 && bank.size() > 0, ErrorKind::data, "knn: {} queries, bank of {}", queries.size(),
          bank.size());
  const auto labelled = [](const FeatureSet& set) {
    return *std::min_element(set.labels.begin(), set.labels.end()) >= 0;
  };
  require(labelled(queries) && labelled(bank), ErrorKind::data, "knn: bank and queries must be labelled");
  const auto found = nearest_neighbours(ctx, queries, bank, *std::max_element(ks.begin(), ks.end()));
  const i64 classes = 1 + std::max(*std::max_element(bank.labels.begin(), bank.labels.end()),
                                   *std::max_element(queries.labels.begin(), queries.labels.end()));
  std::vector<KnnScore> scores;
  for (const i64 k : ks) {
    i64 first = 0, among5 = 0;
    for (i64 q = 0; q < queries.size(); ++q) {
      const auto votes = knn_votes(found, bank.labels, q, k, classes, temperature);
      const i64 truth = queries.labels[static_cast<size_t>(q)];
      i64 rank = 0;  // classes that stand before the true one
      for (i64 c = 0; c < classes; ++c) {
        const double vote = votes[static_cast<size_t>(c)], own = votes[static_cast<size_t>(truth)];
        rank += vote > own || (vote == own && c < truth) ? 1 : 0;
      }
      first += rank == 0 ? 1 : 0;
      among5 += rank < std::min<i64>(5, k) ? 1 : 0;
    }
    const auto percent = [&](i64 count) {
      return 100.0 * static_cast<double>(count) / static_cast<double>(queries.size());
    };
    scores.push_back({k, percent(first), percent(among5)});
  }
  return scores;
}

}  // namespace dino::inline DINO_ABI
