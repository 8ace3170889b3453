#include <dino/io/option_table.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

OptionRow row(OptionType type, std::string_view words = {}, OptionRange range = {}) {
  return {.key = "key", .type = type, .programs = 1, .range = range, .words = words};
}

std::string problem(const OptionRow& r, std::string_view text, TokenKind kind = TokenKind::plain) {
  const auto reading = read_option(r, text, kind);
  REQUIRE_FALSE(reading.value.has_value());
  return reading.problem;
}

template <class V> V value(const OptionRow& r, std::string_view text, TokenKind kind = TokenKind::plain) {
  const auto reading = read_option(r, text, kind);
  INFO(text << ": " << reading.problem);
  REQUIRE(reading.value.has_value());
  return std::get<V>(*reading.value);
}

}  // namespace

TEST_CASE("option_table: a flag takes the usual words, and true or false alone in JSON", "[io]") {
  const auto r = row(OptionType::flag);
  for (const auto* yes : {"true", "on", "yes", "1"}) CHECK(value<bool>(r, yes));
  for (const auto* no : {"false", "off", "no", "0"}) CHECK_FALSE(value<bool>(r, no));
  CHECK(value<bool>(r, "true", TokenKind::boolean));
  CHECK(problem(r, "2") == "must be true or false");
  CHECK(problem(r, "1", TokenKind::number) == "must be true or false");
  CHECK(problem(r, "true", TokenKind::string) == "must be true or false, without quotes");
}

TEST_CASE("option_table: an integer is decimal, whole and in range", "[io]") {
  const auto r = row(OptionType::integer, "auto", {.low = 1, .high = 8});
  CHECK(value<i64>(r, "8") == 8);
  CHECK(value<i64>(row(OptionType::integer), "010") == 10);  // never octal
  CHECK(value<i64>(row(OptionType::integer), "9223372036854775807") == std::numeric_limits<i64>::max());
  CHECK(value<std::string>(r, "auto") == "auto");
  CHECK(value<std::string>(r, "auto", TokenKind::string) == "auto");
  for (const auto* bad : {"2.5", "1e0", "3.0"}) CHECK(problem(r, bad) == "must be an integer or auto");
  for (const auto* bad : {"0x10", "1_000", "+1", " 1", "1 ", "abc", "--1"}) {
    CHECK(problem(r, bad) == "must be an integer or auto");
  }
  for (const auto* bad : {"0", "9", "-1", "99999999999999999999"}) CHECK(problem(r, bad) == "must be in 1..8 or auto");
  CHECK(problem(row(OptionType::integer), "9223372036854775808") == "must be an integer");
  CHECK(problem(r, "3", TokenKind::string) == "must be a number, without quotes");
  CHECK(problem(r, "true", TokenKind::boolean) == "must not be true or false");
  CHECK(problem(r, "1,2", TokenKind::list) == "must be one value, not a list");
  CHECK(problem(r, "x", TokenKind::null) == "needs a value");
  CHECK(problem(r, "") == "needs a value");
}

TEST_CASE("option_table: a real number is finite, and its interval may be open at either end", "[io]") {
  const auto r = row(OptionType::real, {}, {.low = 0, .high = 1, .low_open = true});
  CHECK(value<double>(r, "1.0e-6") == 1e-6);
  CHECK(value<double>(r, "1.000") == 1.0);
  CHECK(value<double>(r, "1", TokenKind::number) == 1.0);
  for (const auto* bad : {"0", "1.4", "-1"}) CHECK(problem(r, bad) == "must be in (0, 1]");
  for (const auto* bad : {"nan", "inf", "1e999", "1,5", "0.5f"}) CHECK(problem(r, bad) == "must be a number");
  const auto half = row(OptionType::real, {}, {.low = 0, .high = 1, .high_open = true});
  CHECK(problem(half, "1") == "must be in [0, 1)");
  CHECK(problem(row(OptionType::real, "auto", {.low = 0, .low_open = true}), "0") == "must be > 0 or auto");
  CHECK(problem(row(OptionType::real, {}, {.low = 0}), "-0.5") == "must be >= 0");
  CHECK(problem(row(OptionType::real, {}, {.high = 2}), "3") == "must be <= 2");
  CHECK(problem(row(OptionType::real, {}, {.high = 2, .high_open = true}), "2") == "must be < 2");
}

