// The values of one program's options, each with its source; all problems of an input, collected.
#pragma once

#include <dino/io/option_table.hpp>

#include <map>
#include <set>

namespace dino::inline DINO_ABI {

/// Where a value comes from, weakest first. A value `derived` from others stands where "auto" was.
enum class Source { fallback, data_set, derived, file, environment, set, flag };

/// One thing that is wrong. `place` is file:line:column, or empty for what has none.
struct Problem {
  std::string place, message;
};

using Problems = std::vector<Problem>;

/// key = text, from somewhere. `subject` is how its user named the key: lr, --lr, DINO_LR, --set lr.
struct Assignment {
  std::string key{}, text{};
  TokenKind kind = TokenKind::plain;
  Source source = Source::flag;
  std::string subject{};
  std::string key_place{}, place{};  // file:line:column of key and value; empty outside files
};

/// All problems, one a line, places in a column of their own, and the count:
///     my.json:9:19  global_scale_min = 1.4 must be in (0, 1]
///     1 problem, nothing was started.
/// At most 50 are written out.
inline std::string problems_text(const Problems& problems) {
  constexpr std::size_t most = 50;
  std::size_t width = 0;
  for (const auto& p : problems) width = std::max(width, p.place.size());
  std::string text;
  for (std::size_t i = 0; i < std::min(problems.size(), most); ++i) {
    const auto& [place, message] = problems[i];
    text += place.empty() ? "error: " + message : place + std::string(width - place.size() + 2, ' ') + message;
    text += '\n';
  }
  if (problems.size() > most) text += str("... and {} more\n", problems.size() - most);
  return text + str("{} problem{}, nothing was started.", problems.size(), problems.size() == 1 ? "" : "s");
}

namespace options_detail {

/// A text as a JSON string, quotes included.
inline std::string json_quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20) {
      out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// A value as JSON.
inline std::string json_text(const OptionValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return json_quoted(*text);
  if (std::holds_alternative<std::vector<double>>(value)) return "[" + value_text(value) + "]";
  return value_text(value);
}

}  // namespace options_detail

/// The options of one program. After construction every key has its general default.
/// Getters demand a key of this program and its type; a wrong call is an internal error.
class Options {
 public:
  Options(std::span<const OptionRow> table, Program program) : table_(table), program_(program) {
    for (const auto& row : table_) {
      if (row.read_by(program_)) values_.emplace(row.key, default_of(row, row.fallback, Source::fallback));
    }
  }

  Program program() const { return program_; }
  std::span<const OptionRow> table() const { return table_; }

  bool flag(std::string_view key) const { return get<bool>(key); }
  i64 integer(std::string_view key) const { return get<i64>(key); }
  double real(std::string_view key) const { return get<double>(key); }
  const std::string& text(std::string_view key) const { return get<std::string>(key); }
  const std::vector<double>& list(std::string_view key) const { return get<std::vector<double>>(key); }
  double seconds(std::string_view key) const { return duration_seconds(text(key)); }
  OptionInterval interval(std::string_view key) const { return interval_of(text(key)); }

  /// The value is a word where the type is a number or a flag: "auto".
  bool is_word(std::string_view key) const {
    return row_of(key).type <= OptionType::real && std::holds_alternative<std::string>(at(key).value);
  }
  Source source(std::string_view key) const { return at(key).source; }
  /// Somebody asked for this value: it is no default and was not derived.
  bool is_set(std::string_view key) const { return source(key) >= Source::file; }
  /// "default", "data set cifar-10", "auto", my.json:9:19, DINO_LR, --set lr, --lr.
  const std::string& origin(std::string_view key) const { return at(key).origin; }
  /// The place to blame when a rule over several keys is broken.
  const std::string& place(std::string_view key) const { return at(key).place; }
  /// A value for this key was refused; the default stands in its place and rules over several keys are not checked.
  bool is_broken(std::string_view key) const { return broken_.contains(key); }
  std::string value(std::string_view key) const { return value_text(at(key).value); }

  /// The row of this key for this program, or for any other, or null.
  const OptionRow* find(std::string_view key) const {
    const OptionRow* other = nullptr;
    for (const auto& row : table_) {
      if (row.key != key) continue;
      if (row.read_by(program_)) return &row;
      other = &row;
    }
    return other;
  }

  /// The name of this program's key (with dashes where `flags`) nearest to the written one, or empty.
  std::string nearest(std::string_view written, bool flags) const;

  /// Stores the value if no stronger source has given one. Adds a problem for an unknown key, a key of another program,
  /// a wrong value, and a key that its source gives twice.
  void assign(const Assignment& a, Problems& problems);

  /// Gives the keys that nobody has set the defaults of this data set.
  void take_data_set(std::string_view name) {
    for (const auto& row : table_) {
      const auto text = row.data_sets.of(name);
      if (!row.read_by(program_) || text.empty() || at(row.key).source != Source::fallback) continue;
      values_.find(row.key)->second = default_of(row, text, Source::data_set);
      values_.find(row.key)->second.origin = str("data set {}", name);
    }
  }

  /// Puts a value that follows from others in the place of "auto" or of an empty default.
  void derive(std::string_view key, OptionValue value) {
    at(key);
    auto& entry = values_.find(key)->second;
    entry.value = std::move(value);
    entry.source = Source::derived;
    entry.origin = "auto";
  }

  /// The resolved options as JSON: {"v": 1, "dino": ..., "program": ..., "options": {...}, "sources": {...}}.
  /// read_config reads it back; keys whose source is "auto" are then derived again.
  std::string to_json() const;

