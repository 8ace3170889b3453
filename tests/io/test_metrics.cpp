#include <dino/io/metrics.hpp>

#include "support/catch.hpp"

#include <csignal>
#include <thread>

#include <sys/resource.h>

using namespace dino;
namespace fs = std::filesystem;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// An empty folder of its own, removed at the end.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("dino_metrics_" + std::to_string(::getpid()));
  Folder() { fs::remove_all(path), fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string read(const char* name) const {
    std::ifstream file(path / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const char* name, std::string_view text) const { std::ofstream(path / name, std::ios::binary) << text; }
};

/// Collects warnings while it lives.
struct Warnings {
  std::vector<std::string> texts;
  LogSink old = set_log_sink([this](LogLevel, const std::string& text) { texts.push_back(text); });
  ~Warnings() { set_log_sink(old); }
};

Record step(i64 n) { return Record("step").set("step", n).set("loss", 9.5 - 0.125 * static_cast<double>(n)); }

}  // namespace

TEST_CASE("metrics: a line has version, time, kind and the fields in the order they were set", "[io]") {
  Folder folder;
  Metrics(folder.path)
      .write(Record("step").set("step", 812).set("epoch", 0.649).set("loss", 9.8712f).set("mem", 18.2e9));
  const std::string line = folder.read("metrics.jsonl");
  REQUIRE(line.size() > 60);
  CHECK(line.substr(0, 12) == R"({"v":1,"t":")");
  CHECK(line.substr(32) == "\",\"kind\":\"step\",\"step\":812,\"epoch\":0.649,\"loss\":9.8712,\"mem\":1.82e+10}\n");
  CHECK(line[22] == 'T');
  CHECK(line[31] == 'Z');
}

TEST_CASE("metrics: NaN and infinity are null, named, and NaN again when read", "[io]") {
  Folder folder;
  Metrics metrics(folder.path);
  metrics.write(Record("step").set("step", 1).set("loss", std::nanf("")).set("lr", 0.1f).set("kl", -1.0 / 0.0));
  const std::string line = folder.read("metrics.jsonl");
  CHECK(has(line, "\"loss\":null,\"lr\":0.1,\"kl\":null,\"nonfinite\":[\"loss\",\"kl\"]}\n"));
  const auto records = read_metrics(folder.path / "metrics.jsonl");
  REQUIRE(records.size() == 1);
  CHECK(std::isnan(records[0].number("loss")));
  CHECK(records[0].has("kl"));
  CHECK_FALSE(records[0].has("nonfinite"));
  CHECK(records[0].number("lr") == 0.1);
}

TEST_CASE("metrics: what is read equals what was written", "[io]") {
  Folder folder;
  const auto record =
      Record("event").set("step", i64{1} << 62).set("what", "start").set("detail", "a \"b\" \\ \n\t\x01 \xc3\xa9");
  Metrics(folder.path).write(Record(record).set("ok", true).set("x", 1e-300));
  const auto records = read_metrics(folder.path / "metrics.jsonl");
  REQUIRE(records.size() == 1);
  CHECK(records[0].text("detail") == record.text("detail"));
  CHECK(records[0].text("step") == "4611686018427387904");
  CHECK(records[0].text("ok") == "true");
  CHECK(records[0].number("x") == 1e-300);
}

TEST_CASE("metrics: a cut last line and damaged lines are passed over", "[io]") {
  Folder folder;
  folder.write("metrics.jsonl", "{\"step\":1}\n{\"step\":2,\"lo\n\xff\xff\n[3]\n{\"step\":4}\n{\"step\":5,\"loss\":1");
  const auto records = read_metrics(folder.path / "metrics.jsonl");
  REQUIRE(records.size() == 2);
  CHECK(records[0].number("step") == 1);
  CHECK(records[1].number("step") == 4);
  CHECK(read_metrics(folder.path / "absent.jsonl").empty());
}

TEST_CASE("metrics: on resume the file is cut back to the step and the tail is kept", "[io]") {
  Folder folder;
  {
    Metrics metrics(folder.path);
    metrics.write(Record("event").set("step", 0).set("what", "start"));
    for (i64 n = 1; n <= 6; ++n) metrics.write(step(n));
  }
  const std::string before = folder.read("metrics.jsonl");
  folder.write("metrics.jsonl", before + "{\"v\":1,\"cut");
  Metrics metrics(folder.path, 4);
  metrics.write(Record("event").set("step", 4).set("what", "resume"));
  const auto records = read_metrics(folder.path / "metrics.jsonl");
  REQUIRE(records.size() == 6);
  CHECK(records[4].number("step") == 4);
  CHECK(records[5].text("what") == "resume");
  const auto tail = read_metrics(folder.path / "metrics.jsonl.bak");
  REQUIRE(tail.size() == 2);
  CHECK(tail[0].number("step") == 5);
  CHECK(has(folder.read("metrics.jsonl.bak"), "}\n{\"v\":1,\"cut\n"));
}

