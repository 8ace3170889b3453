#include <dino/io/config.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

std::string json_problem(std::string_view text) {
  const auto file = read_json_config(text, "f");
  REQUIRE(file.problems.size() == 1);
  return file.problems[0].place + " " + file.problems[0].message;
}

/// group/key=text@key place-value place
std::string shown(const ConfigFile& file) {
  std::string out;
  for (const auto& e : file.entries) {
    out += str("{}{}{}={}@{}:{}-{}:{}\n", e.group, e.group.empty() ? "" : "/", e.key, e.text, e.key_place.line,
               e.key_place.column, e.place.line, e.place.column);
  }
  for (const auto& p : file.problems) out += p.place + " " + p.message + "\n";
  return out;
}

std::string write(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name, std::ios::binary) << text;
  return (folder / name).string();
}

}  // namespace

TEST_CASE("config: JSON with comments, groups and all kinds of values, each with its place", "[io]") {
  const auto file = read_json_config(
      "\xef\xbb\xbf// first\n"
      "{\n"
      "  \"backbone\": \"vit-s-16\", /* two\n lines */ \"epochs\": 100,\n"
      "  \"optim\": {\"lr\": 1.0e-4, \"deep\": {\"clip_grad\": -3}},\r\n"
      "\t\"norm\": true, \"none\": null, \"k\": [10, 20 ,30], \"empty\": [ ], \"group\": {}\n"
      "} // last",
      "f");
  CHECK(shown(file) ==
        "backbone=vit-s-16@3:3-3:15\n"
        "epochs=100@4:11-4:21\n"
        "optim/lr=1.0e-4@5:13-5:19\n"
        "optim/deep/clip_grad=-3@5:36-5:49\n"
        "norm=true@6:2-6:10\n"
        "none=@6:16-6:24\n"
        "k=10,20,30@6:30-6:35\n"
        "empty=@6:49-6:58\n");
  CHECK(file.entries[0].kind == TokenKind::string);
  CHECK(file.entries[1].kind == TokenKind::number);
  CHECK(file.entries[4].kind == TokenKind::boolean);
  CHECK(file.entries[5].kind == TokenKind::null);
  CHECK(file.entries[6].kind == TokenKind::list);
}

TEST_CASE("config: columns count letters, not bytes", "[io]") {
  const auto file = read_json_config("{\"d\": \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x88\", \"x\": 1}", "f");
  CHECK(shown(file) == "d=\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x88@1:2-1:7\nx=1@1:14-1:19\n");
}

TEST_CASE("config: escapes in JSON strings", "[io]") {
  const auto file = read_json_config(R"({"a": "\"\\\/\b\f\n\r\t\u00e4\u20ac\ud83d\udc08A"})", "f");
  REQUIRE(file.problems.empty());
  CHECK(file.entries[0].text ==
        "\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x88"
        "A");
  for (const auto* bad : {R"({"a": "\x"})", R"({"a": "\u12"})", R"({"a": "\u12g4"})", R"({"a": "\ud800"})",
                          R"({"a": "\udc00"})", R"({"a": "\ud800\u0041"})", R"({"a": "\u0000"})", R"({"a": "\)"}) {
    INFO(bad);
    CHECK(read_json_config(bad, "f").problems.size() == 1);
  }
}

