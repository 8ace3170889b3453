#include <dino/io/program_heads.hpp>
#include <dino/io/program_options.hpp>
#include <dino/io/program_rules.hpp>
#include <nlohmann/json.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;

namespace {

const auto source_root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();

std::string text_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  INFO(path.string());
  REQUIRE(stream.good());
  return {std::istreambuf_iterator<char>(stream), {}};
}

const std::string marker = "<!-- generated from include/dino/io/program_options.hpp -->\n";

std::string schema_file(Program p) { return std::string(program_name(p).substr(5)) + ".schema.json"; }

/// A value that the row accepts and that is not its default.
std::string other_value(const OptionRow& row) {
  switch (row.type) {
    case OptionType::flag:
      return row.fallback == "true" ? "false" : "true";
    case OptionType::duration:
    case OptionType::interval:
      return "3h";
    case OptionType::text:
      for (const auto word : options_detail::split(row.words, '|')) {
        if (!word.empty() && word != row.fallback && !word.ends_with(":N")) return std::string(word);
      }
      return "vit-b-8";
    case OptionType::path:
      return "some/path";
    default:
      return std::string(row.example);
  }
}

}  // namespace

TEST_CASE("program_options: every row is complete and its defaults, words and example are readable", "[io]") {
  for (const auto& row : program_options()) {
    INFO(row.key);
    CHECK(row.programs != 0);
    CHECK_FALSE(row.group.empty());
    CHECK_FALSE(row.help.empty());
    CHECK(row.help.find('|') == std::string_view::npos);
    const auto readable = [&](std::string_view text) {
      return text.empty() || read_option(row, text).value.has_value();
    };
    CHECK(readable(row.fallback));
    CHECK(readable(row.data_sets.synthetic));
    CHECK(readable(row.data_sets.cifar_10));
    CHECK(readable(row.data_sets.cifar_100));
    CHECK(readable(row.example));
    CHECK((row.type == OptionType::flag || !row.example.empty()));
    CHECK((row.type == OptionType::path || row.key == "set" || !row.fallback.empty()));
    CHECK_FALSE((row.command_line_only && row.fixed));
  }
}

TEST_CASE("program_options: no program reads a key twice, and a flag is a flag for every program", "[io]") {
  const auto rows = program_options();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = i + 1; j < rows.size(); ++j) {
      if (rows[i].key != rows[j].key) continue;
      INFO(rows[i].key);
      CHECK((rows[i].programs & rows[j].programs) == 0);
      CHECK((rows[i].type == OptionType::flag) == (rows[j].type == OptionType::flag));
    }
  }
}

TEST_CASE("program_options: each option can be given by flag, --set, environment and file", "[io]") {
  const TemporaryFolder folder;
  const auto path = (folder / "x.json").string();
  for (const auto& row : program_options()) {
    const std::string key(row.key), value = other_value(row);
    if (key == "config" || key == "set") continue;
    INFO(key << " = " << value);
    const bool quotes =
        row.type >= OptionType::duration || row.type == OptionType::text || row.type == OptionType::path;
    std::ofstream(path) << "{\"" << key << "\": " << (quotes ? "\"" + value + "\"" : value) << "}";
    const auto variable = options_detail::variable_name(key);
    for (const auto p : all_programs) {
      if (!row.read_by(p)) continue;
      const auto is_given = [&](const std::vector<std::string>& arguments, const Environment& environment) {
        const auto result = read_options(program_options(), p, arguments, environment);
        const bool equal = result.options.value(key) == value_text(*read_option(row, value).value);
        return result.ok() && equal && result.options.is_set(key);
      };
      CHECK(is_given({options_detail::flag_name(row) + "=" + value}, {}));
      CHECK(is_given({"--set", key + "=" + value}, {}));
      CHECK(is_given({}, {{variable, value}}) != row.command_line_only);
      CHECK(is_given({"--config", path}, {}) != row.command_line_only);
    }
  }
}