  /// One line per key: mark of a changed value, key, value, origin. `changed_only` leaves the defaults out.
  std::string describe(bool changed_only = false) const;

 private:
  struct Entry {
    OptionValue value;
    Source source;
    std::string origin, place;
  };

  static Entry default_of(const OptionRow& row, std::string_view text, Source source) {
    if (text.empty()) {  // nothing by default: an empty text, or an empty list
      const bool list = row.type == OptionType::integers || row.type == OptionType::reals;
      return {list ? OptionValue{std::vector<double>{}} : OptionValue{std::string{}}, source, "default", ""};
    }
    auto reading = read_option(row, text);
    require(reading.value.has_value(), "options: default {} = {} {}", row.key, text, reading.problem);
    return {*std::move(reading.value), source, "default", ""};
  }

  const Entry& at(std::string_view key) const {
    const auto found = values_.find(key);
    require(found != values_.end(), "options: {} has no key {}", program_name(program_), key);
    return found->second;
  }

  const OptionRow& row_of(std::string_view key) const {
    at(key);
    return *find(key);
  }

  template <class V> const V& get(std::string_view key) const {
    const auto* value = std::get_if<V>(&at(key).value);
    require(value != nullptr, "options: {} = {} is not of the type asked for", key, this->value(key));
    return *value;
  }

  std::span<const OptionRow> table_;
  Program program_;
  std::map<std::string_view, Entry, std::less<>> values_;
  std::map<std::pair<std::string_view, Source>, std::string> given_;  // by which source, and where
  std::set<std::string_view, std::less<>> broken_;
};

inline std::string Options::nearest(std::string_view written, bool flags) const {
  std::vector<std::string> names;
  for (const auto& row : table_) {
    if (!row.read_by(program_) || (row.command_line_only && !flags)) continue;
    names.emplace_back(row.key);
    if (flags) std::replace(names.back().begin(), names.back().end(), '_', '-');
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return std::string(suggest(written, views));
}

namespace options_detail {

/// What a user typed, fit for one line of a message.
inline std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (text.size() > 60 ? "..." : "");
}

inline std::string programs_text(unsigned programs) {
  std::string text;
  for (const auto p : all_programs) {
    if ((programs & static_cast<unsigned>(p)) == 0) continue;
    text += (text.empty() ? "" : " and ") + std::string(program_name(p));
  }
  return text;
}

}  // namespace options_detail

inline void Options::assign(const Assignment& a, Problems& problems) {
  using options_detail::shown;
  const OptionRow* row = find(a.key);
  const bool in_file = a.source == Source::file;
  const auto name = in_file ? str("\"{}\"", shown(a.subject)) : shown(a.subject);
  if (row == nullptr || (in_file && row->command_line_only)) {
    const auto near = row != nullptr ? std::string{} : nearest(a.key, false);
    const auto hint = row != nullptr ? std::string(". It exists on the command line only")
                      : near.empty() ? std::string{}
                                     : str(". Did you mean \"{}\"?", near);
    problems.push_back({a.key_place, (in_file ? "unknown key " + name : name + ": unknown key") + hint});
    return;
  }
  if (!row->read_by(program_)) {
    problems.push_back({a.key_place, str("{} is read by {}, not by {}", name,
                                         options_detail::programs_text(row->programs), program_name(program_))});
    return;
  }
  const auto [first, is_first] = given_.emplace(std::pair{row->key, a.source}, a.key_place);
  if (!is_first) {
    problems.push_back({a.key_place, name + " is given twice" + (in_file ? ", first at " + first->second : "")});
    return;
  }
  auto reading = read_option(*row, a.text, a.kind);
  if (!reading.value) {
    const bool quotes = a.kind == TokenKind::string && row->type <= OptionType::real;
    const auto text = a.text.empty() ? std::string{} : str(quotes ? "= \"{}\" " : "= {} ", shown(a.text));
    problems.push_back({a.place, str("{} {}{}", shown(a.subject), text, reading.problem)});
    broken_.insert(row->key);
    return;
  }
  auto& entry = values_.find(row->key)->second;
  if (entry.source >= a.source) return;
  entry = {*std::move(reading.value), a.source, a.place.empty() ? a.subject : a.place, a.place};
}

inline std::string Options::to_json() const {
  using options_detail::json_quoted;
  std::string options, sources;
  for (const auto& row : table_) {
    if (!row.read_by(program_) || !row.saved || row.command_line_only) continue;
    const auto& entry = at(row.key);
    if (value_text(entry.value).empty()) continue;  // never given, nothing by default
    const auto* comma = options.empty() ? "\n" : ",\n";
    options += str("{}    {}: {}", comma, json_quoted(row.key), options_detail::json_text(entry.value));
    sources += str("{}    {}: {}", comma, json_quoted(row.key), json_quoted(entry.origin));
  }
  return str("{\n  \"v\": 1,\n  \"dino\": \"{}\",\n  \"program\": \"{}\",\n", DINO_VERSION, program_name(program_)) +
         "  \"options\": {" + options + "\n  },\n  \"sources\": {" + sources + "\n  }\n}\n";
}

inline std::string Options::describe(bool changed_only) const {
  std::string text;
  for (const auto& row : table_) {
    if (!row.read_by(program_) || row.command_line_only || (changed_only && !is_set(row.key))) continue;
    auto line = (is_set(row.key) ? "* " : "  ") + std::string(row.key);
    line.resize(std::max<std::size_t>(line.size() + 1, 26), ' ');
    line += value(row.key);
    line.resize(std::max<std::size_t>(line.size() + 1, 46), ' ');
    text += line + origin(row.key) + '\n';
  }
  return text;
}

}  // namespace dino::inline DINO_ABI
