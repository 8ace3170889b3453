#include <dino/io/image_write.hpp>
#include <dino/io/report.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;
namespace fs = std::filesystem;

namespace {

/// The folder of a run, removed at the end.
struct Run {
  fs::path path = fs::temp_directory_path() / ("dino_report_" + std::to_string(::getpid()));
  Run() { fs::remove_all(path), fs::create_directories(path / "report"); }
  ~Run() { fs::remove_all(path); }

  std::string page() const {
    CHECK(write_report(path) == path / "report.html");
    return read_text(path / "report.html", 100'000'000);
  }
  void write(const char* name, std::string_view text) const { write_file_atomic(path / name, text); }
  void metrics(i64 steps) const {
    Metrics metrics(path, steps);
    metrics.write(Record("event").set("step", 0).set("what", "start").set("detail", "<b>\"first\"</b> & only"));
    for (i64 s = 1; s <= steps; ++s) {
      metrics.write(Record("step")
                        .set("step", s)
                        .set("epoch", 0.1 * static_cast<double>(s))
                        .set("loss", s == 3 ? std::nan("") : 8)
                        .set("teacher_entropy", 7.5)
                        .set("img_s", 312.4));
    }
    metrics.write(Record("eval").set("step", steps).set("epoch", 2).set("name", "knn").set("k", 20).set("top1", 41.25));
    metrics.write(Record("event").set("step", steps).set("what", "nan").set("detail", "loss is NaN"));
    metrics.write(Record("event").set("step", steps).set("what", "checkpoint").set("detail", "x"));
  }
};

/// The page must be whole, and must not reach outside itself.
void check_page(const std::string& page) {
  CHECK(page.starts_with("<!doctype html>\n"));
  CHECK(unbalanced(page.substr(16)).empty());
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "href="));
  CHECK_FALSE(has(page, "url("));
  CHECK_FALSE(has(page, "@import"));
  CHECK(count(page, "src=\"") == count(page, "src=\"data:image/png;base64,"));
  CHECK(count(page, "://") == count(page, "xmlns=\"http://www.w3.org/2000/svg\""));
}

}  // namespace

TEST_CASE("report: a run becomes one page with curves, events, configuration and environment", "[io]") {
  Run run;
  run.metrics(20);
  run.write("cmd.txt", "# 2026-01-23T21:40:05Z\ndino_pretrain --data 'a <b>'\n");
  run.write("env.json", R"({"dino": "0.1.0", "cpu": "AMD <EPYC>"})");
  run.write("config.json", R"({"v": 1, "program": "dino_pretrain",
    "options": {"seed": 42, "k_dim": 4096, "lr": 0.0005, "epochs": 3, "backbone": "vit-s-16"},
    "sources": {"seed": "default", "k_dim": "data set synthetic", "lr": "auto", "epochs": "--epochs",
                "backbone": "my.json:2:3"}})");
  const std::string page = run.page();
  check_page(page);
  CHECK(has(page, "<h1>dino_pretrain, vit-s-16, dino_report_"));
  CHECK(has(page, "<b>8.000</b><span class=\"soft\">loss, ln K = 8.32</span>"));
  CHECK(has(page, "<b>41.2 %</b><span class=\"soft\">best top-1</span>"));
  CHECK(has(page, ">ln K = 8.32</text>"));
  CHECK(has(page, "<h3>Loss</h3>"));
  CHECK(has(page, "Values that are not finite, left out: 1."));
  CHECK(has(page, "dino_pretrain --data &#39;a &lt;b&gt;&#39;"));
  CHECK(has(page, "&lt;b&gt;&quot;first&quot;&lt;/b&gt; &amp; only"));
  CHECK(has(page, "<td class=\"alarm\">nan</td>"));
  CHECK(has(page, "Checkpoints written: 1."));
  CHECK(has(page, "AMD &lt;EPYC&gt;"));
  CHECK(has(page, "Defaults: 3 values"));
  CHECK(page.find("<th>backbone</th>") < page.find("<th>seed</th>"));
  CHECK(page.find("<th>epochs</th>") < page.find("<details>"));
  CHECK(page.find("<th>lr</th>") > page.find("<details>"));
  const std::string loss = read_text(run.path / "report" / "loss.svg", 1'000'000);
  CHECK(unbalanced(loss).empty());
  CHECK(has(loss, "prefers-color-scheme:dark"));
}