TEST_CASE("program_options: each option is refused, by name, by the programs that do not read it", "[io]") {
  for (const auto p : all_programs) {
    const Options options(program_options(), p);
    for (const auto& row : program_options()) {
      const auto* own = options.find(row.key);
      if (own->read_by(p)) continue;
      const std::vector<std::string> flag{options_detail::flag_name(row) + "=1"};
      const auto result = read_options(program_options(), p, flag, {});
      INFO(result.report());
      REQUIRE(result.problems.size() == 1);
      CHECK(result.problems[0].message.starts_with(options_detail::flag_name(row) + " is read by dino_"));
      CHECK(result.problems[0].message.ends_with(", not by " + std::string(program_name(p))));
    }
  }
}

TEST_CASE("program_options: every option refuses an empty, a huge and a foreign value", "[io]") {
  for (const auto& row : program_options()) {
    INFO(row.key);
    CHECK_FALSE(read_option(row, "").value.has_value());
    CHECK_FALSE(read_option(row, std::string(100000, '9')).value.has_value());
    const bool free = row.words.empty() && (row.type == OptionType::text || row.type == OptionType::path);
    CHECK(read_option(row, "no such value").value.has_value() == free);
    const bool number = row.type == OptionType::integer || row.type == OptionType::real;
    if (number) CHECK_FALSE(read_option(row, "-1e300").value.has_value());
  }
}

TEST_CASE("program_options: the help of each program fits a terminal and names its flags only", "[io]") {
  for (const auto p : all_programs) {
    const auto help = help_text(program_options(), p, program_head(p));
    CHECK(help.starts_with(program_name(p)));
    CHECK((help.find("--batch-size INT") != std::string::npos) == (p != Program::attention));
    CHECK((help.find("--k-dim") != std::string::npos) == (p == Program::pretrain));
    CHECK((help.find("--layer-decay") != std::string::npos) == (p == Program::finetune));
    CHECK((help.find("--temperature") != std::string::npos) == (p == Program::knn));
    CHECK((help.find("--rollout") != std::string::npos) == (p == Program::attention));
    CHECK((help.find("--perplexity") != std::string::npos) == (p == Program::embed));
    CHECK((help.find("-o, --output PATH") != std::string::npos) == (p == Program::features || p == Program::finetune));
    for (const auto line : options_detail::split(help, '\n')) {
      INFO(line);
      CHECK(line.size() <= 160);
    }
  }
}

TEST_CASE("program_options: the documentation shows this table", "[io]") {
  const auto text = text_of(source_root / "docs/options.md");
  const auto at = text.find(marker);
  REQUIRE(at != std::string::npos);
  CHECK(text.substr(at + marker.size()) == markdown_text(program_options()));
}

TEST_CASE("program_options: the schemas are this table, as JSON", "[io]") {
  for (const auto p : all_programs) {
    const auto text = text_of(source_root / "examples/configs" / schema_file(p));
    CHECK(text == schema_text(program_options(), p));
    const auto schema = nlohmann::json::parse(text);
    const auto& keys = schema["$defs"]["keys"]["properties"];
    CHECK(keys.contains("seed"));
    CHECK(keys.contains("eta_min") == (p == Program::finetune));
  }
}

// Not run by default: writes the two above anew after a change of the table.
TEST_CASE("program_options: write documentation and schemas", "[.write]") {
  auto text = text_of(source_root / "docs/options.md");
  text.resize(text.find(marker) + marker.size());
  std::ofstream(source_root / "docs/options.md", std::ios::binary) << text << markdown_text(program_options());
  for (const auto p : all_programs) {
    std::ofstream file(source_root / "examples/configs" / schema_file(p), std::ios::binary);
    file << schema_text(program_options(), p);
    CHECK(file.good());
  }
}

TEST_CASE("program_options: a data set is recognised by its files", "[io]") {
  const TemporaryFolder folder;
  const auto path = folder.path.string();
  CHECK(recognise_data_set("synthetic") == "synthetic");
  CHECK(recognise_data_set(path) == "folder");
  CHECK(recognise_data_set("no/such/folder") == "folder");
  std::filesystem::create_directory(folder / "cifar-100-binary");
  std::ofstream(folder / "cifar-100-binary/train.bin") << "x";
  CHECK(recognise_data_set(path) == "cifar-100");
  CHECK(recognise_data_set(path + "/cifar-100-binary") == "cifar-100");
  std::ofstream(folder / "data_batch_1.bin") << "x";
  CHECK(recognise_data_set(path) == "cifar-10");
}