TEST_CASE("config: what is wrong with JSON is said with its place", "[io]") {
  CHECK(json_problem("") == "f:1:1 a configuration begins with {");
  CHECK(json_problem("[1]") == "f:1:1 a configuration begins with {");
  CHECK(json_problem("{\"a\": 1,}") == "f:1:9 a comma before } is one too many");
  CHECK(json_problem("{a: 1}") == "f:1:2 a key in quotes must stand here");
  CHECK(json_problem("{\"a\" 1}") == "f:1:6 a colon must follow the key");
  CHECK(json_problem("{\"a\": 1 \"b\": 2}") == "f:1:9 a comma or } must stand here");
  CHECK(json_problem("{\"a\": 1") == "f:1:8 the file ends before its last }");
  CHECK(json_problem("{\"a\": }") == "f:1:7 a value must stand here");
  CHECK(json_problem("{\"a\": vit}") == "f:1:7 vit is no JSON value; a text needs quotes");
  for (const auto* number : {"NaN", "Infinity", "01", "1.", ".5", "+1", "1e", "0x10", "1_000", "-", "True"}) {
    CHECK(json_problem(str("{\"a\": {}}", number)) == str("f:1:7 {} is no JSON value; a text needs quotes", number));
  }
  CHECK(json_problem("{\"a\": \"x\n\"}") == "f:1:7 this string has no end");
  CHECK(json_problem("{\"a\": \"x") == "f:1:7 this string has no end");
  CHECK(json_problem("{\"a\": \"x\ty\"}") == "f:1:9 a string must not contain control characters");
  CHECK(json_problem("{\"a\": \"\xff\"}") == "f:1:8 not UTF-8 text");
  CHECK(json_problem("{\"a\": [1, \"x\"]}") == "f:1:11 a list may hold numbers only");
  CHECK(json_problem("{\"a\": [[1]]}") == "f:1:8 a list may hold numbers only");
  CHECK(json_problem("{\"a\": [1 2]}") == "f:1:10 a comma or ] must stand here");
  CHECK(json_problem("{\"a\": [1,]}") == "f:1:10 a value must stand here");
  CHECK(json_problem("{\"a\": 1} x") == "f:1:10 nothing may follow the last }");
  CHECK(json_problem("{ /* \"a\": 1}") == "f:1:3 this comment has no end");
  CHECK(json_problem(std::string_view("{\0}", 3)) == "f:1:2 a key in quotes must stand here");
}

TEST_CASE("config: entries before a syntax error stand", "[io]") {
  CHECK(shown(read_json_config("{\"a\": 1, \"b\": oops}", "f")) ==
        "a=1@1:2-1:7\nf:1:15 oops is no JSON value; a text needs quotes\n");
}

TEST_CASE("config: four levels of groups, and no stack overflow behind them", "[io]") {
  CHECK(read_json_config("{\"a\":{\"b\":{\"c\":{\"d\":1}}}}", "f").entries.size() == 1);
  CHECK(json_problem("{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}}}") == "f:1:21 groups are nested more than 4 deep");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  CHECK(json_problem(deep) == "f:1:21 groups are nested more than 4 deep");
  CHECK(json_problem("{\"a\":" + std::string(100000, '[')) == "f:1:7 a list may hold numbers only");
}

TEST_CASE("config: no cut of a good JSON text crashes or passes", "[io]") {
  const std::string good = "{\"a\": {\"b\": [1, 2], \"c\": \"\\u00e4\xc3\xa4\"}, /* x */ \"d\": -1.5e+3 // y\n}";
  REQUIRE(read_json_config(good, "f").problems.empty());
  for (std::size_t n = 0; n < good.size(); ++n) {
    INFO(n);
    CHECK(read_json_config(std::string_view(good).substr(0, n), "f").problems.size() == 1);
  }
}

TEST_CASE("config: files are chosen by their ending and limited in size", "[io]") {
  const TemporaryFolder folder;
  const auto good = write(folder, "x.json", "{\"a\": 1}");
  const auto file = read_config(good);
  CHECK(file.problems.empty());
  REQUIRE(file.entries.size() == 1);
  CHECK(file.at(file.entries[0].key_place) == good + ":1:2");
  const auto message = [](const std::string& path) { return read_config(path).problems.at(0).message; };
  CHECK(message(write(folder, "x.toml", "a = 1")) == "a configuration file ends in .json, .yaml or .yml");
  CHECK(message(write(folder, "y.json", std::string((1 << 20) + 1, ' '))) == "is larger than 1 MiB");
  CHECK(message("no/such/file.json") == "cannot be read: No such file or directory");
  std::filesystem::create_directory(folder / "d.json");
  CHECK(message((folder / "d.json").string()) == "is a folder, not a configuration file");
}

