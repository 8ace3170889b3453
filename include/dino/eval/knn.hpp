// k-nearest-neighbour classification on frozen features.
#pragma once

#include <dino/data/sampler.hpp>
#include <dino/eval/classification.hpp>
#include <dino/eval/feature_rows.hpp>
#include <dino/kernels/cpu/nearest.hpp>

#include <algorithm>
#include <cmath>

namespace dino::inline DINO_ABI {

/// The k nearest bank rows of each query: similarities (n,k) descending, and their positions (n,k).
struct Neighbours {
  i64 k = 0;
  std::vector<float> similarity;
  std::vector<i64> index;
};

namespace detail {

/// Queries that are searched together: what the search keeps of them stays below 256 MiB, so that the bank is read few
/// times and memory does not grow with the sets.
inline i64 queries_together(i64 dim, i64 k) {
  const double each = kernels::NearestRows::bytes(1, dim, k) + 4.0 * static_cast<double>(dim + 3 * k);
  return std::clamp<i64>(static_cast<i64>(0x1p28 / each), 32, 16384);
}

/// Rows of the bank that are read at a time: 16 MiB or less.
inline i64 rows_together(i64 dim) { return std::clamp<i64>((i64{4} << 20) / std::max<i64>(1, dim), 16, 4096); }

/// Calls visit(first query, neighbours) block by block.
template <class Visit> void search_neighbours(HostContext& ctx, const FeatureRows& queries, const FeatureRows& bank,
                                              i64 k, bool leave_one_out, const Visit& visit) {
  require(queries.dim == bank.dim && bank.size() > 0 && k >= 1, "knn: queries of {} values, bank of {} x {}, k = {}",
          queries.dim, bank.size(), bank.dim, k);
  require(!leave_one_out || (bank.size() == queries.size() && bank.size() > 1), ErrorKind::data,
          "knn: leave-one-out takes at least two rows that are bank and queries, these are {} and {}", bank.size(),
          queries.size());
  const i64 most = std::min(k, bank.size() - (leave_one_out ? 1 : 0));
  const i64 step = queries_together(bank.dim, most), block = rows_together(bank.dim);
  std::vector<float> buffer;
  for (i64 q = 0; q < queries.size(); q += step) {
    const i64 count = std::min(step, queries.size() - q);
    kernels::NearestRows search(ctx, queries.read(q, count, buffer).data(), count, bank.dim, most,
                                leave_one_out ? q : -1);
    for (i64 b = 0; b < bank.size(); b += block) {
      const i64 rows = std::min(block, bank.size() - b);
      search.add(ctx, bank.read(b, rows, buffer).data(), rows);
    }
    Neighbours found{.k = most, .similarity = {}, .index = {}};
    found.similarity.resize(static_cast<size_t>(count * most));
    found.index.resize(found.similarity.size());
    search.finish(ctx, most, found.similarity.data(), found.index.data());
    visit(q, found);
  }
}

}  // namespace detail

/// By scalar product, in blocks. queries and bank are rows of unit length (normalize_rows). k is cut to the size of the
/// bank. Neither blocks nor threads change a bit.
inline Neighbours nearest_neighbours(HostContext& ctx, const FeatureSet& queries, const FeatureSet& bank, i64 k) {
  Neighbours all;
  detail::search_neighbours(ctx, rows_of(queries), rows_of(bank), k, false, [&](i64, const Neighbours& found) {
    all.k = found.k;
    all.similarity.insert(all.similarity.end(), found.similarity.begin(), found.similarity.end());
    all.index.insert(all.index.end(), found.index.begin(), found.index.end());
  });
  return all;
}

/// What a neighbour adds to the votes of its class.
enum class KnnVotes {
  weighted,  // exp(similarity / temperature)
  majority,  // 1
};

/// The votes of a word: weighted, majority. Throws Error{usage} for any other.
inline KnnVotes knn_votes_of(std::string_view word) {
  require(word == "weighted" || word == "majority", ErrorKind::usage, "votes = {} must be one of weighted, majority",
          word);
  return word == "majority" ? KnnVotes::majority : KnnVotes::weighted;
}

struct KnnOptions {
  std::vector<i64> k;  // neighbours that vote, cut to the size of the bank
  double temperature = 0.07;
  KnnVotes votes = KnnVotes::weighted;
  bool leave_one_out = false;  // queries are the bank, and none is its own neighbour
  i64 classes = 0;             // 0: one more than the highest label
};

/// Votes of one query: for each class the sum of exp(similarity / temperature), or of 1, over its first k neighbours.
inline std::vector<double> knn_votes(const Neighbours& found, const std::vector<i64>& labels, i64 query, i64 k,
                                     i64 classes, double temperature, KnnVotes kind = KnnVotes::weighted) {
  std::vector<double> votes(static_cast<size_t>(classes), 0.0);
  for (i64 i = 0; i < std::min(k, found.k); ++i) {
    const auto at = static_cast<size_t>(query * found.k + i);
    const i64 label = labels[static_cast<size_t>(found.index[at])];
    if (label < 0) continue;
    votes[static_cast<size_t>(label)] +=
        kind == KnnVotes::majority ? 1.0 : std::exp(static_cast<double>(found.similarity[at]) / temperature);
  }
  return votes;
}

struct KnnScore {
  i64 k = 0;
  double top1 = 0, top5 = 0;             // per cent; top5 counts a class among the first min(5, k)
  std::vector<i64> images{}, correct{};  // (classes): queries, and those of them that got their class

