#include <dino/io/report_embedding.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

ReportEmbedding example() {
  return {.method = "t-SNE",
          .step = 40,
          .x = {0.5, -2, 1e-7},
          .y = {1, 3, -1.5},
          .labels = {2, 0, -1},
          .classes = {"cat", "dog", "a \"bird\"\n</svg>"}};
}

}  // namespace

TEST_CASE("report_embedding: what is written is read", "[io]") {
  const TemporaryFolder folder;
  const auto path = folder.path / "embedding.jsonl";
  CHECK_FALSE(read_embedding(path));
  write_embedding(path, example());
  const auto got = read_embedding(path);
  REQUIRE(got);
  CHECK(got->method == "t-SNE");
  CHECK(got->step == 40);
  CHECK(got->x == std::vector<double>{0.5, -2, 1e-7});
  CHECK(got->y == std::vector<double>{1, 3, -1.5});
  CHECK(got->labels == std::vector<i64>{2, 0, -1});
  CHECK(got->classes == std::vector<std::string>{"cat", "", "a \"bird\"\n</svg>"});  // no point is a dog
  auto bad = example();
  bad.labels.pop_back();
  CHECK_THROWS_AS(write_embedding(path, bad), Error);
}

TEST_CASE("report_embedding: damaged lines are passed over", "[io]") {
  const TemporaryFolder folder;
  const auto path = folder.path / "embedding.jsonl";
  write_file_atomic(path, R"({"kind":"embedding","method":"PCA","step":3}
{"kind":"point","x":1,"y":2,"label":0,"class":"cat"}
{"kind":"point","x":null,"y":2,"label":0,"class":"cat"}
{"kind":"point","y":2,"label":0,"class":"cat"}
{"kind":"point","x":1,"y":2,"label":1e18,"class":"cat"}
{"kind":"point","x":1,"y":2,"label":-7,"class":"cat"}
{"kind":"point","x":"<b>","y":2,"label":0}
{"kind":"other","x":1,"y":2,"label":0}
{"kind":"point","x":4,"y":5,"label":-1}
{"kind":"point","x":4,"y)");
  const auto got = read_embedding(path);
  REQUIRE(got);
  CHECK(got->x == std::vector<double>{1, 4});
  CHECK(got->labels == std::vector<i64>{0, -1});
  write_file_atomic(path, R"({"kind":"embedding","method":"PCA","step":3})");
  CHECK_FALSE(read_embedding(path));
}

TEST_CASE("report_embedding: the chart colours classes and names up to twenty", "[io]") {
  auto e = example();
  const auto chart = scatter_chart(embedding_chart(e));
  CHECK(unbalanced(chart).empty());
  CHECK(has(chart, ">cat</text>"));
  CHECK(has(chart, "a &quot;bird&quot;"));
  CHECK(count(chart, "h0\"/>") == 3);  // a path for each class that has points, and for none
  e.classes.resize(21, "more");
  CHECK_FALSE(has(scatter_chart(embedding_chart(e)), ">cat</text>"));
  e.classes.clear();
  e.labels = {-1, -1, -1};
  CHECK(count(scatter_chart(embedding_chart(e)), "<circle") == 0);
}
