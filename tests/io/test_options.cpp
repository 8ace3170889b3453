#include <dino/io/options.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

constexpr OptionRow table[] = {
    {.key = "lr",
     .type = OptionType::real,
     .programs = 1,
     .fallback = "auto",
     .range = {.low = 0, .low_open = true},
     .words = "auto",
     .data_sets = {"1e-3", {}, {}},
     .help = "rate",
     .fixed = true},
    {.key = "lr", .type = OptionType::real, .programs = 2, .fallback = "1e-4", .help = "rate"},
    {.key = "batch_size",
     .type = OptionType::integer,
     .programs = 3,
     .fallback = "1024",
     .range = {.low = 1, .high = 65536},
     .data_sets = {"64", "256", "256"},
     .help = "batch"},
    {.key = "norm_last_layer", .type = OptionType::flag, .programs = 1, .fallback = "true", .help = "norm"},
    {.key = "optimizer",
     .type = OptionType::text,
     .programs = 1,
     .fallback = "adamw",
     .words = "adamw|sgd",
     .help = "rule"},
    {.key = "data", .type = OptionType::path, .programs = 3, .help = "folder"},
    {.key = "k", .type = OptionType::integers, .programs = 4, .fallback = "10,20", .help = "neighbours"},
    {.key = "time_limit",
     .type = OptionType::duration,
     .programs = 1,
     .fallback = "10m",
     .help = "time",
     .saved = false},
    {.key = "save_every", .type = OptionType::interval, .programs = 1, .fallback = "1e", .help = "checkpoints"},
    {.key = "config", .type = OptionType::path, .programs = 7, .help = "file", .command_line_only = true},
};

Assignment from_flag(std::string key, std::string text) { return {.key = key, .text = text, .subject = "--" + key}; }

Assignment from_file(std::string key, std::string text, TokenKind kind = TokenKind::number) {
  return {.key = key,
          .text = text,
          .kind = kind,
          .source = Source::file,
          .subject = key,
          .key_place = "my.json:2:3",
          .place = "my.json:2:9"};
}

}  // namespace

TEST_CASE("options: every type has a getter and a default", "[io]") {
  const Options o(table, Program::pretrain);
  CHECK(o.is_word("lr"));
  CHECK(o.integer("batch_size") == 1024);
  CHECK(o.flag("norm_last_layer"));
  CHECK(o.text("optimizer") == "adamw");
  CHECK(o.text("data").empty());
  CHECK(o.seconds("time_limit") == 600);
  CHECK(o.interval("save_every") == OptionInterval{1, OptionInterval::Unit::epochs});
  CHECK_FALSE(o.is_set("lr"));
  CHECK(o.origin("lr") == "default");
  CHECK(Options(table, Program::finetune).real("lr") == 1e-4);  // a row of its own
  CHECK(Options(table, Program::knn).list("k") == std::vector<double>{10, 20});
  CHECK_THROWS_WITH(o.integer("optimizer"), "options: optimizer = adamw is not of the type asked for");
  CHECK_THROWS_WITH(o.real("lr"), "options: lr = auto is not of the type asked for");
  CHECK_THROWS_WITH(o.integer("k"), "options: dino_pretrain has no key k");
}

