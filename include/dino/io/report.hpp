// report.html: what a run did, on one page that needs nothing else; made from the run's folder alone.
#pragma once

#include <dino/io/file.hpp>
#include <dino/io/html.hpp>
#include <dino/io/metrics.hpp>
#include <dino/io/report_charts.hpp>
#include <dino/io/report_embedding.hpp>

namespace dino::inline DINO_ABI {

/// Writes folder/report.html, and each chart as folder/report/<name>.svg. Reads metrics.jsonl, config.json, env.json,
/// cmd.txt, bad_samples.jsonl, and of folder/report/ embedding.jsonl and the PNG files (at most 8 MB each); what is
/// missing or damaged is left out and named. The page has no script and no address: it can be sent by mail. Returns the
/// path of the page. Throws (usage) when there is no such folder, (resources) when it cannot be written.
std::filesystem::path write_report(const std::filesystem::path& folder);

namespace detail {

inline std::string report_style() {
  return R"(:root{color-scheme:light dark;
  --paper:#fff;--ink:#222;--soft:#666;--edge:#ddd;--tile:#f5f6f8;--alarm:#b00020}
@media (prefers-color-scheme:dark){:root{
  --paper:#17191c;--ink:#e4e4e4;--soft:#a0a4aa;--edge:#33373d;--tile:#202429;--alarm:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;padding:16px;max-width:1180px;background:var(--paper);color:var(--ink);
  font:16px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.5rem;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2em 0 .6em;border-bottom:1px solid var(--edge);padding-bottom:.2em}
h3{font-size:1rem;margin:0 0 .3em}
p{margin:.4em 0}
.soft,figcaption{color:var(--soft);font-size:.9rem}
.alarm{color:var(--alarm);font-weight:600}
pre{margin:.6em 0;padding:.7em;background:var(--tile);border-radius:6px;overflow-x:auto;font-size:.85rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin:1em 0}
.tile{background:var(--tile);border-radius:6px;padding:.6em .8em}
.tile b{display:block;font-size:1.2rem;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:24px}
figure{margin:0;min-width:0}
img{max-width:100%;height:auto;display:block;border-radius:4px}
.pictures figure{margin-bottom:20px}
.embedding{max-width:640px}
table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;vertical-align:top;padding:.25em .8em .25em 0;border-bottom:1px solid var(--edge);
  overflow-wrap:anywhere}
th{font-weight:600;width:34%;overflow-wrap:normal}
.events td{overflow-wrap:break-word}
.events td:first-child{white-space:nowrap}
summary{cursor:pointer;padding:.5em 0}
@media (max-width:600px){
  .events tr{display:block;border-bottom:1px solid var(--edge)}
  .events td{display:inline-block;border:0;overflow-wrap:anywhere}}
)";
}

/// Seconds since 1970 of "2026-01-23T21:40:05Z"; nothing for any other text.
inline std::optional<i64> parse_rfc3339(const std::string& text) {
  std::tm parts{};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (!end || *end) return std::nullopt;
  return static_cast<i64>(::timegm(&parts));
}

/// Collects what the folder holds, then writes the page section by section.
class ReportPage {
 public:
  explicit ReportPage(const std::filesystem::path& folder) : folder_(folder) {
    records_ = read_metrics(folder / "metrics.jsonl");
    config_ = document("config.json");
    environment_ = document("env.json");
    const double k = config_.number("options.k_dim");
    embedding_ = read_embedding(folder / "report" / "embedding.jsonl");
    charts_.emplace(records_, k > 1 ? std::log(k) : std::numeric_limits<double>::quiet_NaN());
  }