TEST_CASE("metrics: a second resume adds its tail behind the first", "[io]") {
  Folder folder;
  for (i64 n = 1; n <= 3; ++n) {
    Metrics metrics(folder.path, 0);
    metrics.write(step(n));
  }
  const auto tail = read_metrics(folder.path / "metrics.jsonl.bak");
  REQUIRE(tail.size() == 2);
  CHECK(tail[0].number("step") == 1);
  CHECK(tail[1].number("step") == 2);
}

TEST_CASE("metrics: resuming at the last step changes nothing", "[io]") {
  Folder folder;
  Metrics(folder.path).write(step(1));
  const std::string before = folder.read("metrics.jsonl");
  Metrics metrics(folder.path, 1);
  CHECK(folder.read("metrics.jsonl") == before);
  CHECK_FALSE(fs::exists(folder.path / "metrics.jsonl.bak"));
}

TEST_CASE("metrics: the CSV has one line per epoch with the evaluation of its step, and can be made again", "[io]") {
  Folder folder;
  {
    Metrics metrics(folder.path);
    metrics.write(step(1));
    metrics.write(Record("epoch").set("step", 10).set("epoch", 1).set("loss", 4.5));
    metrics.write(Record("eval").set("step", 10).set("name", "knn").set("k", 20).set("top1", 41.25));
    metrics.write(Record("epoch").set("step", 20).set("epoch", 2).set("loss", std::nan("")).set("note", "a,\"b\""));
    metrics.write(Record("eval").set("step", 25).set("name", "knn").set("k", 20).set("top1", 50));
  }
  const std::string csv = folder.read("metrics.csv");
  std::vector<std::string> lines;
  std::istringstream in(csv);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "t,step,epoch,loss,knn_20_top1,note");
  CHECK(lines[1].substr(20) == ",10,1,4.5,41.25,");
  CHECK(lines[2].substr(20) == ",20,2,nan,,\"a,\"\"b\"\"\"");
  fs::remove(folder.path / "metrics.csv");
  Metrics all(folder.path, 30);
  CHECK(folder.read("metrics.csv") == csv);
  Metrics half(folder.path, 15);
  const auto without = [](const std::string& line, size_t end) { return line.substr(0, line.size() - end) + "\n"; };
  CHECK(folder.read("metrics.csv") == without(lines[0], 5) + without(lines[1], 1));
}

TEST_CASE("metrics: on a full disk a line is dropped whole, with one warning", "[io][fault][F04]") {
  Folder folder;
  Warnings warnings;
  Metrics metrics(folder.path);
  metrics.write(step(1));
  const auto size = static_cast<rlim_t>(folder.read("metrics.jsonl").size());
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit low{size + 20, old.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &low) == 0);
  metrics.write(step(2));
  metrics.write(step(3));
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(folder.read("metrics.jsonl").size() == size);
  metrics.write(step(4));
  CHECK(metrics.lost() == 2);
  const auto records = read_metrics(folder.path / "metrics.jsonl");
  REQUIRE(records.size() == 2);
  CHECK(records[1].number("step") == 4);
  REQUIRE(warnings.texts.size() == 1);
  CHECK(warnings.texts[0].substr(0, 13) == "cannot write ");
  CHECK(has(warnings.texts[0], "; 1 lines lost"));
  CHECK(has(warnings.texts[0], "metrics.jsonl: no space left ("));
}

TEST_CASE("metrics: lines of several threads do not mix", "[io]") {
  Folder folder;
  Metrics metrics(folder.path);
  std::vector<std::thread> threads;
  for (i64 t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      for (i64 n = 0; n < 50; ++n) metrics.write(Record("step").set("step", n).set("thread", t));
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(read_metrics(folder.path / "metrics.jsonl").size() == 200);
}

TEST_CASE("metrics: a folder that is not there is refused", "[io]") {
  CHECK_THROWS_WITH(Metrics("/nonexistent/folder"),
                    "cannot write /nonexistent/folder/metrics.jsonl: no such file or directory");
}
