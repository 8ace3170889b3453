// metrics.jsonl, the source of truth of a run, and metrics.csv, which is made from it.
#pragma once

#include <dino/base/log.hpp>
#include <dino/io/clock.hpp>
#include <dino/io/file.hpp>
#include <dino/io/parse_record.hpp>
#include <dino/io/record.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// Calls visit(record, begin, end) for each line of the file that is a JSON object; [begin, end) are its bytes, line
/// feed included. Other lines, such as a last one cut by a kill, are passed over. Returns the bytes of complete lines.
template <class Visit> i64 scan_records(const std::filesystem::path& path, Visit&& visit) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  i64 begin = 0;
  while (std::getline(file, line)) {
    const bool complete = !file.eof();
    const i64 end = begin + static_cast<i64>(line.size()) + (complete ? 1 : 0);
    if (const auto record = parse_record(line)) visit(*record, begin, end);
    if (!complete) return begin;
    begin = end;
  }
  return begin;
}

/// All records of a metrics.jsonl; none when there is no such file.
inline std::vector<Record> read_metrics(const std::filesystem::path& path) {
  std::vector<Record> records;
  scan_records(path, [&](const Record& record, i64, i64) { records.push_back(record); });
  return records;
}

/// One row per epoch record, with the results of the same step beside it: an eval named "knn" with k = 20 adds the
/// columns knn_20_top1 and so on.
class EpochTable {
 public:
  /// Takes epoch and eval records; returns whether the table has changed.
  bool add(const Record& record) {
    const bool epoch = record.kind() == "epoch";
    if (!epoch && record.kind() != "eval") return false;
    Row& row = row_of(record.text("step"));
    if (epoch) {
      for (const auto& [key, value] : record.fields()) {
        if (key != "v" && key != "kind") put(row, key, value);
      }
      row.complete = true;
    } else {
      const std::string k = record.text("k");
      const std::string prefix = record.text("name") + (k.empty() ? "_" : "_" + k + "_");
      for (const auto& [key, value] : record.fields()) {
        if (key == "top1" || key == "top5" || key == "loss") put(row, prefix + key, value);
      }
    }
    return row.complete;
  }

  /// The header and the rows (RFC 4180, but with bare line feeds). A value that a row lacks is an empty cell.
  std::string csv() const {
    std::string out;
    for (const auto& column : columns_) out += (out.empty() ? "" : ",") + cell(column);
    out += '\n';
    for (const Row& row : rows_) {
      if (!row.complete) continue;
      for (size_t i = 0; i < columns_.size(); ++i) out += (i ? "," : "") + cell(row.values.text(columns_[i]));
      out += '\n';
    }
    return out;
  }

 private:
  struct Row {
    std::string step;
    Record values;
    bool complete = false;
  };

  Row& row_of(const std::string& step) {
    if (rows_.empty() || rows_.back().step != step) rows_.push_back({step, {}, false});
    return rows_.back();
  }

  void put(Row& row, const std::string& key, const Record::Value& value) {
    row.values.set(key, value);
    if (std::find(columns_.begin(), columns_.end(), key) == columns_.end()) columns_.push_back(key);
  }

  static std::string cell(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + '"';
  }

  std::vector<std::string> columns_;
  std::vector<Row> rows_;
};

/// The metrics of a run. Lines are written at once and whole, from any thread; a full disk loses lines and never stops
/// the run.
class Metrics {
 public:
  /// Opens folder/metrics.jsonl. What stands there after resume_step, and a last line that is not complete, moves to
  /// the end of metrics.jsonl.bak; metrics.csv is made again. Throws (resources) when the folder cannot be written.
  explicit Metrics(const std::filesystem::path& folder, i64 resume_step = 0)
      : folder_(folder), file_((cut_back(folder, resume_step), folder / "metrics.jsonl")) {
    const auto path = folder_ / "metrics.jsonl";
    scan_records(path, [&](const Record& record, i64, i64) { table_.add(record); });
    write_file_atomic(folder_ / "metrics.csv", table_.csv());
  }

  /// Adds the version and the time. Warns at most once a minute about lines that are lost.
  void write(const Record& record) {
    Record line;
    line.set("v", 1).set("t", rfc3339(time_.now()));
    for (const auto& [key, value] : record.fields()) line.set(key, value);
    std::string trouble;
    {
      const std::lock_guard lock(mutex_);
      trouble = append(line);
      if (!trouble.empty() && !may_warn()) trouble.clear();
    }
    if (!trouble.empty()) log_warning("{}; {} lines lost", trouble, lost());
  }

  /// Lines that could not be written so far.
  i64 lost() const {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

 private:
  static void cut_back(const std::filesystem::path& folder, i64 resume_step) {
    const auto path = folder / "metrics.jsonl";
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none)) return;
    i64 keep = -1;
    const i64 complete = scan_records(path, [&](const Record& record, i64 begin, i64) {
      if (keep < 0 && record.number("step") > static_cast<double>(resume_step)) keep = begin;
    });
    if (keep < 0 || keep > complete) keep = complete;
    const i64 size = static_cast<i64>(std::filesystem::file_size(path));
    if (keep == size) return;
    std::ifstream from(path, std::ios::binary);
    std::ofstream to(folder / "metrics.jsonl.bak", std::ios::binary | std::ios::app);
    to << from.seekg(keep).rdbuf() << (complete == size ? "" : "\n") << std::flush;
    require(to.good(), ErrorKind::resources, "cannot keep the end of {} in metrics.jsonl.bak", path.string());
    std::filesystem::resize_file(path, static_cast<std::uintmax_t>(keep));
  }

  /// Returns what went wrong, empty if nothing did.
  std::string append(const Record& line) {
    std::string trouble;
    try {
      file_.append(to_json(line));
    } catch (const Error& error) {
      lost_ += 1;
      trouble = error.what();
    }
    try {
      if (table_.add(line)) write_file_atomic(folder_ / "metrics.csv", table_.csv());
    } catch (const Error& error) {  // no line is lost: the next epoch writes the whole table again
      if (trouble.empty()) trouble = error.what();
    }
    return trouble;
  }

  bool may_warn() {
    const double now = monotonic_seconds();
    if (now < next_warning_) return false;
    next_warning_ = now + 60;
    return true;
  }

  std::filesystem::path folder_;
  LineFile file_;
  SteadyTime time_;
  mutable std::mutex mutex_;
  EpochTable table_;
  i64 lost_ = 0;
  double next_warning_ = -1e300;
};

}  // namespace dino::inline DINO_ABI
