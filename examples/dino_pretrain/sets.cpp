// Opening the data sets of a run.
#include "sets.hpp"

#include "../common/dataset_options.hpp"

namespace programs {

Sets open_sets(const dino::PretrainConfig& c) {
  auto opened = open_data(c.common.data, dataset_options(c.common, c.model.image_size));
  Sets sets{opened.train, {}, {}, opened.description, opened.notes};
  if (opened.test) {
    sets.queries = at_most(*opened.test, c.eval_queries, c.common.seed);
  } else if (opened.train.labelled() && c.eval_knn_every > 0) {
    const auto parts = dino::hold_out(opened.train, static_cast<dino::u64>(c.common.seed), 0.1);
    sets.train = parts.train;
    sets.queries = at_most(parts.test, c.eval_queries, c.common.seed);
    sets.notes.push_back(dino::str("no val/ or test/: {} images are held out for k-NN", parts.test.size()));
  } else if (c.eval_knn_every > 0) {
    sets.notes.push_back("the images have no labels: k-NN is off");
  }
  if (c.eval_knn_every <= 0) sets.queries.reset();
  if (sets.queries) sets.bank = at_most(sets.train, c.eval_bank, c.common.seed);
  sets.train = at_most(sets.train, c.common.limit_train, c.common.seed);
  dino::require(sets.train.size() >= c.batch_size, dino::ErrorKind::data,
                "{}: {} images cannot fill a batch of {}. Use more images, or --batch-size {}", c.common.data,
                sets.train.size(), c.batch_size, sets.train.size());
  return sets;
}

}  // namespace programs
