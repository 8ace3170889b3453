#include <dino/io/html.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("html: escaping covers markup, quotes, control characters and broken UTF-8", "[io]") {
  CHECK(escape("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
  CHECK(escape("a\x01\xff\n\t\xc3\xa9") == "a\xef\xbf\xbd\xef\xbf\xbd\n\t\xc3\xa9");
  CHECK(element("p", "a<b", "x\"y") == "<p class=\"x&quot;y\">a&lt;b</p>");
}

TEST_CASE("html: base64 equals the vectors of RFC 4648", "[io]") {
  const auto encode = [](std::string_view s) { return base64({reinterpret_cast<const u8*>(s.data()), s.size()}); };
  CHECK(encode("").empty());
  CHECK(encode("f") == "Zg==");
  CHECK(encode("fo") == "Zm8=");
  CHECK(encode("foo") == "Zm9v");
  CHECK(encode("foob") == "Zm9vYg==");
  CHECK(encode("fooba") == "Zm9vYmE=");
  CHECK(encode("foobar") == "Zm9vYmFy");
  CHECK(encode("\xff\xef\xbe") == "/+++");
}

TEST_CASE("html: only a PNG is embedded, with its size", "[io]") {
  const std::string head("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\1\2\0\0\0\x40\x08\x02\0\0\0\0\0\0\0", 33);
  const auto image = [](const std::string& s) {
    return embedded_png({reinterpret_cast<const u8*>(s.data()), s.size()}, "a \"b\"");
  };
  CHECK(image(head).starts_with(
      "<img width=\"258\" height=\"64\" alt=\"a &quot;b&quot;\" src=\"data:image/png;base64,iVBORw0KGgo"));
  CHECK(image(head.substr(0, 32)).empty());
  CHECK(image("<svg onload='x'>" + head).empty());
}
