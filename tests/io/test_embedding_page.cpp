#include <dino/io/embedding_page.hpp>
#include <dino/io/image_write.hpp>

#include "support/catch.hpp"
#include "support/markup.hpp"

using namespace dino;

namespace {

EmbeddingPage example() {
  Image sheet(8, 8);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), u8{90});
  return {.title = "t-SNE of vit-s-16",
          .facts = {"3 images", "KL 1.5"},
          .points = {0.5f, -1.25f, 1e-7f, 3e5f, 2, 1},
          .labels = {0, 1, -1},
          .names = {"val/cat/1.png", "val/dog/2.png", "other.png"},
          .classes = {"cat", "dog"},
          .thumbnails = 3,
          .side = 4,
          .columns = 2,
          .sheets = {encode_png(sheet)}};
}

/// What stands between <script id="data" ..> and its end.
std::string data_of(const std::string& page) {
  const std::string begin = "<script id=\"data\" type=\"application/json\">";
  const auto at = page.find(begin);
  REQUIRE(at != std::string::npos);
  return page.substr(at + begin.size(), page.find("</script>", at) - at - begin.size());
}

/// The page is whole, has two scripts, and nothing in it leads outside.
void check_page(const std::string& page) {
  CHECK(page.starts_with("<!doctype html>\n"));
  CHECK(page.ends_with("</script>\n</body></html>\n"));
  CHECK(count(page, "<script") == 2);
  CHECK(count(page, "</script>") == 2);
  const auto data = page.find("<script id"), code = page.find("<script>\n"), end = page.rfind("</script>");
  REQUIRE(data < code);
  const auto between = page.find("</script>", data) + 9;
  const std::string markup = page.substr(16, data - 16) + page.substr(between, code - between) + page.substr(end + 9);
  CHECK(unbalanced(markup).empty());
  CHECK_FALSE(has(page, "://"));
  CHECK_FALSE(has(page, "href="));
  CHECK_FALSE(has(page, "url("));
  CHECK_FALSE(has(markup, "onclick"));
  CHECK(has(page, "default-src 'none'"));
  CHECK_FALSE(has(data_of(page), "<"));
}

}  // namespace

TEST_CASE("embedding_page: points, labels, names, classes and thumbnails are its data", "[io]") {
  const auto page = embedding_page(example());
  check_page(page);
  const auto data = data_of(page);
  CHECK(data.starts_with("{\"x\":[0.5,1e-07,2],\"y\":[-1.25,300000,1],\"labels\":[0,1,-1],"));
  CHECK(has(data, "\"names\":[\"val/cat/1.png\",\"val/dog/2.png\",\"other.png\"],\"classes\":[\"cat\",\"dog\"],"));
  CHECK(has(data, "\"colors\":[\"#0072b2\",\"#d55e00\"],\"thumbnails\":3,\"side\":4,\"columns\":2,"));
  CHECK(has(data, "\"sheets\":[\"data:image/png;base64,iVBOR"));
  CHECK(count(data, "data:image") == 1);
  CHECK(has(page, "<h1>t-SNE of vit-s-16</h1>\n<p class=\"soft\">3 images</p>\n<p class=\"soft\">KL 1.5</p>"));
  CHECK(has(page, "window.dinoEmbed"));
  CHECK(has(page, "prefers-color-scheme:dark"));
  CHECK_FALSE(has(page, "so that the page stays small"));
}

TEST_CASE("embedding_page: no name, class or title can leave its place", "[io]") {
  auto hostile = example();
  const std::string end = "</script><script>alert(1)</script><!--\"'\\ \xe2\x80\xa8 \xff\n&amp;";
  hostile.names[1] = hostile.classes[0] = hostile.title = hostile.facts[0] = end;
  const auto page = embedding_page(hostile);
  check_page(page);
  CHECK(has(data_of(page),
            "\"\\u003c/script\\u003e\\u003cscript\\u003ealert(1)\\u003c/script\\u003e\\u003c!--\\\"'\\\\ "
            "\xe2\x80\xa8 \xef\xbf\xbd\\n\\u0026amp;\""));
  CHECK(count(page, "alert(1)</script>") == 0);
}

TEST_CASE("embedding_page: without classes there is one colour and no legend", "[io]") {
  auto plain = example();
  plain.classes.clear();
  plain.labels = {-1, 0, -1};
  const auto page = embedding_page(plain);
  check_page(page);
  CHECK(has(data_of(page), "\"labels\":[-1,-1,-1]"));
  CHECK(has(data_of(page), "\"classes\":[],\"colors\":[]"));
  CHECK(has(page, "<div id=\"legend\" hidden=\"\"></div>"));
  CHECK_FALSE(has(embedding_page(example()), "id=\"legend\" hidden"));
}

TEST_CASE("embedding_page: fewer thumbnails than images are announced, JPEG sheets are JPEG", "[io]") {
  auto page = example();
  page.thumbnails = 2;
  page.sheets = {{0xff, 0xd8, 0xff, 0xe0}};
  CHECK(has(embedding_page(page), "Thumbnails: of 2 of 3 images, so that the page stays small."));
  CHECK(has(embedding_page(page), "\"data:image/jpeg;base64,/9j/4A==\""));
  page.thumbnails = 0;
  page.sheets.clear();
  check_page(embedding_page(page));
}

TEST_CASE("embedding_page: no point at all, and 10,000 points in little space", "[io]") {
  check_page(embedding_page({.title = "nothing", .facts = {}, .points = {}, .labels = {}, .names = {}, .classes = {}}));
  EmbeddingPage many{.title = "many", .facts = {}, .points = {}, .labels = {}, .names = {}, .classes = {"a", "b"}};
  for (i64 i = 0; i < 10000; ++i) {
    many.points.insert(many.points.end(), {std::sin(static_cast<float>(i)) * 80, std::cos(static_cast<float>(i)) * 80});
    many.labels.push_back(i % 2);
    many.names.push_back(str("test_batch.bin #{}", i));
  }
  CHECK(embedding_page(many).size() < 500000);
}

TEST_CASE("embedding_page: what does not fit together is refused", "[io]") {
  const auto refused = [](const auto& change) {
    auto page = example();
    change(page);
    try {
      (void)embedding_page(page);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(has(refused([](auto& p) { p.points.pop_back(); }), "3 labels, 5 coordinates, 3 names"));
  CHECK(has(refused([](auto& p) { p.names.pop_back(); }), "3 labels, 6 coordinates, 2 names"));
  CHECK(has(refused([](auto& p) { p.points[3] = NAN; }), "a coordinate is not finite"));
  CHECK(has(refused([](auto& p) { p.labels[0] = 2; }), "label 2 of 2 classes"));
  CHECK(has(refused([](auto& p) { p.labels[0] = -2; }), "label -2 of 2 classes"));
  CHECK(has(refused([](auto& p) { p.thumbnails = 4; }), "4 thumbnails of 3 images"));
  CHECK(has(refused([](auto& p) { p.sheets.clear(); }), "3 thumbnails of 3 images in 0 sheets of 4"));
}
