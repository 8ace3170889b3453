// Features of bank and queries: computed, cached, drawn.
#pragma once

#include "source.hpp"

#include <dino/eval/feature_cache.hpp>

#include <memory>
#include <vector>

namespace programs {

/// Features of a set in memory, or on disk where they are cached.
struct Features {
  std::shared_ptr<const dino::FeatureSet> memory;  // what the rows refer to
  dino::FeatureRows rows;
  std::vector<dino::i64> index;  // of each row: its position in the data set
};

/// Features of all images of a set that can be read. what: its folder in the cache.
Features features(dino::HostContext& ctx, const dino::KnnConfig& config, const FeatureSource& source,
                  const dino::AnyDataset& set, const std::string& what);

/// The same of the bank, of which --shots draws some: features of the whole bank are cached, and the drawn ones are
/// rows of them; without a cache only they are computed.
Features bank_features(dino::HostContext& ctx, const dino::KnnConfig& config, const FeatureSource& source,
                       const dino::AnyDataset& bank);

}  // namespace programs
