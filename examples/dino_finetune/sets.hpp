// The labelled images of a classifier: training and test.
#pragma once

#include <dino/data/dataset.hpp>
#include <dino/io/finetune_config.hpp>

#include <optional>

namespace programs {

struct LabelledSets {
  dino::AnyDataset train, test;
  std::string description;
  std::vector<std::string> notes;

  const std::vector<std::string>& classes() const { return train.classes(); }
};

/// The images of --data: its test split, or a tenth of it that the seed holds out. Throws Error{data} when there are
/// no labels, a label is no class, or the images cannot fill a batch.
LabelledSets open_labelled_sets(const dino::FinetuneConfig& config, dino::i64 image_size);

}  // namespace programs
