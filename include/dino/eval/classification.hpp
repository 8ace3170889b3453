// What is said of a classifier: top-1, top-5, cross-entropy, accuracy of each class, confusion matrix.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/record.hpp>

#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// Counts predictions as they come. Rank of a class: how many others have a higher score, or the same and a lower
/// number; NaN is the highest, so that a classifier that broke never scores by it. Prediction: the class of rank 0.
///     ClassificationMetrics m(10);
///     m.add(logits, labels);
///     m.top1(), m.top5(), m.loss(), m.confusion(truth, predicted)
/// Percentages and means are NaN where nothing was counted.
class ClassificationMetrics {
 public:
  explicit ClassificationMetrics(i64 classes) : classes_(classes) {
    require(classes >= 1, ErrorKind::data, "classification: {} classes", classes);
    confusion_.resize(static_cast<size_t>(classes * classes));
  }

  /// logits: (R,classes), row by row; labels: R numbers in [0, classes), otherwise Error{data}. The loss of a row is
  /// lse(x) - x[label], in double.
  template <class T> void add(std::span<const T> logits, std::span<const i64> labels) {
    require(logits.size() == labels.size() * static_cast<size_t>(classes_),
            "classification: {} logits for {} labels and {} classes", logits.size(), labels.size(), classes_);
    for (size_t i = 0; i < labels.size(); ++i) add_row(logits.data() + static_cast<i64>(i) * classes_, labels[i]);
    losses_ += static_cast<i64>(labels.size());
  }
  /// The same from votes or probabilities (k-NN), which have no cross-entropy.
  template <class T> void add_votes(std::span<const T> votes, i64 label) {
    require(static_cast<i64>(votes.size()) == classes_, "classification: {} votes for {} classes", votes.size(),
            classes_);
    count_row(votes.data(), label);
  }

  i64 classes() const { return classes_; }
  i64 images() const { return images_; }
  bool has_loss() const { return losses_ > 0; }
  double top1() const { return percent(first_, images_); }   // per cent
  double top5() const { return percent(among5_, images_); }  // per cent; among min(5, classes)
  double loss() const { return has_loss() ? loss_ / static_cast<double>(losses_) : nan; }

  i64 confusion(i64 truth, i64 predicted) const {
    return confusion_[static_cast<size_t>(truth * classes_ + predicted)];
  }
  i64 images_of(i64 truth) const {
    const auto row = confusion_.begin() + truth * classes_;
    return std::accumulate(row, row + classes_, i64{0});
  }
  /// Per cent of the images of a class that got it.
  double class_accuracy(i64 truth) const { return percent(confusion(truth, truth), images_of(truth)); }
  /// Mean of class_accuracy over the classes that have images.
  double mean_class_accuracy() const {
    double total = 0;
    i64 counted = 0;
    for (i64 c = 0; c < classes_; ++c) {
      if (images_of(c) == 0) continue;
      total += class_accuracy(c);
      ++counted;
    }
    return counted > 0 ? total / static_cast<double>(counted) : nan;
  }

 private:
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

  static double percent(i64 part, i64 whole) {
    return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : nan;
  }

  template <class T> static bool higher(T a, T b) { return a > b || (std::isnan(a) && !std::isnan(b)); }

  template <class T> void count_row(const T* x, i64 label) {
    require(0 <= label && label < classes_, ErrorKind::data, "classification: label {} for {} classes", label,
            classes_);
    i64 best = 0, rank = 0;
    for (i64 c = 0; c < classes_; ++c) {
      if (higher(x[c], x[best])) best = c;
      if (higher(x[c], x[label]) || (c < label && !higher(x[label], x[c]))) ++rank;
    }
    ++images_;
    first_ += rank == 0 ? 1 : 0;
    among5_ += rank < 5 ? 1 : 0;
    ++confusion_[static_cast<size_t>(label * classes_ + best)];
  }

  template <class T> void add_row(const T* x, i64 label) {
    count_row(x, label);
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (i64 c = 0; c < classes_; ++c) top = std::max(top, static_cast<double>(x[c]));
    for (i64 c = 0; c < classes_; ++c) sum += std::exp(static_cast<double>(x[c]) - top);
    loss_ += top + std::log(sum) - static_cast<double>(x[label]);
  }

  i64 classes_, images_ = 0, first_ = 0, among5_ = 0, losses_ = 0;
  double loss_ = 0;
  std::vector<i64> confusion_;  // (classes,classes): truth down, prediction across
};

namespace detail {

/// A cell of a CSV file, quoted where it has to be (RFC 4180).
inline std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

inline void check_class_names(const ClassificationMetrics& m, const std::vector<std::string>& names) {
  require(static_cast<i64>(names.size()) == m.classes(), "classification: {} names for {} classes", names.size(),
          m.classes());
}

}  // namespace detail

/// One line per class: its number, name, images, how many of them got it, and per cent (empty where there are none).
inline std::string class_accuracy_csv(const ClassificationMetrics& m, const std::vector<std::string>& names) {
  detail::check_class_names(m, names);
  std::string out = "class,name,images,correct,accuracy\n";
  for (i64 c = 0; c < m.classes(); ++c) {
    const i64 images = m.images_of(c);
    out += str("{},{},{},{},{}\n", c, detail::csv_cell(names[static_cast<size_t>(c)]), images, m.confusion(c, c),
               images > 0 ? number_text(m.class_accuracy(c)) : "");
  }
  return out;
}

/// The confusion matrix as counts: a line per true class, a column per prediction.
inline std::string confusion_csv(const ClassificationMetrics& m, const std::vector<std::string>& names) {
  detail::check_class_names(m, names);
  std::string out = "truth \\ prediction";
  for (const auto& name : names) out += ',' + detail::csv_cell(name);
  out += '\n';
  for (i64 truth = 0; truth < m.classes(); ++truth) {
    out += detail::csv_cell(names[static_cast<size_t>(truth)]);
    for (i64 predicted = 0; predicted < m.classes(); ++predicted)
      out += ',' + std::to_string(m.confusion(truth, predicted));
    out += '\n';
  }
  return out;
}

/// The figures as fields of a line of metrics: images, top1, top5 (from 6 classes on), loss if there were logits,
/// mean_class_accuracy.
inline void add_classification(Record& record, const ClassificationMetrics& m) {
  record.set("images", m.images()).set("top1", m.top1());
  if (m.classes() > 5) record.set("top5", m.top5());
  if (m.has_loss()) record.set("loss", m.loss());
  record.set("mean_class_accuracy", m.mean_class_accuracy());
}

}  // namespace dino::inline DINO_ABI
