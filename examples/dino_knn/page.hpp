// --show-html: queries with their nearest images.
#pragma once

#include "features.hpp"
#include "sets.hpp"

#include <dino/eval/knn.hpp>

namespace programs {

/// Throws Error(resources) when the page could not be written where it was asked for: before hours of work.
void check_page_place(const dino::KnnConfig& config);

/// Writes the page. Predictions are those of the k with the highest score; pictures are read again from the sets, and
/// one that cannot be read is left out of its frame.
void write_page(dino::HostContext& ctx, const dino::KnnConfig& config, const FeatureSource& source,
                const BankAndQueries& sets, const Features& bank, const Features& queries,
                const std::vector<dino::KnnScore>& scores);

}  // namespace programs
