// k-NN accuracy of frozen features.  dino_knn --weights RUN_DIR --data DIR --features-cache features
#include "../common/dataset_options.hpp"
#include "../common/on_device.hpp"
#include "../common/options.hpp"
#include "../common/program.hpp"
#include "../common/settings.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/eval/backbone.hpp>
#include <dino/eval/feature_cache.hpp>
#include <dino/eval/knn.hpp>
#include <dino/io/progress.hpp>

extern char** environ;

namespace {

using dino::i64;
using dino::str;

using Progress = std::function<void(i64)>;

/// What makes features: a network on some device, or the pixels themselves.
struct FeatureSource {
  std::function<dino::FeatureSet(const dino::AnyDataset&, i64 batch, const Progress&, dino::BadImages&)> extract;
  dino::FeatureKey key;
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
  auto info = shared->info();
  const auto& vit = info.vit;
  info.name = info.source = "";  // what does not change a feature
  info.step = 0;
  const dino::FeatureKey key{
      .weights = dino::weights_hash(dino::parameter_views(shared->params()), dino::model_text(info)),
      .backbone = dino::backbone_name({vit.patch_size, vit.dim, vit.depth, vit.heads}, vit.mlp_ratio),
      .file = name,
      .transform = transform,
      .precision = std::is_same_v<T, float> ? "fp32" : "bf16"};
  return {[&host, ctx, shared, transform](const dino::AnyDataset& set, i64 batch, const Progress& show,
                                          dino::BadImages& bad) {
            return dino::extract_features<T>(*ctx, host, *shared, set, transform, batch, show, &bad);
          },
          key, name};
}

template <class T, class D>
FeatureSource open_source(dino::HostContext& host, std::shared_ptr<dino::Context<D>> ctx, const dino::KnnConfig& c) {
  if (!c.weights.empty()) {
    auto net = dino::load_backbone<T>(*ctx, c.weights, c.checkpoint_key);
    if (!c.common.quiet && !net.unused().empty()) std::cerr << c.weights << ": not used: " << net.unused() << '\n';
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
    return {[&host, transform](const dino::AnyDataset& set, i64, const Progress& show, dino::BadImages& bad) {
              return dino::pixel_features(host, set, transform, show, &bad);
            },
            {.weights = "pixels", .backbone = "pixels", .file = "none", .transform = transform},
            "raw pixels"};
  }
  dino::require(c.baseline == "untrained", dino::ErrorKind::usage,
                "nothing to evaluate: give --weights RUN_DIR|FILE.safetensors, or --baseline pixels|untrained");
  dino::Backbone<T, D> net(*ctx, info, static_cast<dino::u64>(c.common.seed));
  return network_source(host, ctx, std::move(net), c, "untrained " + info.name);
}

struct BankAndQueries {
  dino::AnyDataset bank, queries;
  std::vector<std::string> notes;
  bool drawn = false;  // the queries are a part of a split
};

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

/// --data holds the queries (its test split, if it has one), --train-data the bank; without it the training split of
/// --data. Leave-one-out: the bank is both.
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
  bank = programs::at_most(*bank, c.common.limit_train, c.common.seed);
  bank = programs::at_most(*bank, c.eval_bank, c.common.seed);
  if (c.leave_one_out) return {*bank, *bank, notes};
  dino::require(
      bank->classes() == queries->classes(), dino::ErrorKind::data,
      "bank and queries have different classes ({} and {}): not among the queries {}; not in the bank {}. They "
      "must have the same class folders",
      bank->classes().size(), queries->classes().size(), missing_classes(bank->classes(), queries->classes()),
      missing_classes(queries->classes(), bank->classes()));
  const bool drawn = c.eval_queries > 0 || (!data.test && c.train_data.empty());
  return {*bank, programs::at_most(*queries, c.eval_queries, c.common.seed), notes, drawn};
}

/// Classes that no query has are never right: a test split must have them all, a drawn part of it need not.
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

/// Features of a set in memory, or on disk where they are cached.
struct Features {
  std::shared_ptr<const dino::FeatureSet> memory;  // what the rows refer to
  dino::FeatureRows rows;
  std::vector<i64> index;  // of each row: its position in the data set
};

