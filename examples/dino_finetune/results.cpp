#include "results.hpp"

#include <dino/data/imagenet_classes.hpp>
#include <dino/eval/confusion_image.hpp>

namespace programs {

using dino::i64;
using dino::str;

namespace {

std::string percent(double x) { return std::isfinite(x) ? dino::number_text(std::round(x * 100) / 100) + " %" : "-"; }

}  // namespace

dino::ClassificationMetrics metrics_of(const dino::FeatureSet& logits, i64 classes, const std::string& where) {
  dino::require(logits.size() > 0, dino::ErrorKind::data, "{}: no image could be read", where);
  dino::ClassificationMetrics m(classes);
  m.add(std::span<const float>(logits.values), std::span<const i64>(logits.labels));
  return m;
}

std::string metrics_text(const dino::ClassificationMetrics& m) {
  return str("top-1 {}{}  loss {}", percent(m.top1()), m.classes() > 5 ? "  top-5 " + percent(m.top5()) : "",
             dino::number_text(std::round(m.loss() * 1e4) / 1e4));
}

std::string class_lines(const dino::ClassificationMetrics& m, const std::vector<std::string>& classes) {
  const auto titles = dino::class_titles(classes);
  std::string out;
  for (i64 c = 0; c < m.classes(); ++c) {
    out += str("  {}  {} of {} images\n", titles[static_cast<size_t>(c)], percent(m.class_accuracy(c)), m.images_of(c));
  }
  return out;
}

void write_metrics(const std::filesystem::path& folder, const dino::ClassificationMetrics& m,
                   const std::vector<std::string>& classes) {
  std::filesystem::create_directories(folder);
  dino::write_classification(folder, m, dino::class_titles(classes));
}

}  // namespace programs
