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

inline dino::AnyDataset at_most(const dino::AnyDataset& set, dino::i64 n) {
  return n > 0 && n < set.size() ? set.first(n) : set;
}

}  // namespace programs
