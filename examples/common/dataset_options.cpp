#include "dataset_options.hpp"

#include <dino/data/image_files.hpp>

#include <algorithm>

namespace programs {

namespace {

/// Two sets of the same classes, one behind the other.
struct Joined {
  dino::AnyDataset a, b;

  dino::i64 size() const { return a.size() + b.size(); }
  dino::Sample get(dino::i64 i) const { return of(i).get(at(i)); }
  dino::i64 label(dino::i64 i) const { return of(i).label(at(i)); }
  std::string name(dino::i64 i) const { return of(i).name(at(i)); }
  const std::vector<std::string>& classes() const { return a.classes(); }
  std::string kind() const { return a.kind(); }
  std::string title() const { return a.title() + " and " + b.title(); }

 private:
  const dino::AnyDataset& of(dino::i64 i) const { return i < a.size() ? a : b; }
  dino::i64 at(dino::i64 i) const { return i < a.size() ? i : i - a.size(); }
};

}  // namespace

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

dino::AnyDataset open_files(const std::vector<std::string>& paths, const dino::DatasetOptions& options) {
  return dino::ImageFiles(paths, options.jpeg_warnings);
}

dino::AnyDataset all_images(const dino::OpenedData& data) {
  return data.test ? dino::AnyDataset(Joined{data.train, *data.test}) : data.train;
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
