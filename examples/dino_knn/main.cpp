// k-NN accuracy of frozen features.  dino_knn --weights RUN_DIR --data DIR
#include "../common/dataset_options.hpp"
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "../common/settings.hpp"

#include <dino/eval/backbone.hpp>
#include <dino/eval/knn.hpp>
#include <dino/io/progress.hpp>

extern char** environ;

namespace {

using dino::i64;
using dino::str;

/// The network that makes features, or none: then the pixels are the features.
struct FeatureSource {
  std::optional<dino::Backbone<float, dino::HostDevice>> backbone;
  dino::EvalTransform transform;
  std::string name;
};

FeatureSource open_source(dino::HostContext& ctx, const dino::KnnConfig& c) {
  if (!c.weights.empty()) {
    auto net = dino::load_backbone<float>(ctx, c.weights, c.checkpoint_key);
    const auto& stored = net.info().name;
    dino::require(!c.model.backbone_is_set || c.model.name == stored, dino::ErrorKind::weights,
                  "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, stored,
                  c.model.name);
    auto transform = net.transform();
    if (c.model.image_size > 0) transform.size = c.model.image_size;
    auto name = c.weights;
    return {std::move(net), transform, name};
  }
  auto info = programs::backbone_info(c.model);
  if (info.vit.image_size == 0) info.vit.image_size = c.baseline == "pixels" ? 32 : 224;
  const dino::EvalTransform transform{.size = info.vit.image_size, .mean = info.mean, .deviation = info.deviation};
  if (c.baseline == "pixels") return {std::nullopt, transform, "raw pixels"};
  dino::require(c.baseline == "untrained", dino::ErrorKind::usage,
                "nothing to evaluate: give --weights RUN_DIR|FILE.safetensors, or --baseline pixels|untrained");
  return {dino::Backbone<float, dino::HostDevice>(ctx, info, static_cast<dino::u64>(c.common.seed)), transform,
          "untrained " + info.name};
}

struct BankAndQueries {
  dino::AnyDataset bank, queries;
  std::vector<std::string> notes;
};

/// --data holds the queries (its test split, if it has one), --train-data the bank; without it the training split of
/// --data.
BankAndQueries open_sets(const dino::KnnConfig& c, i64 image_size) {
  const auto options = programs::dataset_options(c.common, image_size);
  auto data = programs::open_data(c.common.data, options);
  std::vector<std::string> notes = data.notes;
  std::optional<dino::AnyDataset> bank, queries = data.test;
  if (!c.train_data.empty()) {
    auto other = options;
    other.kind = "auto";
    bank = programs::open_data(c.train_data, other).train;
    if (!queries) queries = data.train;
  } else if (queries) {
    bank = data.train;
  } else {
    dino::require(data.train.labelled(), dino::ErrorKind::data,
                  "{}: the images have no labels; k-NN needs <class>/<image>, or a split with labels", c.common.data);
    const auto parts = dino::hold_out(data.train, static_cast<dino::u64>(c.common.seed), 0.1);
    bank = parts.train;
    queries = parts.test;
    notes.push_back(str("no test split: {} images are held out as queries", parts.test.size()));
  }
  dino::require(bank->labelled() && queries->labelled(), dino::ErrorKind::data,
                "{}: k-NN needs labels in bank and queries", c.common.data);
  dino::require(bank->classes() == queries->classes(), dino::ErrorKind::data,
                "bank and queries have different classes ({} and {}); they must have the same class folders",
                bank->classes().size(), queries->classes().size());
  return {programs::at_most(*bank, c.eval_bank, c.common.seed),
          programs::at_most(*queries, c.eval_queries, c.common.seed), notes};
}

dino::FeatureSet features(dino::HostContext& ctx, const FeatureSource& source, const dino::AnyDataset& set, i64 batch,
                          bool quiet, const char* what) {
  const bool terminal = !quiet && dino::standard_error().terminal;
  const auto show = [&](i64 done) {
    if (terminal)
      std::cerr << '\r' << what << "  " << dino::format_count(done) << " of " << dino::format_count(set.size())
                << std::flush;
  };
  auto out = source.backbone
                 ? dino::extract_features<float>(ctx, ctx, *source.backbone, set, source.transform, batch, show)
                 : dino::pixel_features(ctx, set, source.transform);
  if (terminal) std::cerr << '\n';
  for (const auto& reason : out.skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  dino::require(out.size() > 0, dino::ErrorKind::data, "{}: no image could be read", set.title());
  dino::normalize_rows(ctx, out);
  return out;
}

void print_scores(const dino::KnnConfig& c, const FeatureSource& source, const dino::FeatureSet& bank,
                  const dino::FeatureSet& queries, const std::vector<dino::KnnScore>& scores) {
  if (c.common.json) {
    for (const auto& s : scores) {
      std::cout << dino::to_json(dino::Record("eval")
                                     .set("name", "knn")
                                     .set("features", source.name)
                                     .set("bank", bank.size())
                                     .set("queries", queries.size())
                                     .set("temperature", c.temperature)
                                     .set("k", s.k)
                                     .set("top1", s.top1)
                                     .set("top5", s.top5))
                << '\n';
    }
    return;
  }
  const auto percent = [](double x) { return dino::number_text(std::round(x * 100) / 100); };
  std::cout << source.name << ": bank " << dino::format_count(bank.size()) << ", queries "
            << dino::format_count(queries.size()) << ", " << bank.dim << " values, temperature "
            << dino::number_text(c.temperature) << '\n';
  for (const auto& s : scores)
    std::cout << "k-NN(" << s.k << ")  top-1 " << percent(s.top1) << " %  top-5 " << percent(s.top5) << " %\n";
}

int evaluate(const dino::KnnConfig& c) {
  dino::HostContext ctx(c.common.threads);
  const auto source = open_source(ctx, c);
  const auto sets = open_sets(c, source.transform.size);
  if (!c.common.quiet) {
    std::cerr << programs::banner() << "\nbank    " << sets.bank.describe() << "\nqueries " << sets.queries.describe()
              << '\n';
    for (const auto& note : sets.notes) std::cerr << "        " << note << '\n';
  }
  const auto bank = features(ctx, source, sets.bank, c.batch_size, c.common.quiet, "bank   ");
  const auto queries = features(ctx, source, sets.queries, c.batch_size, c.common.quiet, "queries");
  print_scores(c, source, bank, queries, dino::knn_accuracy(ctx, queries, bank, c.k, c.temperature));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return programs::run_program([&] {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const auto parsed = programs::read_options(dino::Program::knn, arguments, dino::read_environment(environ));
    if (const auto code = programs::answer(parsed)) return *code;
    return evaluate(dino::resolve_knn(parsed.options));
  });
}
