#include <dino/io/record.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("record: setting a field again replaces it in place", "[io]") {
  Record record("step");
  record.set("a", 1).set("b", "x").set("a", 2.5);
  CHECK(to_json(record) == R"({"kind":"step","a":2.5,"b":"x"})");
  CHECK(std::isnan(record.number("b")));
  CHECK(std::isnan(record.number("c")));
  CHECK(record.text("c").empty());
}

TEST_CASE("record: bytes that are not UTF-8 are replaced", "[io]") {
  CHECK(clean_utf8("a\xff"
                   "b\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") ==
        "a\xef\xbf\xbd"
        "b\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(clean_utf8("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80") == [] {
    std::string all;
    for (int i = 0; i < 9; ++i) all += "\xef\xbf\xbd";
    return all;
  }());
  CHECK(clean_utf8("\xe2\x82") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("record: numbers print as the shortest text that reads back", "[io]") {
  CHECK(number_text(0.1) == "0.1");
  CHECK(number_text(1.82e10) == "1.82e+10");
  CHECK(number_text(1.0 / 3) == "0.3333333333333333");
  CHECK(shortest_double(9.8712f) == 9.8712);
  CHECK(shortest_double(3.2e-4f) == 3.2e-4);
  CHECK(std::isnan(shortest_double(std::nanf(""))));
  CHECK(to_json(Record().set("b", true).set("n", std::size_t{7}).set("f", 0.5f)) == R"({"b":true,"n":7,"f":0.5})");
}

TEST_CASE("record: an object for people has one field per line", "[io]") {
  CHECK(to_json(Record().set("a", 1).set("b", 0.0 / 0.0), ",\n  ") ==
        "{\"a\": 1,\n  \"b\": null,\n  \"nonfinite\":[\"b\"]}");
}