#if DINO_HAS_YAML
TEST_CASE("config: flat YAML with comments, each value with its place", "[io]") {
  const auto file =
      read_yaml_config("# network\nbackbone: vit-s-16\n\nlr: 1.0e-4   # rate\nk: \"10,20\"\non: yes\n", "f");
  CHECK(shown(file) == "backbone=vit-s-16@2:1-2:11\nlr=1.0e-4@4:1-4:5\nk=10,20@5:1-5:4\non=yes@6:1-6:5\n");
  CHECK(file.entries[0].kind == TokenKind::plain);
  CHECK(read_yaml_config("", "f").entries.empty());
  CHECK(read_yaml_config("# nothing\n", "f").problems.empty());
}

TEST_CASE("config: YAML keeps both of two equal keys, and octal digits as they are", "[io]") {
  CHECK(shown(read_yaml_config("a: 010\na: 2\n", "f")) == "a=010@1:1-1:4\na=2@2:1-2:4\n");
}

TEST_CASE("config: what flat YAML must not hold is refused with its place, and the rest is read", "[io]") {
  CHECK(shown(read_yaml_config("a: [1, 2]\nb: 1\n", "f")) ==
        "b=1@2:1-2:4\nf:1:4 a list is not read here; write 10,20,100\n");
  CHECK(shown(read_yaml_config("a:\n  x: 1\n  y: {z: [1]}\nb: 1\n", "f")) ==
        "b=1@4:1-4:4\nf:2:3 groups are not read here; YAML must be flat, key: value\n");
  CHECK(shown(read_yaml_config("a: &n 5\nb: *n\nc: 1\n", "f")) ==
        "c=1@3:1-3:4\nf:1:4 an anchor (&name) is not read here\nf:2:4 an alias (*name) is not read here\n");
  CHECK(shown(read_yaml_config("? [1, 2]\n: 3\nb: 1\n", "f")) ==
        "b=1@3:1-3:4\nf:1:3 a list is not read here; write 10,20,100\n");
  CHECK(read_yaml_config("a:\nb: ~\n", "f").entries.at(1).kind == TokenKind::null);
  CHECK(read_yaml_config("- a\n- b\n", "f").problems.size() == 1);
  CHECK(read_yaml_config("- a: 1\n", "f").entries.empty());
  CHECK(read_yaml_config("just text\n", "f").problems.at(0).message == "a YAML configuration is a list of key: value");
  CHECK(read_yaml_config("a: 1\n---\na: 2\n", "f").problems.at(0).message == "holds more than one YAML document");
}

TEST_CASE("config: broken YAML is a problem with a place, never an exception", "[io]") {
  const auto tab = read_yaml_config("a: 1\n\tb: 2\n", "f");
  REQUIRE(tab.problems.size() == 1);
  CHECK(tab.problems[0].place.starts_with("f:2:"));
  CHECK(read_yaml_config("a: \"x", "f").problems.size() == 1);
  CHECK(read_yaml_config("a: *nobody\n", "f").problems.size() == 1);
  CHECK(read_yaml_config(std::string(5000, '['), "f").problems.size() >= 1);
  CHECK(read_yaml_config("a: \xff\n", "f").problems.at(0).message == "is not UTF-8 text");
  std::string bomb = "a0: &a0 x\n";
  for (int i = 1; i < 30; ++i) bomb += str("a{}: &a{} [*a{}, *a{}]\n", i, i, i - 1, i - 1);
  CHECK(read_yaml_config(bomb, "f").entries.empty());
}
#else
TEST_CASE("config: without yaml-cpp a YAML file is refused by name", "[io]") {
  const TemporaryFolder folder;
  const auto read = read_config(write(folder, "x.yaml", "a: 1\n"));
  REQUIRE(read.problems.size() == 1);
  CHECK(read.problems[0].message == "this program was built without yaml-cpp and reads JSON only");
}
#endif