Features features(dino::HostContext& ctx, const dino::KnnConfig& c, const FeatureSource& source,
                  const dino::AnyDataset& set, const std::string& what) {
  const bool terminal = !c.common.quiet && dino::standard_error().terminal;
  i64 before = 0;  // images of earlier parts
  const auto show = [&](i64 done) {
    if (terminal)
      std::cerr << '\r' << what << "  " << dino::format_count(before + done) << " of " << dino::format_count(set.size())
                << std::flush;
  };
  const auto tell = [&](const std::vector<std::string>& skipped) {
    if (terminal) std::cerr << '\n';
    for (const auto& reason : skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  };
  if (!c.features_cache.empty()) {
    const auto extract = [&](const dino::AnyDataset& part, dino::BadImages& bad) {
      return source.extract(part, c.batch_size, show, bad);
    };
    const dino::FeatureCache cache = dino::cache_features(
        std::filesystem::path(c.features_cache) / what, source.key, set, extract,
        {.max_bad_fraction = c.common.max_bad_fraction, .on_shard = [&](i64 done) { before = done; }});
    tell(cache.skipped());
    return {nullptr, dino::unit_rows(ctx, rows_of(cache)), cache.index()};
  }
  dino::BadImages bad(set.size(), c.common.max_bad_fraction);
  const auto memory = std::make_shared<dino::FeatureSet>(source.extract(set, c.batch_size, show, bad));
  tell(memory->skipped);
  dino::normalize_rows(ctx, *memory);
  return {memory, rows_of(*memory), memory->index};
}

/// --shots: positions of the images that stay in the bank.
std::vector<i64> low_shot(const dino::AnyDataset& bank, const dino::KnnConfig& c) {
  std::vector<i64> labels;
  for (i64 i = 0; i < bank.size(); ++i) labels.push_back(bank.label(i));
  return dino::rows_per_class(labels, c.shots, bank.classes(), static_cast<dino::u64>(c.common.seed));
}

/// Features of the whole bank are cached, and the chosen ones are rows of them; without a cache only they are computed.
Features bank_features(dino::HostContext& ctx, const dino::KnnConfig& c, const FeatureSource& source,
                       const dino::AnyDataset& bank) {
  if (c.shots == 0) return features(ctx, c, source, bank, "train");
  auto chosen = low_shot(bank, c);
  const auto whole = static_cast<i64>(chosen.size());
  auto out = features(ctx, c, source, c.features_cache.empty() ? bank.subset(chosen) : bank, "train");
  if (!c.features_cache.empty()) {
    std::vector<i64> rows;
    for (size_t r = 0; r < out.index.size(); ++r)
      if (std::binary_search(chosen.begin(), chosen.end(), out.index[r])) rows.push_back(static_cast<i64>(r));
    out.rows = dino::select_rows(out.rows, std::move(rows));
  }
  dino::require(out.rows.size() == whole, dino::ErrorKind::data,
                "shots = {}: {} of the {} images that were drawn cannot be read. Remove them, or take another --seed",
                c.shots, whole - out.rows.size(), whole);
  return out;
}

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

int evaluate(const dino::KnnConfig& c) {
  dino::HostContext ctx(c.common.threads);
  const auto device = dino::choose_device(c.common.device);
  const auto source = programs::on_device(device, c.common.precision, ctx, [&](auto number, const auto& on) {
    return open_source<decltype(number)>(ctx, on, c);
  });
  auto sets = open_sets(c, source.key.transform.size);
  if (c.leave_one_out) sets.queries = sets.bank;
  check_classes(sets, sets.drawn || c.leave_one_out);
  if (!c.common.quiet) {
    std::cerr << programs::banner() << "\ndevice  " << device.why << "\nbank    " << sets.bank.describe()
              << (c.shots > 0 ? str(", {} of each class", c.shots) : "") << "\nqueries "
              << (c.leave_one_out ? "the bank, each without itself" : sets.queries.describe()) << '\n';
    for (const auto& note : sets.notes) std::cerr << "        " << note << '\n';
  }
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
