#include "sets.hpp"

#include "../common/dataset_options.hpp"

#include <dino/io/pth.hpp>

namespace programs {

using dino::i64;
using dino::str;

namespace {

/// Labels are read without decoding a picture. Returns the names of the classes that have none.
std::vector<std::string> check_labels(const dino::AnyDataset& set) {
  const auto classes = static_cast<i64>(set.classes().size());
  std::vector<bool> seen(static_cast<size_t>(classes));
  for (i64 i = 0; i < set.size(); ++i) {
    const i64 label = set.label(i);
    dino::require(label >= 0 && label < classes, dino::ErrorKind::data,
                  "{}: its label is {}, the data has {} classes. Put it into the folder of a class, or remove it",
                  set.name(i), label, classes);
    seen[static_cast<size_t>(label)] = true;
  }
  std::vector<std::string> missing;
  for (size_t c = 0; c < seen.size(); ++c) {
    if (!seen[c]) missing.push_back(set.classes()[c]);
  }
  return missing;
}

}  // namespace

LabelledSets open_labelled_sets(const dino::FinetuneConfig& c, i64 image_size) {
  auto opened = open_data(c.common.data, dataset_options(c.common, image_size));
  dino::require_labels(opened.train, "a classifier");
  for (const auto& name : opened.train.classes()) {
    dino::require(dino::detail::valid_utf8(name), dino::ErrorKind::data,
                  "{}: the name of the class {} is not UTF-8. Rename its folder", c.common.data, name);
  }
  if (!opened.test) {
    const auto parts = dino::hold_out(opened.train, static_cast<dino::u64>(c.common.seed), 0.1);
    opened.train = parts.train;
    opened.test = parts.test;
    opened.notes.push_back(str("no val/ or test/: {} images are held out for evaluation", parts.test.size()));
  }
  LabelledSets sets{at_most(opened.train, c.common.limit_train, c.common.seed), *opened.test, opened.description,
                    opened.notes};
  const auto untrained = check_labels(sets.train), untested = check_labels(sets.test);
  if (!untrained.empty() && c.trains()) {
    sets.notes.push_back("no training image of " + dino::detail::name_list(untrained));
  }
  if (!untested.empty()) sets.notes.push_back("no test image of " + dino::detail::name_list(untested));
  if (sets.train.size() < opened.train.size()) {
    sets.notes.push_back(str("{} of the training images are used (limit_train)", sets.train.size()));
  }
  dino::require(!c.trains() || sets.train.size() >= c.batch_size, dino::ErrorKind::data,
                "{}: {} images cannot fill a batch of {}. Use more images, or --batch-size {}", c.common.data,
                sets.train.size(), c.batch_size, sets.train.size());
  return sets;
}

}  // namespace programs
