// Opening the data sets of an evaluation.
#include "sets.hpp"

#include "../common/dataset_options.hpp"

#include <algorithm>
#include <optional>

namespace programs {

using dino::i64;
using dino::str;

namespace {

/// Classes that one of two sets does not have, by name.
std::string missing_classes(const std::vector<std::string>& from, const std::vector<std::string>& in) {
  std::string text;
  i64 count = 0;
  for (const auto& name : from) {
    if (std::find(in.begin(), in.end(), name) != in.end()) continue;
    if (++count <= 5) text += (text.empty() ? "" : ", ") + name;
  }
  return count == 0 ? "none" : count > 5 ? str("{} and {} more", text, count - 5) : text;
}

/// Throws, or adds a note, when a class has no query.
void check_classes(BankAndQueries& sets, bool drawn) {
  std::vector<i64> images(sets.queries.classes().size(), 0);
  for (i64 i = 0; i < sets.queries.size(); ++i) {
    const i64 label = sets.queries.label(i), classes = static_cast<i64>(images.size());
    dino::require(label >= 0 && label < classes, dino::ErrorKind::data, "{}: label {} is out of range, {} classes",
                  sets.queries.name(i), label, classes);
    ++images[static_cast<size_t>(label)];
  }
  std::vector<std::string> present;
  for (size_t c = 0; c < images.size(); ++c)
    if (images[c] > 0) present.push_back(sets.queries.classes()[c]);
  if (present.size() == images.size()) return;
  const auto text = str("no test images of {} of {} classes: {}", images.size() - present.size(), images.size(),
                        missing_classes(sets.queries.classes(), present));
  dino::require(drawn, dino::ErrorKind::data, "{}: {}. Add some, or take these classes out of the training images",
                sets.queries.title(), text);
  sets.notes.push_back(text);
}

BankAndQueries images_of(const dino::KnnConfig& c, i64 image_size) {
  const auto options = dataset_options(c.common, image_size);
  auto data = open_data(c.common.data, options);
  std::vector<std::string> notes = data.notes;
  std::optional<dino::AnyDataset> bank, queries = data.test;
  if (!c.train_data.empty()) {
    auto other = options;
    other.kind = "auto";
    bank = open_data(c.train_data, other).train;
    if (!queries) queries = data.train;
  } else if (queries || c.leave_one_out) {
    bank = data.train;
  } else {
    dino::require(data.train.labelled(), dino::ErrorKind::data,
                  "{}: the images have no labels; k-NN needs <class>/<image>, or a split with labels", c.common.data);
    const auto parts = dino::hold_out(data.train, static_cast<dino::u64>(c.common.seed), 0.1);
    bank = parts.train;
    queries = parts.test;
    notes.push_back(str("no test split: {} images are held out as queries", parts.test.size()));
  }
  dino::require(bank->labelled() && (c.leave_one_out || queries->labelled()), dino::ErrorKind::data,
                "{}: k-NN needs labels in bank and queries", c.common.data);
  bank = at_most(*bank, c.common.limit_train, c.common.seed);
  bank = at_most(*bank, c.eval_bank, c.common.seed);
  if (c.leave_one_out) return {*bank, *bank, notes};
  dino::require(
      bank->classes() == queries->classes(), dino::ErrorKind::data,
      "bank and queries have different classes ({} and {}): not among the queries {}; not in the bank {}. They "
      "must have the same class folders",
      bank->classes().size(), queries->classes().size(), missing_classes(bank->classes(), queries->classes()),
      missing_classes(queries->classes(), bank->classes()));
  const bool drawn = c.eval_queries > 0 || (!data.test && c.train_data.empty());
  return {*bank, at_most(*queries, c.eval_queries, c.common.seed), notes, drawn};
}

}  // namespace

BankAndQueries open_sets(const dino::KnnConfig& config, i64 image_size) {
  auto sets = images_of(config, image_size);
  check_classes(sets, sets.drawn || config.leave_one_out);
  return sets;
}

}  // namespace programs
