// One row of a table of options: type, range, defaults and readers of a key; how a value is read.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>
#include <dino/io/suggest.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dino::inline DINO_ABI {

/// The programs that read options; a row holds the sum of those that read its key.
enum class Program : unsigned { pretrain = 1, finetune = 2, knn = 4, features = 8, attention = 16, embed = 32 };

inline constexpr std::array<Program, 6> all_programs{Program::pretrain, Program::finetune,  Program::knn,
                                                     Program::features, Program::attention, Program::embed};

constexpr std::string_view program_name(Program p) {
  return p == Program::pretrain    ? "dino_pretrain"
         : p == Program::finetune  ? "dino_finetune"
         : p == Program::knn       ? "dino_knn"
         : p == Program::features  ? "dino_features"
         : p == Program::attention ? "dino_attention"
                                   : "dino_embed";
}

/// Arguments that are no flags name files for these programs; for the others they are a problem.
constexpr bool takes_files(Program p) { return p == Program::features || p == Program::attention; }

enum class OptionType {
  flag,      // true or false; on the command line --key and --no-key
  integer,   // i64, decimal
  real,      // double, finite
  text,      // a word; one of `words` where those are given
  path,      // a file or folder
  integers,  // list: 10,20,100
  reals,     // list: 1,0.1,0.5
  duration,  // 90s, 10m, 2h, 1d; a bare number is seconds
  interval,  // a duration with its unit, 500 (steps) or 1e (epochs)
};

/// The numbers between low and high. An infinite bound is no bound.
struct OptionRange {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;

  constexpr bool contains(double x) const {
    return (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high);
  }
};

/// Defaults that a data set has of its own; empty: the general default.
struct DataSetDefaults {
  std::string_view synthetic{}, cifar_10{}, cifar_100{};

  constexpr std::string_view of(std::string_view data_set) const {
    return data_set == "synthetic"   ? synthetic
           : data_set == "cifar-10"  ? cifar_10
           : data_set == "cifar-100" ? cifar_100
                                     : std::string_view{};
  }
};

/// One key. A key may have several rows when programs differ in its default or in what it may be; their programs then
/// do not overlap.
struct OptionRow {
  std::string_view key;  // batch_size; its flag is --batch-size, its variable DINO_BATCH_SIZE
  OptionType type = OptionType::text;
  unsigned programs = 0;        // sum of Program values
  std::string_view group{};     // heading in --help
  std::string_view fallback{};  // default, as a user would write it; empty: none
  OptionRange range{};
  std::string_view words{};  // a|b|c: the values of a text; beside numbers, words that are allowed too (auto)
  std::string_view unit{};
  DataSetDefaults data_sets{};
  std::string_view example{};
  std::string_view help{};
  char letter = 0;                 // -v beside --verbose
  bool command_line_only = false;  // neither in files nor in the environment, and not saved
  bool saved = true;               // part of config.json
  bool fixed = false;              // a resumed run must have the same value

  constexpr bool read_by(Program p) const { return (programs & static_cast<unsigned>(p)) != 0; }
};

using OptionValue = std::variant<bool, i64, double, std::string, std::vector<double>>;

/// What the writer of a value said about its type. `plain` (command line, environment, YAML) says nothing.
enum class TokenKind { plain, string, number, boolean, null, list };

/// Every N seconds, steps or epochs; amount 0 is never.
struct OptionInterval {
  enum class Unit { seconds, steps, epochs };
  double amount = 0;
  Unit unit = Unit::seconds;

  bool operator==(const OptionInterval&) const = default;
};

