// The evaluation: features, their search, and what is made of it.
#include "knn.hpp"

#include "../common/program.hpp"
#include "page.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/io/progress.hpp>

#include <iostream>

namespace programs {

namespace {

using dino::i64;
using dino::str;

void print_scores(const dino::KnnConfig& c, const FeatureSource& source, const dino::FeatureRows& bank,
                  const dino::FeatureRows& queries, const std::vector<dino::KnnScore>& scores) {
  if (c.common.json) {
    for (const auto& s : scores) {
      std::cout << dino::to_json(dino::Record("eval")
                                     .set("name", "knn")
                                     .set("features", source.name)
                                     .set("bank", bank.size())
                                     .set("queries", queries.size())
                                     .set("votes", c.votes)
                                     .set("temperature", c.temperature)
                                     .set("leave_one_out", c.leave_one_out)
                                     .set("shots", c.shots)
                                     .set("k", s.k)
                                     .set("top1", s.top1)
                                     .set("top5", s.top5)
                                     .set("mean_class_accuracy", s.mean_class_accuracy()))
                << '\n';
    }
    return;
  }
  const auto percent = [](double x) { return dino::number_text(std::round(x * 100) / 100); };
  std::cout << source.name << ": bank " << dino::format_count(bank.size())
            << (c.shots > 0 ? str(" ({} of each class)", c.shots) : "") << ", "
            << (c.leave_one_out ? "each against the others" : str("queries {}", dino::format_count(queries.size())))
            << ", " << bank.dim << " values, "
            << (c.votes == "majority" ? "majority votes" : str("temperature {}", dino::number_text(c.temperature)))
            << '\n';
  for (const auto& s : scores)
    std::cout << "k-NN(" << s.k << ")  top-1 " << percent(s.top1) << " %  top-5 " << percent(s.top5)
              << " %  mean of classes " << percent(s.mean_class_accuracy()) << " %\n";
}

void print_header(const dino::KnnConfig& c, const dino::DeviceChoice& device, const BankAndQueries& sets) {
  std::cerr << banner() << "\ndevice  " << device.why << "\nbank    " << sets.bank.describe()
            << (c.shots > 0 ? str(", {} of each class", c.shots) : "") << "\nqueries "
            << (c.leave_one_out ? "the bank, each without itself" : sets.queries.describe()) << '\n';
  for (const auto& note : sets.notes) std::cerr << "        " << note << '\n';
}

}  // namespace

int knn(const dino::KnnConfig& c) {
  if (!c.show_html.empty()) check_page_place(c);
  dino::HostContext ctx(c.common.threads);
  const auto device = dino::choose_device(c.common.device);
  const auto source = open_source(ctx, device, c);
  const auto sets = open_sets(c, source.key.transform.size);
  if (!c.common.quiet) print_header(c, device, sets);
  const auto bank = bank_features(ctx, c, source, sets.bank);
  const auto queries = c.leave_one_out ? bank : features(ctx, c, source, sets.queries, "test");
  dino::require(bank.rows.size() > 0 && queries.rows.size() > 0, dino::ErrorKind::data, "{}: no image could be read",
                (bank.rows.size() == 0 ? sets.bank : sets.queries).title());
  const auto scores = dino::knn_accuracy(ctx, queries.rows, bank.rows,
                                         {.k = c.k,
                                          .temperature = c.temperature,
                                          .votes = dino::knn_votes_of(c.votes),
                                          .leave_one_out = c.leave_one_out,
                                          .classes = static_cast<i64>(sets.bank.classes().size())});
  print_scores(c, source, bank.rows, queries.rows, scores);
  if (!c.per_class.empty()) {
    const auto titles = dino::class_titles(sets.bank.classes());
    dino::write_file_atomic(c.per_class, dino::class_accuracy_csv(scores, titles));
  }
  if (!c.show_html.empty()) write_page(ctx, c, source, sets, bank, queries, scores);
  return 0;
}

}  // namespace programs
