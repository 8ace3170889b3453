// Options of a program that say which images it reads.
#pragma once

#include <dino/data/open_dataset.hpp>
#include <dino/io/program_config.hpp>

namespace programs {

inline dino::DatasetOptions dataset_options(const dino::CommonConfig& c, dino::i64 image_size) {
  dino::DatasetOptions o;
  o.kind = c.dataset.empty() ? "auto" : c.dataset;
  o.seed = static_cast<dino::u64>(c.seed);
  o.image_size = image_size;
  o.jpeg_warnings = c.use_jpeg_warnings ? dino::JpegWarnings::use : dino::JpegWarnings::skip;
  return o;
}

/// n images of a set, drawn by the seed (folders are sorted by class) and kept in their order; all when n is 0. The
/// synthetic images have no order: there it is the first n.
inline dino::AnyDataset at_most(const dino::AnyDataset& set, dino::i64 n, dino::i64 seed) {
  if (n <= 0 || n >= set.size()) return set;
  if (set.kind() == "synthetic") return set.first(n);
  auto chosen = dino::permutation(set.size(), dino::RngKey(static_cast<dino::u64>(seed), dino::stream_of("subset")), 0);
  chosen.resize(static_cast<size_t>(n));
  std::sort(chosen.begin(), chosen.end());
  return set.subset(std::move(chosen));
}

}  // namespace programs
