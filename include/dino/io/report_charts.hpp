// From the lines of metrics.jsonl to the charts of a report.
#pragma once

#include <dino/io/record.hpp>
#include <dino/io/svg.hpp>

#include <map>

namespace dino::inline DINO_ABI {

/// A chart with the sentence below it, and the name of its file.
struct ReportChart {
  std::string name;
  LineChart chart;
  std::string caption;
};

/// Thins a series to at most `limit` points: each is the mean of the finite values of as many consecutive points, at
/// their mean x, with their minimum and maximum as the band. A bucket without a finite value is a gap. Short series
/// stay as they are.
inline Series thinned(const Series& all, i64 limit) {
  const i64 n = static_cast<i64>(all.x.size());
  if (n <= limit) return all;
  const i64 bucket = (n + limit - 1) / limit;
  Series out{.name = all.name, .x = {}, .y = {}, .dots = all.dots};
  for (i64 begin = 0; begin < n; begin += bucket) {
    double x = 0, y = 0, finite = 0;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    const i64 end = std::min(begin + bucket, n);
    for (i64 i = begin; i < end; ++i) {
      const double value = all.y[static_cast<size_t>(i)];
      x += all.x[static_cast<size_t>(i)];
      if (!std::isfinite(value)) continue;
      y += value, ++finite;
      low = std::min(low, value), high = std::max(high, value);
    }
    out.x.push_back(x / static_cast<double>(end - begin));
    out.y.push_back(y / finite);  // 0 / 0 is the gap
    out.low.push_back(finite > 0 ? low : out.y.back());
    out.high.push_back(finite > 0 ? high : out.y.back());
  }
  return out;
}

/// The charts that these records can fill. ln_k: NaN when it is not known.
class ReportCharts {
 public:
  ReportCharts(const std::vector<Record>& records, double ln_k) : ln_k_(ln_k) {
    for (const auto& record : records) {
      if (record.kind() == "step") steps_.push_back(&record);
      if (record.kind() == "epoch") epochs_.push_back(&record);
      if (record.kind() == "eval" || record.text("what") == "baseline") evals_.push_back(&record);
    }
    if (steps_.empty()) steps_ = epochs_;
    in_epochs_ = !steps_.empty() && steps_.back()->number("epoch") >= 2;
  }

  std::vector<ReportChart> all() const {
    std::vector<ReportChart> charts;
    const auto keep = [&](ReportChart chart) {
      if (!chart.chart.series.empty()) charts.push_back(std::move(chart));
    };
    keep(lines("loss", "Loss", "nats", {{"loss", "loss"}}, true));
    keep(lines(
        "entropy", "Teacher entropy and KL divergence", "nats",
        {{"teacher_entropy", "teacher entropy"}, {"kl", "KL = loss - entropy"}, {"batch_entropy", "batch entropy"}},
        true));
    keep(accuracy());
    keep(lines("lr", "Learning rate", "", {{"lr", ""}}));
    keep(lines("wd", "Weight decay", "", {{"wd", ""}}));
    keep(lines("momentum", "Teacher momentum", "", {{"momentum", ""}}));
    keep(lines("teacher_temp", "Teacher temperature", "", {{"teacher_temp", ""}}));
    keep(from_zero(lines("speed", "Speed", "images per second", {{"img_s", ""}})));
    keep(from_zero(lines("data_wait", "Waiting for data", "% of the time", {{"data_wait", ""}}, false, 100)));
    keep(log_if_wide(lines("grad_norm", "Gradient norm before clipping", "", {{"grad_norm", ""}})));
    keep(lines("feat_std", "Spread of the features", "mean standard deviation, L2-normalised", {{"feat_std", ""}}));
    keep(lines("center_norm", "Norm of the centre", "", {{"center_norm", ""}}));
    return charts;
  }

  /// How the lines of the steps were thinned; empty when each is a point.
  std::string thinning() const {
    const i64 n = static_cast<i64>(steps_.size());
    if (n <= most_points) return "";
    return str(
        "Each point is the mean of {} consecutive lines of metrics.jsonl; a band shows the smallest and largest.",
        (n + most_points - 1) / most_points);
  }