TEST_CASE("options: the stronger source wins, in any order", "[io]") {
  const std::vector<std::pair<Source, std::string>> all{
      {Source::file, "1"}, {Source::environment, "2"}, {Source::set, "3"}, {Source::flag, "4"}};
  for (std::size_t count = 1; count <= all.size(); ++count) {
    for (const bool reversed : {false, true}) {
      auto some = std::vector(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
      if (reversed) std::reverse(some.begin(), some.end());
      Options o(table, Program::pretrain);
      Problems problems;
      for (const auto& [source, text] : some) {
        o.assign({.key = "batch_size", .text = text, .source = source, .subject = "x"}, problems);
      }
      o.take_data_set("synthetic");
      CHECK(problems.empty());
      CHECK(o.integer("batch_size") == static_cast<i64>(count));
      CHECK(o.source("batch_size") == all[count - 1].first);
    }
  }
}

TEST_CASE("options: a data set's defaults stand between the general ones and the user's", "[io]") {
  Options o(table, Program::pretrain);
  Problems problems;
  o.assign(from_file("batch_size", "32"), problems);
  o.take_data_set("synthetic");
  CHECK(o.real("lr") == 1e-3);
  CHECK(o.source("lr") == Source::data_set);
  CHECK(o.origin("lr") == "data set synthetic");
  CHECK_FALSE(o.is_set("lr"));
  CHECK(o.integer("batch_size") == 32);
  CHECK(o.origin("batch_size") == "my.json:2:9");
  Options other(table, Program::pretrain);
  other.take_data_set("folder");
  CHECK(other.integer("batch_size") == 1024);
}

TEST_CASE("options: a derived value replaces auto and is no wish of the user", "[io]") {
  Options o(table, Program::pretrain);
  o.derive("lr", 0.002);
  CHECK(o.real("lr") == 0.002);
  CHECK(o.source("lr") == Source::derived);
  CHECK(o.origin("lr") == "auto");
  CHECK_FALSE(o.is_set("lr"));
}

TEST_CASE("options: problems name place, key, value and what is allowed", "[io]") {
  Options o(table, Program::pretrain);
  Problems problems;
  o.assign(from_file("lr", "-1"), problems);
  o.assign(from_file("optimzer", "sgd", TokenKind::string), problems);
  o.assign(from_file("k", "3"), problems);
  o.assign(from_file("config", "a.json", TokenKind::string), problems);
  o.assign(from_file("batch_size", "64"), problems);
  o.assign(from_file("batch_size", "65"), problems);
  o.assign(from_file("norm_last_layer", "true", TokenKind::string), problems);
  o.assign(from_flag("batch_size", "0"), problems);
  o.assign(from_flag("data", ""), problems);
  o.assign({.key = "zzz", .text = "1", .source = Source::set, .subject = "--set zzz"}, problems);
  CHECK(problems_text(problems) ==
        "my.json:2:9  lr = -1 must be > 0 or auto\n"
        "my.json:2:3  unknown key \"optimzer\". Did you mean \"optimizer\"?\n"
        "my.json:2:3  \"k\" is read by dino_knn, not by dino_pretrain\n"
        "my.json:2:3  unknown key \"config\". It exists on the command line only\n"
        "my.json:2:3  \"batch_size\" is given twice, first at my.json:2:3\n"
        "my.json:2:9  norm_last_layer = \"true\" must be true or false, without quotes\n"
        "error: --batch_size = 0 must be in 1..65536\n"
        "error: --data needs a value\n"
        "error: --set zzz: unknown key\n"
        "9 problems, nothing was started.");
  CHECK(o.is_broken("lr"));
  CHECK_FALSE(o.is_broken("optimizer"));
}

TEST_CASE("options: control characters and long values do not reach the terminal", "[io]") {
  Options o(table, Program::pretrain);
  Problems problems;
  o.assign(from_flag("lr", "\x1b[31m" + std::string(100, '1')), problems);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].message == "--lr = ?[31m" + std::string(55, '1') + "... must be a number or auto");
}

TEST_CASE("options: one problem is singular, many are cut", "[io]") {
  CHECK(problems_text({{"", "a"}}) == "error: a\n1 problem, nothing was started.");
  const auto many = problems_text(Problems(60, {"", "a"}));
  CHECK(many.ends_with("... and 10 more\n60 problems, nothing was started."));
  CHECK(std::count(many.begin(), many.end(), '\n') == 51);
}

TEST_CASE("options: places stand in a column", "[io]") {
  CHECK(problems_text({{"a.json:3:3", "x"}, {"a.json:13:13", "y"}}) ==
        "a.json:3:3    x\na.json:13:13  y\n2 problems, nothing was started.");
}

TEST_CASE("options: the resolved options are saved with their sources", "[io]") {
  Options o(table, Program::pretrain);
  Problems problems;
  o.assign(from_flag("data", "a \"b\"\n"), problems);
  o.derive("lr", 0.002);
  CHECK(o.to_json() == R"({
  "v": 1,
  "dino": "0.1.0",
  "program": "dino_pretrain",
  "options": {
    "lr": 0.002,
    "batch_size": 1024,
    "norm_last_layer": true,
    "optimizer": "adamw",
    "data": "a \"b\"\u000a",
    "save_every": "1e"
  },
  "sources": {
    "lr": "auto",
    "batch_size": "default",
    "norm_last_layer": "default",
    "optimizer": "default",
    "data": "--data",
    "save_every": "default"
  }
}
)");
  const Options knn(table, Program::knn);
  CHECK(knn.to_json().find("\"k\": [10,20]") != std::string::npos);
}

TEST_CASE("options: describing marks what the user has changed", "[io]") {
  Options o(table, Program::pretrain);
  Problems problems;
  o.assign(from_flag("batch_size", "64"), problems);
  const auto all = o.describe();
  CHECK(all.find("* batch_size              64                  --batch_size\n") != std::string::npos);
  CHECK(all.find("  optimizer               adamw               default\n") != std::string::npos);
  CHECK(o.describe(true) == "* batch_size              64                  --batch_size\n");
}

TEST_CASE("options: an impossible default in the table is an internal error", "[io]") {
  static constexpr OptionRow bad[] = {{.key = "x", .type = OptionType::integer, .programs = 1, .fallback = "two"}};
  CHECK_THROWS_WITH(Options(bad, Program::pretrain), "options: default x = two must be an integer");
}
