// k-NN accuracy of frozen features.  dino_knn --weights RUN_DIR --data DIR
#include "../common/dataset_options.hpp"
#include "../common/on_device.hpp"
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

using Progress = std::function<void(i64)>;

/// What makes features: a network on some device, or the pixels themselves.
struct FeatureSource {
  std::function<dino::FeatureSet(const dino::AnyDataset&, i64 batch, const Progress&)> extract;
  dino::EvalTransform transform;
  std::string name;
};

template <class T, class D> FeatureSource network_source(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx,
                                                         dino::Backbone<T, D> net, const dino::KnnConfig& c,
                                                         const std::string& name) {
  auto transform = net.transform();
  if (c.model.image_size > 0) transform.size = c.model.image_size;
  if (!c.model.normalize_is_auto) {
    transform.mean = c.model.mean;
    transform.deviation = c.model.deviation;
  }
  const auto shared = std::make_shared<dino::Backbone<T, D>>(std::move(net));
  return {[&host, ctx, shared, transform](const dino::AnyDataset& set, i64 batch, const Progress& show) {
            return dino::extract_features<T>(*ctx, host, *shared, set, transform, batch, show);
          },
          transform, name};
}

template <class T, class D>
FeatureSource open_source(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx, const dino::KnnConfig& c) {
  if (!c.weights.empty()) {
    auto net = dino::load_backbone<T>(*ctx, c.weights, c.checkpoint_key);
    const auto& vit = net.info().vit;  // files of others do not say what they are called
    const auto stored = dino::backbone_name({vit.patch_size, vit.dim, vit.depth, vit.heads}, vit.mlp_ratio);
    dino::require(!c.model.backbone_is_set || c.model.name == stored, dino::ErrorKind::weights,
                  "{}: these are weights of {}, --backbone says {}. Leave --backbone out", c.weights, stored,
                  c.model.name);
    return network_source(host, ctx, std::move(net), c, c.weights);
  }
  auto info = programs::backbone_info(c.model);
  if (info.vit.image_size == 0) info.vit.image_size = c.baseline == "pixels" ? 32 : 224;
  const dino::EvalTransform transform{.size = info.vit.image_size, .mean = info.mean, .deviation = info.deviation};
  if (c.baseline == "pixels") {
    return {[&host, transform](const dino::AnyDataset& set, i64, const Progress&) {
              return dino::pixel_features(host, set, transform);
            },
            transform, "raw pixels"};
  }
  dino::require(c.baseline == "untrained", dino::ErrorKind::usage,
                "nothing to evaluate: give --weights RUN_DIR|FILE.safetensors, or --baseline pixels|untrained");
  dino::Backbone<T, D> net(*ctx, info, static_cast<dino::u64>(c.common.seed));
  return network_source(host, ctx, std::move(net), c, "untrained " + info.name);
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
  auto out = source.extract(set, batch, show);
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
  const auto device = dino::choose_device(c.common.device);
  const auto source = programs::on_device(device, c.common.precision, ctx, [&](auto number, const auto& on) {
    return open_source<decltype(number)>(ctx, on, c);
  });
  const auto sets = open_sets(c, source.transform.size);
  if (!c.common.quiet) {
    std::cerr << programs::banner() << "\ndevice  " << device.why << "\nbank    " << sets.bank.describe()
              << "\nqueries " << sets.queries.describe() << '\n';
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