  /// Mean over the classes that have queries, per cent; NaN when there are none.
  double mean_class_accuracy() const {
    double total = 0, counted = 0;
    for (size_t c = 0; c < images.size(); ++c) {
      if (images[c] == 0) continue;
      total += 100.0 * static_cast<double>(correct[c]) / static_cast<double>(images[c]);
      ++counted;
    }
    return total / counted;
  }
};

namespace detail {

inline void check_knn_labels(const std::vector<i64>& labels, const char* what, i64 classes) {
  for (size_t i = 0; i < labels.size(); ++i) {
    require(labels[i] >= 0, ErrorKind::data, "knn: bank and queries must be labelled");
    require(classes == 0 || labels[i] < classes, ErrorKind::data,
            "knn: label {} of {} {} is out of range, there are {} classes", labels[i], what, i, classes);
  }
}

inline i64 check_knn(const FeatureRows& queries, const FeatureRows& bank, const KnnOptions& o) {
  require(!o.k.empty() && *std::min_element(o.k.begin(), o.k.end()) >= 1 && o.temperature > 0, ErrorKind::usage,
          "knn: {} values of k, each at least 1, and temperature {}, above 0", o.k.size(), o.temperature);
  require(o.votes == KnnVotes::majority || o.temperature >= 0.0015, ErrorKind::usage,
          "knn: temperature {} is too small, exp(1 / temperature) overflows; take 0.0015 or more", o.temperature);
  require(queries.size() > 0 && bank.size() > 0, ErrorKind::data, "knn: {} queries, bank of {}", queries.size(),
          bank.size());
  check_knn_labels(queries.labels, "query", o.classes);
  check_knn_labels(bank.labels, "bank row", o.classes);
  if (o.classes > 0) return o.classes;
  return 1 + std::max(*std::max_element(bank.labels.begin(), bank.labels.end()),
                      *std::max_element(queries.labels.begin(), queries.labels.end()));
}

/// Classes that stand before the true one: with more votes, or as many and a lower number.
inline i64 rank_of(const std::vector<double>& votes, i64 truth) {
  const double own = votes[static_cast<size_t>(truth)];
  i64 rank = 0;
  for (i64 c = 0; c < static_cast<i64>(votes.size()); ++c) {
    const double vote = votes[static_cast<size_t>(c)];
    rank += vote > own || (vote == own && c < truth) ? 1 : 0;
  }
  return rank;
}

}  // namespace detail

/// The protocol of the reference (eval_knn.py): cosine similarity, exponential weights with temperature 0.07, no
/// subtraction; or votes that count alike. Equal votes go to the lower class. Rows are labelled and have unit length
/// (unit_rows). Both sides may lie on disk: memory is labels, 256 MiB of the search and 16 MiB of the bank, whatever
/// the sizes, as long as k and the dimension are below 10,000. The bank is read once for every 16,384 queries or fewer.
/// Throws Error{data} for labels that are missing or out of range, Error{usage} for impossible options.
inline std::vector<KnnScore> knn_accuracy(HostContext& ctx, const FeatureRows& queries, const FeatureRows& bank,
                                          const KnnOptions& options) {
  const i64 classes = detail::check_knn(queries, bank, options);
  std::vector<KnnScore> scores;
  for (const i64 k : options.k) {
    const std::vector<i64> none(static_cast<size_t>(classes), 0);
    scores.push_back({.k = k, .images = none, .correct = none});
  }
  std::vector<i64> ranks;
  i64 most = *std::max_element(options.k.begin(), options.k.end());
  const auto count = [&](i64 first, const Neighbours& found) {
    const i64 rows = static_cast<i64>(found.index.size()) / found.k;
    for (auto& score : scores) {
      ranks.resize(static_cast<size_t>(rows));
      parallel_rows(ctx, rows, 4 * (classes + score.k), [&](i64 q) {
        ranks[static_cast<size_t>(q)] =
            detail::rank_of(knn_votes(found, bank.labels, q, score.k, classes, options.temperature, options.votes),
                            queries.labels[static_cast<size_t>(first + q)]);
      });
      for (i64 q = 0; q < rows; ++q) {
        const auto truth = static_cast<size_t>(queries.labels[static_cast<size_t>(first + q)]);
        const i64 rank = ranks[static_cast<size_t>(q)];
        ++score.images[truth];
        score.correct[truth] += rank == 0 ? 1 : 0;
        score.top1 += rank == 0 ? 1 : 0;
        score.top5 += rank < std::min<i64>(5, score.k) ? 1 : 0;
      }
    }
  };
  detail::search_neighbours(ctx, queries, bank, most, options.leave_one_out, count);
  for (auto& score : scores) {
    score.top1 = 100.0 * score.top1 / static_cast<double>(queries.size());
    score.top5 = 100.0 * score.top5 / static_cast<double>(queries.size());
  }
  return scores;
}

/// The same of sets in memory with unit rows (normalize_rows), weighted.
inline std::vector<KnnScore> knn_accuracy(HostContext& ctx, const FeatureSet& queries, const FeatureSet& bank,
                                          const std::vector<i64>& ks, double temperature = 0.07) {
  return knn_accuracy(ctx, rows_of(queries), rows_of(bank), {.k = ks, .temperature = temperature});
}

/// Positions of n rows of each class, drawn by the seed and in ascending order: the bank of a low-shot evaluation.
/// Throws Error{data} when a class has fewer than n; Error{usage} when n < 1.
inline std::vector<i64> rows_per_class(const std::vector<i64>& labels, i64 n, const std::vector<std::string>& classes,
                                       u64 seed) {
  require(n >= 1, ErrorKind::usage, "shots = {} must be at least 1", n);
  std::vector<i64> taken(classes.size(), 0), chosen;
  detail::check_knn_labels(labels, "bank row", static_cast<i64>(classes.size()));
  for (const i64 i : permutation(static_cast<i64>(labels.size()), RngKey(seed, stream_of("shots")), 0)) {
    auto& count = taken[static_cast<size_t>(labels[static_cast<size_t>(i)])];
    if (count == n) continue;
    ++count;
    chosen.push_back(i);
  }
  for (size_t c = 0; c < taken.size(); ++c)
    require(taken[c] == n, ErrorKind::data, "shots = {}: class {} has {} image{} in the bank. Take --shots {} or fewer",
            n, classes[c], taken[c], taken[c] == 1 ? "" : "s", *std::min_element(taken.begin(), taken.end()));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

/// One line for each k and class: images, how many of them got their class, and per cent (empty where there are none).
inline std::string class_accuracy_csv(const std::vector<KnnScore>& scores, const std::vector<std::string>& names) {
  std::string out = "k,class,name,images,correct,accuracy\n";
  for (const auto& s : scores) {
    require(names.size() == s.images.size(), "knn: {} names for {} classes", names.size(), s.images.size());
    for (size_t c = 0; c < names.size(); ++c) {
      const double percent = 100.0 * static_cast<double>(s.correct[c]) / static_cast<double>(s.images[c]);
      out += str("{},{},{},{},{},{}\n", s.k, c, detail::csv_cell(names[c]), s.images[c], s.correct[c],
                 s.images[c] > 0 ? number_text(percent) : "");
    }
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
