// The images of an evaluation: bank and queries.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/io/program_config.hpp>

#include <string>
#include <vector>

namespace programs {

struct BankAndQueries {
  dino::AnyDataset bank, queries;
  std::vector<std::string> notes;
  bool drawn = false;  // the queries are a part of a split
};

/// --data holds the queries (its test split, if it has one), --train-data the bank; without it the training split of
/// --data. Leave-one-out: the bank is both. Classes that no query has are never right: a test split must have them all,
/// a drawn part of it need not, and a note names them.
BankAndQueries open_sets(const dino::KnnConfig& config, dino::i64 image_size);

}  // namespace programs