  std::string html() {
    const std::string name = title();
    out_ =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "img-src data:\"/>\n" +
        element("title", name) + "\n<style>\n" + report_style() + chart_style() + "</style></head>\n<body>\n" +
        element("h1", name) + "\n";
    if (records_.empty()) {
      out_ +=
          element("p", "No metrics yet: metrics.jsonl is missing, or the run has not finished its first step.") + "\n";
    } else {
      tiles();
    }
    command();
    curves();
    embedding();
    pictures();
    events();
    bad_samples();
    configuration();
    table_section("Environment", environment_, "");
    for (const auto& problem : problems_) out_ += element("p", problem, "alarm") + "\n";
    out_ += element("p", str("Made by dino {} from {} lines of metrics.jsonl.", DINO_VERSION, records_.size()), "soft");
    return out_ + "\n</body></html>\n";
  }

  /// File names and contents.
  std::vector<std::pair<std::string, std::string>> svg_files() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& chart : charts_->all()) out.emplace_back(chart.name + ".svg", svg_file(chart.chart));
    if (embedding_) out.emplace_back("embedding.svg", svg_file(embedding_chart(*embedding_)));
    return out;
  }

 private:
  static constexpr i64 text_limit = 4'000'000, picture_limit = 8'000'000;  // bytes
  static constexpr size_t most_events = 200, most_bad_samples = 50;

  /// The flattened document; empty, with a line in the report, when it cannot be read.
  Record document(const std::string& name) {
    if (!std::filesystem::exists(folder_ / name)) return {};
    try {
      if (auto record = parse_record(read_text(folder_ / name, text_limit))) return *std::move(record);
    } catch (const Error&) {
    }
    problems_.push_back(name + " cannot be read.");
    return {};
  }

  std::string title() const {
    std::string program = config_.text("program"), backbone = config_.text("options.backbone");
    if (program.empty()) program = "Run";
    const auto path = folder_.has_filename() ? folder_ : folder_.parent_path();
    const std::string version = path.filename().string();
    return program + (backbone.empty() ? "" : ", " + backbone) +
           (version.empty() || version == "." ? "" : ", " + version);
  }

  void tile(const std::string& value, const std::string& label) {
    if (!value.empty())
      out_ += "<div class=\"tile\">" + element("b", value) + element("span", label, "soft") + "</div>\n";
  }

  /// The mean of the last finite values of a field; text, empty when there is none.
  std::string recent(const char* key, double step, size_t lines = 50) const {
    double sum = 0;
    size_t n = 0;
    for (size_t i = records_.size(); i-- > 0 && n < lines;) {
      const double value = records_[i].kind() == "step" ? records_[i].number(key) : std::nan("");
      if (std::isfinite(value)) sum += value, ++n;
    }
    return n ? tick_label(sum / static_cast<double>(n), step) : "";
  }

  double last(const char* key) const {
    for (size_t i = records_.size(); i-- > 0;) {
      if (std::isfinite(records_[i].number(key))) return records_[i].number(key);
    }
    return std::nan("");
  }

  void tiles() {
    const double step = last("step"), epoch = last("epoch"), best = charts_->best_top1();
    const double k = config_.number("options.k_dim");
    out_ += "<div class=\"tiles\">\n";
    if (step >= 0)
      tile(tick_label(step, 1),
           epoch >= 0
               ? str("steps, {} epochs", tick_label(epoch, std::abs(epoch - std::round(epoch)) < 0.005 ? 1 : 0.01))
               : "steps");
    tile(recent("loss", 0.001), k > 1 ? str("loss, ln K = {}", tick_label(std::log(k), 0.01)) : "loss");
    tile(recent("teacher_entropy", 0.01), "teacher entropy, nats");
    if (std::isfinite(best)) tile(tick_label(best, 0.1) + " %", "best top-1");
    tile(recent("img_s", last("img_s") < 10 ? 0.1 : 1), "images per second");
    const auto first = parse_rfc3339(records_.front().text("t")), end = parse_rfc3339(records_.back().text("t"));
    if (first && end) tile(format_duration(static_cast<double>(*end - *first)), "elapsed");
    if (last("bad_samples") > 0) tile(tick_label(last("bad_samples"), 1), "bad images");
    if (last("skipped") > 0) tile(tick_label(last("skipped"), 1), "updates skipped");
    out_ += "</div>\n";
    out_ += element("p",
                    "Loss, entropy and speed: mean of the last 50 lines. Last line: " + records_.back().text("t") + ".",
                    "soft") +
            "\n";
  }

  void command() {
    std::string text;
    try {
      if (std::filesystem::exists(folder_ / "cmd.txt")) text = read_text(folder_ / "cmd.txt", text_limit);
    } catch (const Error&) {
      problems_.push_back("cmd.txt cannot be read.");
    }
    if (!text.empty()) out_ += element("pre", text) + "\n";
  }

  void curves() {
    const auto all = charts_->all();
    if (all.empty()) return;
    out_ += "<h2>Curves</h2>\n";
    if (!charts_->thinning().empty()) out_ += element("p", charts_->thinning(), "soft") + "\n";
    out_ += "<div class=\"charts\">\n";
    for (const auto& chart : all) {
      out_ += "<figure>" + element("h3", chart.chart.title) + "\n" + line_chart(chart.chart);
      if (!chart.caption.empty()) out_ += element("figcaption", chart.caption);
      out_ += "</figure>\n";
    }
    out_ += "</div>\n";
  }

  void embedding() {
    if (!embedding_) return;
    const auto& e = *embedding_;
    out_ += "<h2>Embedding of the features</h2>\n<figure class=\"embedding\">" + scatter_chart(embedding_chart(e)) +
            element("figcaption", str("{} of {} images as the teacher sees them at step {}; a point is an image{}.",
                                      e.method, format_count(static_cast<i64>(e.x.size())), e.step,
                                      e.classes.empty() ? "" : ", its colour the class")) +
            "</figure>\n";
  }

  static std::string picture_title(const std::string& stem) {
    if (stem == "crops") return "Sample crops";
    if (stem == "attention") return "Attention of the last block";
    if (stem == "neighbours") return "Nearest neighbours";
    if (stem == "confusion") return "Confusion matrix";
    return stem;
  }

  static std::string picture_caption(const std::string& stem) {
    if (stem == "crops") return "A row shows crops of one image, as training sees them before normalisation.";
    if (stem == "attention")
      return "First row: images. Below, after so many epochs (ep): where the class token of the teacher looks, mean "
             "over the heads, in each map from dark (least) to bright (most).";
    if (stem == "neighbours")
      return "First column: images, with their class where they have one. Then those that are nearest by the features "
             "of the teacher, with the cosine: a closed green frame is the same class, a broken orange one another.";
    return "";
  }

  void pictures() {
    std::vector<std::filesystem::path> paths;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "report", none)) {
      if (entry.path().extension() == ".png") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    if (!paths.empty()) out_ += "<h2>Pictures</h2>\n<div class=\"pictures\">\n";
    for (const auto& path : paths) {
      const std::string name = picture_title(path.stem().string()), caption = picture_caption(path.stem().string());
      std::string image;
      try {
        image = embedded_png(read_file(path, picture_limit), name);
      } catch (const Error&) {
      }
      if (image.empty()) {
        problems_.push_back("report/" + path.filename().string() + " is not a PNG of at most 8 MB.");
      } else {
        out_ += "<figure>" + element("h3", name) + image;
        out_ += (caption.empty() ? "" : element("figcaption", caption)) + "</figure>\n";
      }
    }
    if (!paths.empty()) out_ += "</div>\n";
  }

  static bool alarming(const std::string& what) {
    return what == "nan" || what == "spike" || what == "collapse" || what == "rollback" || what == "error";
  }

  void events() {
    std::vector<const Record*> shown;
    size_t checkpoints = 0;
    for (const auto& record : records_) {
      if (record.kind() != "event") continue;
      record.text("what") == "checkpoint" ? void(++checkpoints) : shown.push_back(&record);
    }
    if (shown.empty() && checkpoints == 0) return;
    out_ += "<h2>Events</h2>\n" + element("p", str("Checkpoints written: {}.", checkpoints), "soft") + "\n";
    if (shown.empty()) return;
    const size_t begin = shown.size() - std::min(shown.size(), most_events);
    if (begin > 0) out_ += element("p", str("The last {} of {} events.", most_events, shown.size()), "soft") + "\n";
    out_ += "<table class=\"events\">\n";
    for (size_t i = begin; i < shown.size(); ++i) {
      const std::string what = shown[i]->text("what"), step = shown[i]->text("step");
      out_ += "<tr>" + element("td", step.empty() ? "" : "step " + step) +
              element("td", what, alarming(what) ? "alarm" : "") + element("td", shown[i]->text("detail")) +
              element("td", shown[i]->text("t"), "soft") + "</tr>\n";
    }
    out_ += "</table>\n";
  }

  void bad_samples() {
    const auto bad = read_metrics(folder_ / "bad_samples.jsonl");
    if (bad.empty()) return;
    out_ += "<details><summary>" + escape(str("Bad images: {}", bad.size())) + "</summary>\n<table>\n";
    for (size_t i = 0; i < std::min(bad.size(), most_bad_samples); ++i) {
      std::string fields;
      for (const auto& [key, value] : bad[i].fields()) {
        if (key != "v" && key != "t") fields += (fields.empty() ? "" : ", ") + key + ": " + Record::value_text(value);
      }
      out_ += "<tr>" + element("td", fields) + "</tr>\n";
    }
    out_ += "</table></details>\n";
  }

  static std::string row(const std::string& key, const std::string& value, const std::string& source) {
    return "<tr>" + element("th", key) + element("td", value) + (source.empty() ? "" : element("td", source, "soft")) +
           "</tr>\n";
  }

  /// Values that somebody chose come first; defaults, those of the data set and derived ones are folded away.
  void configuration() {
    std::string chosen, rest;
    size_t n = 0;
    for (const auto& [key, value] : config_.fields()) {
      if (!key.starts_with("options.")) continue;
      const std::string name = key.substr(8), source = config_.text("sources." + name);
      const bool by_default = source == "default" || source == "auto" || source.starts_with("data set ");
      (by_default ? rest : chosen) += row(name, Record::value_text(value), source);
      n += by_default;
    }
    if (chosen.empty() && rest.empty()) return table_section("Configuration", config_, "sources.");
    out_ += "<h2>Configuration</h2>\n";
    if (!chosen.empty()) out_ += "<table>\n" + chosen + "</table>\n";
    if (rest.empty()) return;
    out_ += "<details><summary>" + escape(str("Defaults: {} values", n)) + "</summary>\n<table>\n" + rest +
            "</table></details>\n";
  }

  void table_section(const std::string& name, const Record& record, const std::string& without) {
    if (record.fields().empty()) return;
    out_ += element("h2", name) + "\n<table>\n";
    for (const auto& [key, value] : record.fields()) {
      if (without.empty() || !key.starts_with(without)) out_ += row(key, Record::value_text(value), "");
    }
    out_ += "</table>\n";
  }

  std::filesystem::path folder_;
  std::vector<Record> records_;
  Record config_, environment_;
  std::optional<ReportCharts> charts_;
  std::optional<ReportEmbedding> embedding_;
  std::vector<std::string> problems_;
  std::string out_;
};

}  // namespace detail

inline std::filesystem::path write_report(const std::filesystem::path& folder) {
  require(std::filesystem::is_directory(folder), ErrorKind::usage, "no run in {}: it is not a folder", folder.string());
  detail::ReportPage page(folder);
  const auto path = folder / "report.html", charts = folder / "report";
  write_file_atomic(path, page.html());
  std::error_code error;
  std::filesystem::create_directories(charts, error);
  require(!error, ErrorKind::resources, "cannot write to {}: {}", charts.string(), detail::reason(error.value()));
  for (const auto& [name, text] : page.svg_files()) write_file_atomic(charts / name, text);
  return path;
}

}  // namespace dino::inline DINO_ABI
