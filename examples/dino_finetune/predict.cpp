// Classes of images without labels, as CSV or JSON.
#include "../common/dataset_options.hpp"
#include "../common/program.hpp"
#include "finetune.hpp"
#include "start.hpp"
#include "training.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/eval/classification.hpp>
#include <dino/io/file.hpp>

namespace programs {

using dino::i64;
using dino::str;

namespace {

constexpr i64 most_likely = 5;  // classes that are named for an image

struct Guess {
  i64 label;
  double probability;
};

/// The likeliest classes of a row of logits.
std::vector<Guess> guesses(std::span<const float> logits) {
  double total = 0;
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<Guess> all;
  for (size_t c = 0; c < logits.size(); ++c) {
    all.push_back({static_cast<i64>(c), std::exp(static_cast<double>(logits[c]) - top)});
    total += all.back().probability;
  }
  for (auto& guess : all) guess.probability /= total;
  const auto kept = std::min<i64>(most_likely, static_cast<i64>(all.size()));
  std::partial_sort(all.begin(), all.begin() + kept, all.end(), [](const Guess& a, const Guess& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.label < b.label;
  });
  all.resize(static_cast<size_t>(kept));
  return all;
}

std::string rounded(double x) { return dino::number_text(std::round(x * 1e6) / 1e6); }

std::string csv_head(i64 kept) {
  std::string out = "image,class,probability";
  for (i64 k = 2; k <= kept; ++k) out += str(",class_{},probability_{}", k, k);
  return out + '\n';
}

std::string csv_line(const std::string& image, const std::vector<Guess>& list, const std::vector<std::string>& names) {
  std::string out = dino::detail::csv_cell(image);
  for (const auto& guess : list) {
    out += ',' + dino::detail::csv_cell(names[static_cast<size_t>(guess.label)]) + ',' + rounded(guess.probability);
  }
  return out + '\n';
}

std::string json_line(const std::string& image, const std::vector<Guess>& list, const std::vector<std::string>& names) {
  std::string classes;
  for (const auto& guess : list) {
    classes +=
        str("{}{\"class\":{},\"label\":{},\"probability\":{}}", classes.empty() ? "" : ",",
            dino::detail::json_quote(names[static_cast<size_t>(guess.label)]), guess.label, rounded(guess.probability));
  }
  return str("{\"image\":{},\"classes\":[{}]}\n", dino::detail::json_quote(image), classes);
}

/// The names of the file. Where it has none: a thousand classes are those of ImageNet, others get numbers. Synsets
/// stand with their words.
std::vector<std::string> class_names(const dino::ClassifierWeights& weights) {
  auto names = weights.classes;
  const auto& synsets = dino::imagenet_classes();  // in the order of their labels
  if (names.empty() && weights.outputs() == static_cast<i64>(synsets.size())) {
    for (const auto& [synset, words] : synsets) names.push_back(synset);
  }
  for (i64 c = static_cast<i64>(names.size()); c < weights.outputs(); ++c) names.push_back(std::to_string(c));
  return dino::class_titles(std::move(names));
}

dino::AnyDataset open_pictures(const dino::FinetuneConfig& c, i64 image_size) {
  dino::require(std::filesystem::exists(c.predict), dino::ErrorKind::data, "{}: no such file or folder", c.predict);
  auto options = dataset_options(c.common, image_size);
  options.kind = "auto";
  if (!std::filesystem::is_directory(c.predict)) return open_files({c.predict}, options);
  return all_images(open_data(c.predict, options));
}

}  // namespace

int predict(const dino::FinetuneConfig& c) {
  const auto device = dino::choose_device(c.common.device);
  const auto model = trained_model(c);
  const auto& weights = *model.weights;
  const auto pictures = open_pictures(c, model.info.vit.image_size);
  dino::HostContext host(c.common.threads);
  const auto classifier = use_classifier(device, c.common.precision, host, model.info.vit, weights);
  const auto logits = classifier->logits(host, pictures, model.transform(), nullptr);
  for (const auto& reason : logits.skipped) std::cerr << "  ! bad image: " << reason << "; skipped\n";
  dino::require(logits.size() > 0, dino::ErrorKind::data, "{}: no image could be used", c.predict);
  const auto names = class_names(weights);
  const bool json = c.output.empty() ? c.common.json : std::filesystem::path(c.output).extension() == ".json";
  std::string text = json ? "" : csv_head(std::min(most_likely, weights.outputs()));
  for (i64 i = 0; i < logits.size(); ++i) {
    const auto list =
        guesses(std::span(logits.values).subspan(static_cast<size_t>(i * logits.dim), static_cast<size_t>(logits.dim)));
    const auto image = pictures.name(logits.index[static_cast<size_t>(i)]);
    text += json ? json_line(image, list, names) : csv_line(image, list, names);
  }
  if (c.output.empty()) {
    std::cout << text;
  } else {
    dino::write_file_atomic(c.output, text);
    if (!c.common.quiet) std::cerr << "wrote   " << c.output << ", " << logits.size() << " images\n";
  }
  return 0;
}

}  // namespace programs