  /// The best top-1 of the run itself, in percent; NaN when there is none.
  double best_top1() const {
    double best = std::numeric_limits<double>::quiet_NaN();
    for (const Record* r : evals_) {
      if (baseline(*r).empty() && !(r->number("top1") <= best))
        best = std::isnan(r->number("top1")) ? best : r->number("top1");
    }
    return best;
  }

 private:
  static constexpr i64 most_points = 500;

  struct Field {
    const char *key, *name;
  };

  double at(const Record& r) const { return r.number(in_epochs_ ? "epoch" : "step"); }
  std::string x_label() const { return in_epochs_ ? "epoch" : "step"; }

  ReportChart lines(const char* name, const char* title, const char* unit, const std::vector<Field>& fields,
                    bool with_ln_k = false, double factor = 1) const {
    ReportChart out{name, {.title = title, .x_label = x_label(), .y_label = unit}, ""};
    i64 bad = 0;
    for (const auto& field : fields) {
      Series series{.name = field.name, .x = {}, .y = {}};
      for (const Record* r : steps_) {
        if (!r->has(field.key) || !std::isfinite(at(*r))) continue;
        series.x.push_back(at(*r));
        series.y.push_back(factor * r->number(field.key));
        bad += !std::isfinite(series.y.back());
      }
      if (!series.x.empty()) out.chart.series.push_back(thinned(series, most_points));
    }
    if (out.chart.series.size() == 1) out.chart.series[0].name.clear();
    if (with_ln_k && std::isfinite(ln_k_))
      out.chart.levels.push_back({ln_k_, str("ln K = {}", tick_label(ln_k_, 0.01))});
    if (bad > 0) out.caption = str("Values that are not finite, left out: {}.", bad);
    return out;
  }

  static ReportChart from_zero(ReportChart chart) {
    chart.chart.from_zero = true;
    return chart;
  }

  static ReportChart log_if_wide(ReportChart chart) {
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (const auto& series : chart.chart.series) {
      for (const double y : series.y) {
        if (y > 0 && std::isfinite(y)) low = std::min(low, y), high = std::max(high, y);
      }
    }
    chart.chart.log_y = high > 50 * low;
    return chart;
  }

  /// What an evaluation without training is called; empty for an evaluation of the run.
  static std::string baseline(const Record& r) {
    const std::string name =
        r.text("name") + " " + r.text("baseline") + (r.text("what") == "baseline" ? r.text("detail") : "");
    if (name.find("pixels") != std::string::npos) return "raw pixels";
    if (name.find("untrained") != std::string::npos) return "untrained";
    return "";
  }

  static std::string series_name(const Record& r) {
    const std::string name = r.text("name") == "knn" ? "k-NN" : r.text("name");
    return r.has("k") ? str("{}, k = {}", name, r.text("k")) : name;
  }

  ReportChart accuracy() const {
    ReportChart out{
        "accuracy",
        {.title = "Accuracy of the frozen features", .x_label = x_label(), .y_label = "top-1, %", .from_zero = true},
        ""};
    std::map<std::string, double> levels;
    for (const Record* r : evals_) {
      const double top1 = r->number("top1");
      if (const std::string name = baseline(*r); !name.empty()) {
        if (std::isfinite(top1)) levels[name] = std::max(levels.try_emplace(name, top1).first->second, top1);
      } else if (std::isfinite(at(*r))) {
        Series& series = series_of(out.chart.series, series_name(*r));
        series.x.push_back(at(*r));
        series.y.push_back(top1);
      }
    }
    const auto shorter_first = [](const Series& a, const Series& b) {  // so that k = 20 stands before k = 100
      return std::pair(a.name.size(), a.name) < std::pair(b.name.size(), b.name);
    };
    std::stable_sort(out.chart.series.begin(), out.chart.series.end(), shorter_first);
    for (auto& series : out.chart.series) series = thinned(series, most_points);
    for (const auto& [name, top1] : levels)
      out.chart.levels.push_back({top1, str("{} {} %", name, tick_label(top1, 0.1))});
    return out;
  }

  static Series& series_of(std::vector<Series>& all, const std::string& name) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const Series& s) { return s.name == name; });
    if (found != all.end()) return *found;
    all.push_back({.name = name, .x = {}, .y = {}, .dots = true});
    return all.back();
  }

  double ln_k_;
  bool in_epochs_ = false;
  std::vector<const Record*> steps_, epochs_, evals_;
};

}  // namespace dino::inline DINO_ABI