TEST_CASE("report: a script in a value stays text", "[io]") {
  Run run;
  run.metrics(3);
  run.write("config.json", R"({"options": {"note": "<script>alert(1)</script>", "<script>": "</table><script src=//x>"},
                               "sources": {"note": "<script>"}})");
  run.write("bad_samples.jsonl", "{\"v\":1,\"path\":\"<script>\\u0001\\u2028.jpg\"}\n");
  const std::string page = run.page();
  check_page(page);
  CHECK(has(page, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  CHECK(has(page, "Bad images: 1"));
}

TEST_CASE("report: without metrics the page says so", "[io]") {
  Run run;
  const std::string page = run.page();
  check_page(page);
  CHECK(has(page, "No metrics yet"));
  CHECK_FALSE(has(page, "<h2>Curves</h2>"));
  run.write("metrics.jsonl", "{\"v\":1,\"kind\":\"st");
  CHECK(has(run.page(), "No metrics yet"));
}

TEST_CASE("report: damaged files are named, not fatal", "[io]") {
  Run run;
  run.metrics(2);
  run.write("config.json", "{\"options\": ");
  run.write("env.json", std::string(5'000'000, ' '));
  run.write("report/crops.png", "not a picture");
  const std::string page = run.page();
  check_page(page);
  CHECK(has(page, "config.json cannot be read."));
  CHECK(has(page, "env.json cannot be read."));
  CHECK(has(page, "report/crops.png is not a PNG of at most 8 MB."));
}

TEST_CASE("report: pictures travel inside the page", "[io]") {
  Run run;
  run.write("report/crops.png",
            std::string("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\2\0\0\0\3\x08\x02\0\0\0\0\0\0\0", 33));
  const std::string page = run.page();
  check_page(page);
  CHECK(has(page,
            "<h3>Sample crops</h3><img width=\"2\" height=\"3\" alt=\"Sample crops\" src=\"data:image/png;base64,"));
}

TEST_CASE("report: an embedding becomes a chart, and a picture says what it shows", "[io]") {
  Run run;
  run.metrics(2);
  write_embedding(run.path / "report" / "embedding.jsonl", {.method = "t-SNE",
                                                            .step = 1200,
                                                            .x = {0, 1, 2},
                                                            .y = {2, 1, 0},
                                                            .labels = {0, 1, 0},
                                                            .classes = {"cat", "<script>dog"}});
  Image image(2, 2);
  for (const char* name : {"attention", "neighbours", "other"})
    write_png(run.path / "report" / (name + std::string(".png")), image);
  const std::string page = run.page();
  check_page(page);
  CHECK(has(page, "<h2>Embedding of the features</h2>"));
  CHECK(
      has(page, "t-SNE of 3 images as the teacher sees them at step 1200; a point is an image, its colour the class."));
  CHECK(has(page, ">cat</text>"));
  CHECK(has(page, ">&lt;script&gt;dog</text>"));
  CHECK(has(page, "<h3>Attention of the last block</h3>"));
  CHECK(has(page, "<figcaption>First row: images."));
  CHECK(has(page, "<h3>Nearest neighbours</h3>"));
  CHECK(has(page, "<h3>other</h3>"));
  CHECK(count(page, "src=\"data:") == 3);
  const std::string svg = read_text(run.path / "report" / "embedding.svg", 1'000'000);
  CHECK(unbalanced(svg).empty());
  CHECK(has(svg, "prefers-color-scheme:dark"));
  // The run goes on: the page is made again from the folder alone.
  CHECK(run.page() == page);
  run.write("report/embedding.jsonl", "{\"kind\":\"embedding\"}\nnot a line\n");
  CHECK_FALSE(has(run.page(), "Embedding of the features"));
}

TEST_CASE("report: of many events the last are shown", "[io]") {
  Run run;
  {
    Metrics metrics(run.path);
    for (i64 s = 1; s <= 205; ++s)
      metrics.write(Record("event").set("step", s).set("what", "spike").set("detail", str("n{}.", s)));
  }
  const std::string page = run.page();
  CHECK(has(page, "The last 200 of 205 events."));
  CHECK_FALSE(has(page, ">n5.<"));
  CHECK(has(page, ">n6.<"));
}

TEST_CASE("report: a folder that is not there is refused", "[io]") {
  CHECK_THROWS_WITH(write_report("/nonexistent/run"), "no run in /nonexistent/run: it is not a folder");
}
