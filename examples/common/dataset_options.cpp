#include "dataset_options.hpp"

#include <algorithm>

namespace programs {

dino::DatasetOptions dataset_options(const dino::CommonConfig& c, dino::i64 image_size) {
  dino::DatasetOptions o;
  o.kind = c.dataset.empty() ? "auto" : c.dataset;
  o.seed = static_cast<dino::u64>(c.seed);
  o.image_size = image_size;
  o.jpeg_warnings = c.use_jpeg_warnings ? dino::JpegWarnings::use : dino::JpegWarnings::skip;
  return o;
}

dino::OpenedData open_data(const std::string& path_or_name, const dino::DatasetOptions& options) {
  return dino::open_dataset(path_or_name, options);
}

dino::AnyDataset at_most(const dino::AnyDataset& set, dino::i64 n, dino::i64 seed) {
  if (n <= 0 || n >= set.size()) return set;
  if (set.kind() == "synthetic") return set.first(n);
  auto chosen = dino::permutation(set.size(), dino::RngKey(static_cast<dino::u64>(seed), dino::stream_of("subset")), 0);
  chosen.resize(static_cast<size_t>(n));
  std::sort(chosen.begin(), chosen.end());
  return set.subset(std::move(chosen));
}

}  // namespace programs
