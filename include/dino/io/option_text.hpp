// The table of options as text: --help, the table of the documentation, and the JSON schema.
#pragma once

#include <dino/io/options.hpp>

namespace dino::inline DINO_ABI {

namespace options_detail {

inline std::string flag_name(const OptionRow& row) {
  std::string name = "--" + std::string(row.key);
  std::replace(name.begin() + 2, name.end(), '_', '-');
  return name;
}

/// What stands behind the flag: INT, REAL, ..., a|b|c; nothing for a flag.
inline std::string argument_text(const OptionRow& row) {
  if (row.type == OptionType::flag) return {};
  if (row.type == OptionType::text && !row.words.empty()) return std::string(row.words);
  std::string text(type_text(row.type));
  for (char& c : text) c = c == ' ' ? '-' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// "1024 (synthetic 64, cifar-10 256)".
inline std::string defaults_text(const OptionRow& row) {
  constexpr std::array<std::string_view, 3> names{"synthetic", "cifar-10", "cifar-100"};
  std::string special;
  for (const auto name : names) {
    const auto text = row.data_sets.of(name);
    if (!text.empty()) special += str("{}{} {}", special.empty() ? "" : ", ", name, text);
  }
  const std::string general(row.fallback.empty() ? "not set" : row.fallback);
  return general + (special.empty() ? "" : " (" + special + ")");
}

/// "(0, 1] or auto", "adamw, sgd, lars".
inline std::string allowed_text(const OptionRow& row) {
  if (row.type == OptionType::text) return words_text(row.words);
  const auto range = range_text(row);
  return range + (range.empty() || row.words.empty() ? "" : " or ") + words_text(row.words, " or ");
}

inline std::string example_text(const OptionRow& row) {
  if (!row.example.empty()) return flag_name(row) + ' ' + std::string(row.example);
  if (row.type != OptionType::flag) return {};
  return row.fallback == "true" ? "--no-" + flag_name(row).substr(2) : flag_name(row);
}

inline std::string help_entry(const OptionRow& row) {
  constexpr std::size_t column = 34;
  std::string line = "  " + (row.letter != 0 ? str("-{}, ", row.letter) : std::string{}) + flag_name(row);
  if (const auto argument = argument_text(row); !argument.empty()) line += ' ' + argument;
  std::string margin(1 + column, ' ');
  margin.front() = '\n';
  line += line.size() + 2 <= column ? std::string(column - line.size(), ' ') : margin;
  line += row.help;
  std::string details;
  const auto add = [&](std::string_view label, const std::string& text) {
    if (!text.empty()) details += (details.empty() ? "" : "; ") + std::string(label) + text;
  };
  if (!row.command_line_only || !row.fallback.empty()) add("default ", defaults_text(row));
  if (row.type != OptionType::text) add("", allowed_text(row));
  add("unit: ", std::string(row.unit));
  const auto example = example_text(row);
  if (example != flag_name(row)) add("e.g. ", example);
  return line + (details.empty() ? "" : margin + details) + '\n';
}

/// Text within a cell of a Markdown table: no end of the cell, no HTML.
inline std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : c == '<' ? std::string("&lt;") : std::string(1, c);
  return out;
}

inline std::string code_cell(std::string_view text) {
  std::string code;
  for (const char c : text) code += c == '|' ? std::string("\\|") : std::string(1, c);
  return code.empty() ? code : "`" + code + "`";
}

inline std::string short_programs(const OptionRow& row) {
  std::string text;
  for (const auto p : all_programs) {
    if (row.read_by(p)) text += (text.empty() ? "" : ", ") + std::string(program_name(p).substr(5));
  }
  return text;
}

/// "minimum": 0, "exclusiveMaximum": 1 for the bounds of a row.
inline std::string schema_bounds(const OptionRange& range) {
  std::string text;
  if (std::isfinite(range.low)) {
    text += str(", \"{}\": {}", range.low_open ? "exclusiveMinimum" : "minimum", number_text(range.low));
  }
  if (std::isfinite(range.high)) {
    text += str(", \"{}\": {}", range.high_open ? "exclusiveMaximum" : "maximum", number_text(range.high));
  }
  return text;
}

inline std::string schema_words(std::string_view words) {
  std::string text;
  for (const auto word : split(words, '|')) {
    const auto stem = word.ends_with(":N") ? word.substr(0, word.size() - 1) : std::string_view{};
    text += (text.empty() ? "" : ", ") +
            (stem.empty() ? str("{\"const\": {}}", json_quoted(word)) : str("{\"pattern\": \"^{}[0-9]+$\"}", stem));
  }
  return text;
}

/// The schema of one value, without its description.
inline std::string schema_type(const OptionRow& row) {
  const bool whole = row.type == OptionType::integer || row.type == OptionType::integers;
  const auto number = str("\"type\": \"{}\"{}", whole ? "integer" : "number", schema_bounds(row.range));
  switch (row.type) {
    case OptionType::flag:
    case OptionType::integer:
    case OptionType::real: {
      const auto type = row.type == OptionType::flag ? std::string("\"type\": \"boolean\"") : number;
      return row.words.empty() ? type : str("\"anyOf\": [{{}}, {}]", type, schema_words(row.words));
    }
    case OptionType::integers:
    case OptionType::reals:
      return str("\"anyOf\": [{{}}, {\"type\": \"array\", \"items\": {{}}}]", number, number);
    case OptionType::duration:
    case OptionType::interval:
      return "\"type\": [\"string\", \"number\"]";
    default:
      break;
  }
  const auto words = row.words.empty() ? std::string{} : str(", \"anyOf\": [{}]", schema_words(row.words));
  return "\"type\": \"string\"" + words;
}

}  // namespace options_detail

/// The text of --help: the head, then every flag of the program by group, with default, range, unit and one example.
inline std::string help_text(std::span<const OptionRow> table, Program program, std::string_view head) {
  std::string text(head);
  std::string_view group;
  for (const auto& row : table) {
    if (!row.read_by(program)) continue;
    if (row.group != group) text += str("\n{}\n", group = row.group);
    text += options_detail::help_entry(row);
  }
  return text;
}

/// The whole table in Markdown, a section per group.
inline std::string markdown_text(std::span<const OptionRow> table) {
  using namespace options_detail;
  std::string text;
  std::string_view group;
  for (const auto& row : table) {
    if (row.group != group) {
      text += str("\n## {}\n\n", group = row.group);
      text += "| key | programs | type | default | allowed | unit | meaning | example |\n";
      text += "|---|---|---|---|---|---|---|---|\n";
    }
    text += str("| `{}` | {} | {} | {} | {} | {} | {} | {} |\n", row.key, short_programs(row), type_text(row.type),
                defaults_text(row), cell(allowed_text(row)), row.unit, cell(row.help), code_cell(example_text(row)));
  }
  return text;
}

/// The JSON schema (draft 2020-12) of a program's configuration file: its keys, also one level down, in groups.
inline std::string schema_text(std::span<const OptionRow> table, Program program) {
  using namespace options_detail;
  std::string keys = "        \"$schema\": {\"type\": \"string\"}";
  for (const auto& row : table) {
    if (!row.read_by(program) || row.command_line_only) continue;
    keys += str(",\n        {}: {{}, \"description\": {}}", json_quoted(row.key), schema_type(row),
                json_quoted(str("{}. Default {}.", row.help, defaults_text(row))));
  }
  return str("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
             "  \"title\": \"Configuration of {}\",\n  \"type\": \"object\",\n  \"$ref\": \"#/$defs/keys\",\n"
             "  \"unevaluatedProperties\": {\"type\": \"object\", \"$ref\": \"#/$defs/keys\", "
             "\"unevaluatedProperties\": false},\n"
             "  \"$defs\": {\n    \"keys\": {\n      \"properties\": {\n",
             program_name(program)) +
         keys + "\n      }\n    }\n  }\n}\n";
}

}  // namespace dino::inline DINO_ABI