namespace options_detail {

/// The number that is the whole text: no spaces, no sign +, no hexadecimal, no NaN, no infinity.
template <class N> std::optional<N> whole_number(std::string_view text) {
  N value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  if constexpr (std::is_same_v<N, double>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

/// Shortest text that reads back as the same number: 0.002, 1e-06, 100000.
inline std::string number_text(double x) {
  if (std::abs(x) < 1e15 && x == std::floor(x)) return str("{}", static_cast<i64>(x));
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), x).ptr;
  return {buffer.data(), end};
}

/// A word of the list; "cuda:N" stands for cuda:0, cuda:1, ...
inline bool is_word(std::string_view words, std::string_view text) {
  if (words.empty()) return false;
  for (const auto word : split(words, '|')) {
    if (word == text) return true;
    if (!word.ends_with(":N") || !text.starts_with(word.substr(0, word.size() - 1))) continue;
    const auto number = whole_number<int>(text.substr(word.size() - 1));
    if (number && *number >= 0) return true;
  }
  return false;
}

inline std::optional<double> unit_seconds(char unit) {
  return unit == 's'   ? std::optional{1.0}
         : unit == 'm' ? std::optional{60.0}
         : unit == 'h' ? std::optional{3600.0}
         : unit == 'd' ? std::optional{86400.0}
                       : std::nullopt;
}

inline std::optional<OptionInterval> read_interval(std::string_view text, OptionInterval::Unit bare) {
  if (text.empty()) return std::nullopt;
  if (const auto number = whole_number<double>(text)) return OptionInterval{*number, bare};
  const auto number = whole_number<double>(text.substr(0, text.size() - 1));
  if (!number) return std::nullopt;
  using Unit = OptionInterval::Unit;
  if (text.back() == 'e' && bare == Unit::steps) return OptionInterval{*number, Unit::epochs};
  const auto seconds = unit_seconds(text.back());
  return seconds ? std::optional{OptionInterval{*number * *seconds, OptionInterval::Unit::seconds}} : std::nullopt;
}

/// Bytes of the UTF-8 letter at the start of the text; 0 where there is none: cut, overlong, surrogate, above U+10FFFF.
inline std::size_t letter_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const u32 first = byte(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  u32 code = first & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::array<u32, 5> least{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return first < 0xc0 || first > 0xf4 || code < least[bytes] || code > 0x10ffff || surrogate ? 0 : bytes;
}

/// Valid UTF-8 without the letter 0.
inline bool is_text(std::string_view text) {
  while (!text.empty()) {
    const auto bytes = letter_bytes(text);
    if (bytes == 0 || text.front() == '\0') return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace options_detail

/// "(0, 1]", "1..8", ">= 0", "> 0"; empty where everything is allowed.
inline std::string range_text(const OptionRow& row) {
  const auto& r = row.range;
  const bool low = std::isfinite(r.low), high = std::isfinite(r.high);
  if (!low && !high) return {};
  const bool whole = row.type == OptionType::integer || row.type == OptionType::integers;
  const auto number = [whole](double x) {
    if (x >= 0x1p62) return std::string("2^63-1");
    return whole ? str("{}", static_cast<i64>(x)) : options_detail::number_text(x);
  };
  if (!high) return (r.low_open ? "> " : ">= ") + number(r.low);
  if (!low) return (r.high_open ? "< " : "<= ") + number(r.high);
  if (whole) return number(r.low) + ".." + number(r.high);
  return (r.low_open ? "(" : "[") + number(r.low) + ", " + number(r.high) + (r.high_open ? ")" : "]");
}

/// a|b|c as "a, b, c".
inline std::string words_text(std::string_view words, std::string_view separator = ", ") {
  std::string text;
  for (const auto word : options_detail::split(words, '|')) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

constexpr std::string_view type_text(OptionType type) {
  constexpr std::array<std::string_view, 9> names{"bool",     "int",       "real",     "text",    "path",
                                                  "int list", "real list", "duration", "interval"};
  return names[static_cast<std::size_t>(type)];
}

/// The seconds of a duration that read_option has accepted.
inline double duration_seconds(std::string_view text) {
  const auto d = options_detail::read_interval(text, OptionInterval::Unit::seconds);
  require(d.has_value(), "options: {} is no duration", text);
  return d->amount;
}

/// The interval of a text that read_option has accepted.
inline OptionInterval interval_of(std::string_view text) {
  const auto i = options_detail::read_interval(text, OptionInterval::Unit::steps);
  require(i.has_value(), "options: {} is no interval", text);
  return *i;
}

/// A value as its user would write it.
inline std::string value_text(const OptionValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<i64>(&value)) return str("{}", *i);
  if (const auto* d = std::get_if<double>(&value)) return options_detail::number_text(*d);
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  std::string text;
  for (const double x : std::get<std::vector<double>>(value)) {
    text += (text.empty() ? "" : ",") + options_detail::number_text(x);
  }
  return text;
}

/// A value, or the rest of a sentence that begins with "key = text".
struct OptionReading {
  std::optional<OptionValue> value;
  std::string problem;
};

namespace options_detail {

inline OptionReading refuse_option(std::string problem) { return {std::nullopt, std::move(problem)}; }

inline OptionReading read_number(const OptionRow& row, std::string_view text) {
  const bool whole = row.type == OptionType::integer;
  const std::string also = row.words.empty() ? "" : " or " + words_text(row.words, " or ");
  const auto number = whole_number<double>(text);
  if (!number) return refuse_option((whole ? "must be an integer" : "must be a number") + also);
  if (!row.range.contains(*number)) {
    const auto range = range_text(row);
    return refuse_option((range[0] == '<' || range[0] == '>' ? "must be " : "must be in ") + range + also);
  }
  if (!whole) return {OptionValue{*number}, {}};
  const auto integer = whole_number<i64>(text);
  return integer ? OptionReading{OptionValue{*integer}, {}} : refuse_option("must be an integer" + also);
}

inline OptionReading read_list(const OptionRow& row, std::string_view text) {
  std::vector<double> values;
  auto one = row;
  one.type = row.type == OptionType::integers ? OptionType::integer : OptionType::real;
  one.words = {};
  for (const auto part : split(text, ',')) {
    const auto reading = read_number(one, part);
    if (!reading.value) return refuse_option(str("is a list; its part {} {}", part, reading.problem));
    const auto* integer = std::get_if<i64>(&*reading.value);
    values.push_back(integer ? static_cast<double>(*integer) : std::get<double>(*reading.value));
  }
  return {OptionValue{std::move(values)}, {}};
}

inline OptionReading read_flag(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes" || text == "1") return {OptionValue{true}, {}};
  if (text == "false" || text == "off" || text == "no" || text == "0") return {OptionValue{false}, {}};
  return refuse_option("must be true or false");
}

inline OptionReading read_text(const OptionRow& row, std::string_view text) {
  if (row.type == OptionType::duration || row.type == OptionType::interval) {
    const bool steps = row.type == OptionType::interval;
    const auto i = read_interval(text, steps ? OptionInterval::Unit::steps : OptionInterval::Unit::seconds);
    if (i && i->amount >= 0) return {OptionValue{std::string(text)}, {}};
    return refuse_option(steps ? "must be a time (20m), a number of steps (500) or of epochs (1e)"
                               : "must be a time: 90s, 10m, 2h or 1d");
  }
  if (row.words.empty()) return {OptionValue{std::string(text)}, {}};
  const auto near = suggest(text, split(row.words, '|'));
  return refuse_option("must be one of " + words_text(row.words) +
                       (near.empty() ? "" : str(". Did you mean \"{}\"?", near)));
}

/// Types of a JSON token that contradict the row; empty where they agree.
inline std::string wrong_token(const OptionRow& row, TokenKind kind) {
  const auto type = row.type;
  const bool list = type == OptionType::integers || type == OptionType::reals;
  const bool number = type == OptionType::integer || type == OptionType::real;
  const bool word = type == OptionType::text || type == OptionType::path;
  if (kind == TokenKind::null) return "needs a value";
  if (kind == TokenKind::list && !list) return "must be one value, not a list";
  if (kind == TokenKind::boolean && type != OptionType::flag) return "must not be true or false";
  if (kind == TokenKind::string && (number || list)) return "must be a number, without quotes";
  if (kind == TokenKind::string && type == OptionType::flag) return "must be true or false, without quotes";
  if (kind == TokenKind::number && type == OptionType::flag) return "must be true or false";
  if (kind == TokenKind::number && word) return "must be a text, in quotes";
  return {};
}

}  // namespace options_detail

/// Reads a value by type, words and range of the row. The problem reads on from "key = text": "must be in (0, 1]".
inline OptionReading read_option(const OptionRow& row, std::string_view text, TokenKind kind = TokenKind::plain) {
  if (text.empty()) return options_detail::refuse_option("needs a value");
  if (text.size() > 4096) return options_detail::refuse_option("is longer than 4096 letters");
  if (!options_detail::is_text(text)) return options_detail::refuse_option("is not UTF-8 text");
  const bool may_be_word = kind == TokenKind::plain || kind == TokenKind::string;
  if (may_be_word && options_detail::is_word(row.words, text)) return {OptionValue{std::string(text)}, {}};
  if (auto wrong = options_detail::wrong_token(row, kind); !wrong.empty()) return {std::nullopt, std::move(wrong)};
  switch (row.type) {
    case OptionType::flag:
      return options_detail::read_flag(text);
    case OptionType::integer:
    case OptionType::real:
      return options_detail::read_number(row, text);
    case OptionType::integers:
    case OptionType::reals:
      return options_detail::read_list(row, text);
    default:
      return options_detail::read_text(row, text);
  }
}

}  // namespace dino::inline DINO_ABI
