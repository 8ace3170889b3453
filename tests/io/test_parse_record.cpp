#include <dino/io/parse_record.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("parse_record: a document is flattened in the order of the file", "[io]") {
  const auto record = parse_record(R"({"optim":{"lr":1,"betas":[0.9,0.999]},"seed":18446744073709551615,"x":null})");
  REQUIRE(record);
  CHECK(record->text("optim.lr") == "1");
  CHECK(record->text("optim.betas") == "[0.9,0.999]");
  CHECK(record->number("seed") == 18446744073709551616.0);
  CHECK(std::isnan(record->number("x")));
  CHECK(record->fields().front().first == "optim.lr");
  CHECK(record->fields().back().first == "x");
}

TEST_CASE("parse_record: what to_json writes is read back", "[io]") {
  const auto written = Record("step")
                           .set("whole", -3)
                           .set("real", 0.1)
                           .set("tiny", 5e-324)
                           .set("flag", true)
                           .set("text", "a \"quoted\" \n\t\x01 \xc3\xa9");
  const auto read = parse_record(to_json(written));
  REQUIRE(read);
  CHECK(*read == written);
  const auto broken = parse_record(to_json(Record("step").set("loss", std::nan(""))));
  REQUIRE(broken);
  CHECK(std::isnan(broken->number("loss")));
  CHECK_FALSE(broken->has("nonfinite"));
}

TEST_CASE("parse_record: lists become their text, without white space", "[io]") {
  const auto record =
      parse_record("{ \"a\" : [ 1 , -2.50, \"x\\ny\", null, true, [ ], {\"k\" : [1]} , { } ] , \"b\":[]}");
  REQUIRE(record);
  CHECK(record->text("a") == R"([1,-2.5,"x\ny",null,true,[],{"k":[1]},{}])");
  CHECK(record->text("b") == "[]");
}

TEST_CASE("parse_record: the last of two equal keys counts", "[io]") {
  const auto record = parse_record(R"({"a":1,"b":2,"a":"x"})");
  REQUIRE(record);
  CHECK(record->text("a") == "x");
  CHECK(record->fields().size() == 2);
}

TEST_CASE("parse_record: nesting is limited", "[io]") {
  const auto nested = [](int levels) {
    std::string text;
    for (int i = 0; i < levels; ++i) text += "{\"a\":";
    return text + "1" + std::string(static_cast<size_t>(levels), '}');
  };
  CHECK(parse_record(nested(9)));
  CHECK_FALSE(parse_record(nested(10)));
  CHECK_FALSE(parse_record(nested(100000)));
  CHECK_FALSE(parse_record("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}"));
}

TEST_CASE("parse_record: what is not one whole JSON object is refused", "[io]") {
  for (const char* bad : {"",
                          "1",
                          "[]",
                          "null",
                          "{",
                          "{}x",
                          "{} {}",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{\"a\":1e999}",
                          "{\"a\":01}",
                          "{\"a\":1.}",
                          "{\"a\":.5}",
                          "{\"a\":+1}",
                          "{\"a\":--1}",
                          "{\"a\":NaN}",
                          "{\"a\":nul}",
                          "{\"a\":True}",
                          "{a:1}",
                          "{\"a\":'x'}",
                          "{\"a\":\"x}",
                          "{\"a\":\"\xff\"}",
                          "{\"a\":[1 2]}",
                          "{\"a\":[1}",
                          "{\"v\":1,\"cut"}) {
    INFO(bad);
    CHECK_FALSE(parse_record(bad));
  }
  CHECK(parse_record(" {} \r\n"));
}

TEST_CASE("parse_record: numbers follow the grammar of JSON", "[io]") {
  for (const char* good : {"0", "-0", "10", "-1.5", "1e5", "1E+05", "0.5e-3"}) {
    INFO(good);
    CHECK(detail::is_json_number(good));
  }
  for (const char* bad : {"", "-", "00", "1.", ".1", "1e", "1e+", "0x1", "inf", "1 "}) {
    INFO(bad);
    CHECK_FALSE(detail::is_json_number(bad));
  }
}
