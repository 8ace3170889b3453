// The images of a run: training, k-NN bank and queries.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/io/program_config.hpp>

#include <optional>

namespace programs {

/// The training images, and, where there are labels, a bank and queries for k-NN.
struct Sets {
  dino::AnyDataset train;
  std::optional<dino::AnyDataset> bank, queries;
  std::string description;
  std::vector<std::string> notes;
};

Sets open_sets(const dino::PretrainConfig& config);

}  // namespace programs
