// Features of bank and queries: computed, cached, drawn.
#include "features.hpp"

#include <dino/eval/knn.hpp>
#include <dino/io/progress.hpp>

#include <filesystem>
#include <iostream>

namespace programs {

using dino::i64;
using dino::str;

Features features(dino::HostContext& ctx, const dino::KnnConfig& c, const FeatureSource& source,
                  const dino::AnyDataset& set, const std::string& what) {
  const bool terminal = !c.common.quiet && dino::standard_error().terminal;
  i64 before = 0;  // images of earlier parts
  const auto show = [&](i64 done) {
    if (terminal)
      std::cerr << '\r' << what << "  " << dino::format_count(before + done) << " of " << dino::format_count(set.size())
                << std::flush;
  };
  const auto tell = [&](const std::vector<std::string>& skipped) {
    if (terminal) std::cerr << '\n';
    for (const auto& reason : skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  };
  if (!c.features_cache.empty()) {
    const auto extract = [&](const dino::AnyDataset& part, dino::BadImages& bad) {
      return source.extract(part, c.batch_size, show, bad);
    };
    const dino::FeatureCache cache = dino::cache_features(
        std::filesystem::path(c.features_cache) / what, source.key, set, extract,
        {.max_bad_fraction = c.common.max_bad_fraction, .on_shard = [&](i64 done) { before = done; }});
    tell(cache.skipped());
    return {nullptr, dino::unit_rows(ctx, rows_of(cache)), cache.index()};
  }
  dino::BadImages bad(set.size(), c.common.max_bad_fraction);
  const auto memory = std::make_shared<dino::FeatureSet>(source.extract(set, c.batch_size, show, bad));
  tell(memory->skipped);
  dino::normalize_rows(ctx, *memory);
  return {memory, rows_of(*memory), memory->index};
}

namespace {

/// --shots: positions of the images that stay in the bank.
std::vector<i64> low_shot(const dino::AnyDataset& bank, const dino::KnnConfig& c) {
  std::vector<i64> labels;
  for (i64 i = 0; i < bank.size(); ++i) labels.push_back(bank.label(i));
  return dino::rows_per_class(labels, c.shots, bank.classes(), static_cast<dino::u64>(c.common.seed));
}

}  // namespace

Features bank_features(dino::HostContext& ctx, const dino::KnnConfig& c, const FeatureSource& source,
                       const dino::AnyDataset& bank) {
  if (c.shots == 0) return features(ctx, c, source, bank, "train");
  auto chosen = low_shot(bank, c);
  const auto whole = static_cast<i64>(chosen.size());
  auto out = features(ctx, c, source, c.features_cache.empty() ? bank.subset(chosen) : bank, "train");
  if (c.features_cache.empty()) {
    for (i64& i : out.index) i = chosen[static_cast<size_t>(i)];
  } else {
    std::vector<i64> rows, index;
    for (size_t r = 0; r < out.index.size(); ++r) {
      if (!std::binary_search(chosen.begin(), chosen.end(), out.index[r])) continue;
      rows.push_back(static_cast<i64>(r));
      index.push_back(out.index[r]);
    }
    out.rows = dino::select_rows(out.rows, std::move(rows));
    out.index = std::move(index);
  }
  dino::require(out.rows.size() == whole, dino::ErrorKind::data,
                "shots = {}: {} of the {} images that were drawn cannot be read. Remove them, or take another --seed",
                c.shots, whole - out.rows.size(), whole);
  return out;
}

}  // namespace programs
