// A trained classifier on the test images.
#include "../common/program.hpp"
#include "finetune.hpp"
#include "results.hpp"
#include "sets.hpp"
#include "start.hpp"
#include "training.hpp"

namespace programs {

int evaluate(const dino::FinetuneConfig& c) {
  const auto device = dino::choose_device(c.common.device);
  const auto model = trained_model(c);
  const auto& weights = *model.weights;
  const auto sets = open_labelled_sets(c, model.info.vit.image_size);
  head_fits(weights, sets.classes(), false);
  dino::HostContext host(c.common.threads);
  const auto classifier = use_classifier(device, c.common.precision, host, model.info.vit, weights);
  if (!c.common.quiet) {
    std::cerr << banner() << "\ndevice  " << device.why << "\ndata    " << sets.description << '\n';
    for (const auto& note : sets.notes) std::cerr << "        " << note << '\n';
    std::cerr << "head    sees " << weights.input.text() << '\n';
  }
  dino::BadImages bad(sets.test.size(), c.common.max_bad_fraction);
  const auto logits = classifier->logits(host, sets.test, model.transform(), &bad);
  for (const auto& reason : logits.skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  const auto m = metrics_of(logits, weights.outputs(), sets.test.title());
  if (!c.common.out.empty() && !out_is_run(c)) write_metrics(c.common.out, m, sets.classes());
  if (c.common.json) {
    auto record = dino::Record("eval").set("name", "finetune").set("weights", weights.where);
    dino::add_classification(record, m);
    std::cout << dino::to_json(record) << '\n';
    return 0;
  }
  std::cout << weights.where << ": " << m.images() << " images\n" << metrics_text(m) << '\n';
  if (m.classes() <= 20 || c.common.verbose) std::cout << class_lines(m, sets.classes());
  return 0;
}

}  // namespace programs
