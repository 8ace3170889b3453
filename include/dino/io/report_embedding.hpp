// An embedding of features, as a run keeps it for its report.
#pragma once

#include <dino/io/file.hpp>
#include <dino/io/metrics.hpp>
#include <dino/io/scatter_chart.hpp>

#include <optional>
#include <span>

namespace dino::inline DINO_ABI {

/// Points of the plane and where they come from.
struct ReportEmbedding {
  std::string method;  // "t-SNE", "PCA"
  i64 step = 0;
  std::vector<double> x, y;
  std::vector<i64> labels;           // -1: none
  std::vector<std::string> classes;  // by label
};

/// One JSON object per line: first method and step, then a point each with x, y, label and class. Throws
/// Error{resources} when it cannot be written.
inline void write_embedding(const std::filesystem::path& path, const ReportEmbedding& e) {
  require(e.x.size() == e.y.size() && e.labels.size() == e.x.size(), "write_embedding: {} x, {} y, {} labels",
          e.x.size(), e.y.size(), e.labels.size());
  std::string text = to_json(Record("embedding").set("method", e.method).set("step", e.step)) + '\n';
  for (size_t i = 0; i < e.x.size(); ++i) {
    const i64 label = e.labels[i];
    auto point =
        Record("point").set("x", static_cast<float>(e.x[i])).set("y", static_cast<float>(e.y[i])).set("label", label);
    if (label >= 0 && label < static_cast<i64>(e.classes.size()))
      point = point.set("class", e.classes[static_cast<size_t>(label)]);
    text += to_json(point) + '\n';
  }
  write_file_atomic(path, text);
}

/// What write_embedding wrote; nothing when there is no such file, or no point in it. Lines that are damaged, and
/// labels of 100,000 or more, are passed over.
inline std::optional<ReportEmbedding> read_embedding(const std::filesystem::path& path) {
  ReportEmbedding out;
  for (const auto& record : read_metrics(path)) {
    if (record.kind() == "embedding") {
      out.method = record.text("method");
      out.step = record.has("step") ? static_cast<i64>(record.number("step")) : 0;
    }
    const double x = record.number("x"), y = record.number("y"), label = record.number("label");
    if (record.kind() != "point" || !std::isfinite(x) || !std::isfinite(y) || !(label >= -1 && label < 1e5)) continue;
    out.x.push_back(x);
    out.y.push_back(y);
    out.labels.push_back(static_cast<i64>(label));
    if (label < 0) continue;
    const auto at = static_cast<size_t>(label);
    if (at >= out.classes.size()) out.classes.resize(at + 1);
    out.classes[at] = record.text("class");
  }
  if (out.x.empty()) return std::nullopt;
  return out;
}

/// The points, coloured by class; the legend has up to 20 classes.
inline ScatterChart embedding_chart(const ReportEmbedding& e) {
  ScatterChart chart{.title = "Embedding of the features", .x = e.x, .y = e.y, .equal_aspect = true, .ticks = false};
  if (e.classes.empty()) return chart;
  chart.classes = e.labels;
  if (e.classes.size() <= 20) chart.names = e.classes;
  return chart;
}

}  // namespace dino::inline DINO_ABI
