#include <dino/io/image_write.hpp>
#include <dino/io/neighbours_page.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;

namespace {

std::vector<u8> thumbnail() {
  Image image(2, 2);
  std::fill(image.pixels.begin(), image.pixels.end(), u8{90});
  return encode_png(image);
}

/// Three queries: right, wrong, without a picture.
NeighboursPage example() {
  const auto png = thumbnail();
  return {.title = "Nearest neighbours",
          .facts = {"vit-s-16", "bank 3"},
          .classes = {"cat", "dog", "bird"},
          .queries = {{.image = {"val/cat/1.png", 0, png},
                       .predicted = 0,
                       .confidence = 0.75,
                       .nearest = {{{"train/cat/7.png", 0, png}, 0.9375}, {{"train/dog/8.png", 1, png}, 0.5}}},
                      {.image = {"val/dog/2.png", 1, png},
                       .predicted = 0,
                       .confidence = 0.5,
                       .nearest = {{{"train/dog/8.png", 1, png}, -0.25}}},
                      {.image = {"val/dog/3.png", 1}, .predicted = 1, .confidence = 1}}};
}

/// The page is whole, and nothing in it leads outside.
void check_page(const std::string& page) {
  CHECK(page.starts_with("<!doctype html>\n"));
  const auto script = page.find("<script>\n"), end = page.find("</script>");
  REQUIRE(script < end);
  CHECK(unbalanced(page.substr(16, script - 16) + page.substr(end + 9)).empty());
  CHECK(count(page, "<script") == 1);
  CHECK_FALSE(has(page, "://"));
  CHECK_FALSE(has(page, "href="));
  CHECK_FALSE(has(page, "url("));
  CHECK(has(page, "default-src 'none'"));
  CHECK(count(page, "src=\"") ==
        count(page, "src=\"data:image/png;base64,") + count(page, "src=\"data:image/jpeg;base64,"));
}

std::string article(const std::string& page, size_t number) {
  size_t at = 0;
  for (size_t i = 0; i <= number; ++i) at = page.find("<article", at + 1);
  return page.substr(at, page.find("</article>", at) - at);
}

}  // namespace

TEST_CASE("neighbours_page: queries, predictions and neighbours stand on the page", "[io]") {
  const std::string page = neighbours_page(example());
  check_page(page);
  CHECK(count(page, "<article") == 3);
  CHECK(has(page, "<h1>Nearest neighbours</h1>\n<p class=\"soft\">vit-s-16</p>\n<p class=\"soft\">bank 3</p>"));
  const auto first = article(page, 0), second = article(page, 1), third = article(page, 2);
  CHECK(has(first, "data-verdict=\"right\" data-label=\"0\" data-confidence=\"0.75\""));
  CHECK(has(first, "<h2>val/cat/1.png</h2><p>is <b>cat</b></p>"));
  CHECK(has(first, "\xe2\x9c\x93 predicted <b>cat</b><span class=\"soft\">, 75 % of the votes</span>"));
  CHECK(count(first, "<img ") == 3);
  CHECK(has(first, "<li class=\"right\" title=\"train/cat/7.png, cat\"><img width=\"2\" height=\"2\""));
  CHECK(has(first, "<span class=\"mark\">\xe2\x9c\x93 0.938</span><span>cat</span>"));
  CHECK(has(first, "<li class=\"wrong\" title=\"train/dog/8.png, dog\">"));
  CHECK(has(first, "<span class=\"mark\">\xe2\x9c\x97 0.500</span><span>dog</span>"));
  CHECK(has(second, "data-verdict=\"wrong\" data-label=\"1\""));
  CHECK(has(second, "\xe2\x9c\x97 predicted <b>cat</b>"));
  CHECK(has(second, "<li class=\"right\" title=\"train/dog/8.png, dog\">"));  // of the query's class
  CHECK(has(second, "-0.250"));
  CHECK(has(third, "<div class=\"none\">no picture</div>"));
}

TEST_CASE("neighbours_page: the filters count what there is", "[io]") {
  const std::string page = neighbours_page(example());
  CHECK(has(page, "value=\"all\">All 3</button>"));
  CHECK(has(page, "value=\"right\">\xe2\x9c\x93 Right 2</button>"));
  CHECK(has(page, "value=\"wrong\">\xe2\x9c\x97 Wrong 1</button>"));
  CHECK(has(page, "<option value=\"0\">cat (1)</option><option value=\"1\">dog (2)</option></select>"));
}

TEST_CASE("neighbours_page: no name can leave its text", "[io]") {
  const std::string evil = "</b>\"><script>alert('x')</script><img src=x onerror=alert(1)>\x01\xff";
  auto page = example();
  page.title = page.facts[0] = page.classes[1] = evil;
  page.queries[0].image.name = page.queries[0].nearest[1].image.name = evil;
  const std::string html = neighbours_page(page);
  check_page(html);
  CHECK(count(html, "alert(") == count(html, "&gt;alert(") + count(html, "onerror=alert("));
  CHECK_FALSE(has(html, "<img src=x"));
  CHECK(has(article(html, 0), "alt=\"&lt;/b&gt;&quot;&gt;&lt;script&gt;"));
}

TEST_CASE("neighbours_page: without labels nothing is judged", "[io]") {
  auto page = example();
  page.classes.clear();
  for (auto& q : page.queries) {
    q.image.label = q.predicted = -1;
    for (auto& n : q.nearest) n.image.label = -1;
  }
  const std::string html = neighbours_page(page);
  check_page(html);
  CHECK(count(html, "data-verdict=\"none\"") == 3);
  const auto first = article(html, 0);
  CHECK_FALSE(has(first, "predicted"));
  CHECK_FALSE(has(first, "class=\"right\""));
  CHECK_FALSE(has(first, "class=\"wrong\""));
  CHECK(has(first, "<span class=\"mark\">0.938</span>"));
}

TEST_CASE("neighbours_page: a thumbnail may be a JPEG file, and nothing else than that or PNG", "[io]") {
  auto page = example();
  page.queries[0].image.file = {0xff, 0xd8, 0xff, 0xe0};
  page.queries[0].image.name = "\"><b>";
  page.queries[1].image.file = {'<', 's', 'v', 'g'};
  const std::string html = neighbours_page(page);
  check_page(html);
  CHECK(has(article(html, 0), "<img alt=\"&quot;&gt;&lt;b&gt;\" src=\"data:image/jpeg;base64,/9j/4A==\"/>"));
  CHECK(has(article(html, 1), "<div class=\"none\">no picture</div>"));
}

TEST_CASE("neighbours_page: no queries make an empty page, wrong labels none", "[io]") {
  auto page = example();
  page.queries.clear();
  check_page(neighbours_page(page));
  page = example();
  page.queries[1].nearest[0].image.label = 3;
  CHECK_THROWS_WITH(neighbours_page(page), contains("train/dog/8.png has label 3, there are 3 classes"));
  page = example();
  page.queries[1].predicted = 3;
  CHECK_THROWS_AS(neighbours_page(page), Error);
}