TEST_CASE("option_table: a text with words is one of them", "[io]") {
  const auto r = row(OptionType::text, "auto|cpu|cuda|cuda:N");
  CHECK(value<std::string>(r, "cuda") == "cuda");
  CHECK(value<std::string>(r, "cuda:11", TokenKind::string) == "cuda:11");
  CHECK(problem(r, "cuda:x") == "must be one of auto, cpu, cuda, cuda:N. Did you mean \"cuda:N\"?");
  CHECK(problem(r, "cuda:-1") == "must be one of auto, cpu, cuda, cuda:N. Did you mean \"cuda:N\"?");
  CHECK(problem(r, "tpux7") == "must be one of auto, cpu, cuda, cuda:N");
  CHECK(problem(row(OptionType::text, "adamw|sgd"), "adam") == "must be one of adamw, sgd. Did you mean \"adamw\"?");
  CHECK(problem(r, "5", TokenKind::number) == "must be a text, in quotes");
  CHECK(value<std::string>(row(OptionType::text), "any thing") == "any thing");
}

TEST_CASE("option_table: a path is any UTF-8 text", "[io]") {
  const auto r = row(OptionType::path);
  CHECK(value<std::string>(r, "D\xc3\xb6ner/run 1") == "D\xc3\xb6ner/run 1");
  CHECK(problem(r, "a\xff") == "is not UTF-8 text");
  CHECK(problem(r, std::string_view("a\0b", 3)) == "is not UTF-8 text");
  CHECK(problem(r, "\xc0\xaf") == "is not UTF-8 text");      // overlong
  CHECK(problem(r, "\xed\xa0\x80") == "is not UTF-8 text");  // surrogate
  CHECK(problem(r, "\xf4\x90\x80\x80") == "is not UTF-8 text");
  CHECK(problem(r, std::string(5000, 'x')) == "is longer than 4096 letters");
}

TEST_CASE("option_table: lists are numbers between commas", "[io]") {
  const auto k = row(OptionType::integers, {}, {.low = 1, .high = 1000});
  CHECK(value<std::vector<double>>(k, "10,20,100,200") == std::vector<double>{10, 20, 100, 200});
  CHECK(value<std::vector<double>>(k, "20", TokenKind::number) == std::vector<double>{20});
  CHECK(problem(k, "10,0") == "is a list; its part 0 must be in 1..1000");
  CHECK(problem(k, "10,,20") == "is a list; its part  must be an integer");
  CHECK(problem(k, "10,2.5") == "is a list; its part 2.5 must be an integer");
  const auto p = row(OptionType::reals, {}, {.low = 0, .high = 1});
  CHECK(value<std::vector<double>>(p, "1,0.1,0.5", TokenKind::list) == std::vector<double>{1, 0.1, 0.5});
  CHECK(problem(p, "0.5,x") == "is a list; its part x must be a number");
}

TEST_CASE("option_table: durations have units, intervals may also count steps and epochs", "[io]") {
  const auto d = row(OptionType::duration);
  CHECK(duration_seconds(value<std::string>(d, "90s")) == 90);
  CHECK(duration_seconds(value<std::string>(d, "10m")) == 600);
  CHECK(duration_seconds(value<std::string>(d, "1.5h")) == 5400);
  CHECK(duration_seconds(value<std::string>(d, "1d")) == 86400);
  CHECK(duration_seconds(value<std::string>(d, "7", TokenKind::number)) == 7);
  for (const auto* bad : {"1e", "m", "10 m", "-5m", "10w"})
    CHECK(problem(d, bad) == "must be a time: 90s, 10m, 2h or 1d");

  using Unit = OptionInterval::Unit;
  const auto i = row(OptionType::interval);
  CHECK(interval_of(value<std::string>(i, "20m")) == OptionInterval{1200, Unit::seconds});
  CHECK(interval_of(value<std::string>(i, "500")) == OptionInterval{500, Unit::steps});
  CHECK(interval_of(value<std::string>(i, "0.5e")) == OptionInterval{0.5, Unit::epochs});
  CHECK(problem(i, "often") == "must be a time (20m), a number of steps (500) or of epochs (1e)");
}

TEST_CASE("option_table: values and ranges are written as a user would write them", "[io]") {
  CHECK(value_text(OptionValue{true}) == "true");
  CHECK(value_text(OptionValue{i64{64}}) == "64");
  CHECK(value_text(OptionValue{1e-6}) == "1e-06");
  CHECK(value_text(OptionValue{100000.0}) == "100000");
  CHECK(value_text(OptionValue{0.002}) == "0.002");
  CHECK(value_text(OptionValue{std::vector<double>{1, 0.1}}) == "1,0.1");
  CHECK(range_text(row(OptionType::integer, {}, {.low = 0, .high = 0x1p63})) == "0..2^63-1");
  CHECK(range_text(row(OptionType::text)).empty());
  CHECK(words_text("a|b|c") == "a, b, c");
}
