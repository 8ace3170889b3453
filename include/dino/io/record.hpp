// An ordered list of named values, and the line of JSON that it becomes.
#pragma once

#include <dino/base/types.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dino::inline DINO_ABI {

/// The shortest decimal that reads back as the same double: "0.1", "1.82e+10", "nan", "inf".
inline std::string number_text(double x) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, x).ptr);
}

/// The double whose shortest decimal is that of the float: 9.8712f becomes 9.8712, not 9.871199607849121.
inline double shortest_double(float x) {
  if (!std::isfinite(x)) return static_cast<double>(x);
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, x).ptr;
  double result = 0;
  std::from_chars(text, end, result);
  return result;
}

namespace detail {
/// Length of the well-formed UTF-8 character at the start of s (Unicode 15, table 3-7); 0 where there is none.
inline size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto tail = [&](size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xbf; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return s.empty() ? 0 : 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool bad = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f);
    return tail(1) && tail(2) && !bad ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool bad = (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
    return tail(1) && tail(2) && tail(3) && !bad ? 4 : 0;
  }
  return 0;
}
}  // namespace detail

/// The text with each byte that is not part of a UTF-8 character replaced by U+FFFD. File names may hold any byte.
inline std::string clean_utf8(std::string_view s) {
  std::string out;
  while (!s.empty()) {
    const size_t length = detail::utf8_length(s);
    out += length ? s.substr(0, length) : std::string_view("\xef\xbf\xbd");
    s.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

/// A JSON string with its quotes.
inline std::string json_text(std::string_view s) {
  std::string out = "\"";
  for (const char c : clean_utf8(s)) {
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr char hex[] = "0123456789abcdef";
      ((out += "\\u00") += hex[c >> 4]) += hex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

/// Named values in the order in which they were set: a line of metrics.jsonl, or the facts of env.json.
///     Record("step").set("step", 812).set("loss", 9.8712f)
class Record {
 public:
  using Value = std::variant<bool, i64, double, std::string>;
  using Field = std::pair<std::string, Value>;

  Record() = default;
  explicit Record(std::string_view kind) { set("kind", kind); }

  /// Adds the field, or replaces its value where it stands.
  template <class V> Record& set(std::string_view key, const V& value) { return put(key, convert(value)); }

  const std::vector<Field>& fields() const { return fields_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::string kind() const { return text("kind"); }

  /// The value as a number; NaN when it is absent or text.
  double number(std::string_view key) const {
    const Value* value = find(key);
    if (!value || std::holds_alternative<std::string>(*value)) return std::numeric_limits<double>::quiet_NaN();
    if (const auto* whole = std::get_if<i64>(value)) return static_cast<double>(*whole);
    if (const auto* flag = std::get_if<bool>(value)) return *flag ? 1 : 0;
    return std::get<double>(*value);
  }

  /// The value as people read it; empty when it is absent.
  std::string text(std::string_view key) const {
    const Value* value = find(key);
    return value ? value_text(*value) : std::string();
  }

  static std::string value_text(const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* whole = std::get_if<i64>(&value)) return std::to_string(*whole);
    if (const auto* real = std::get_if<double>(&value)) return number_text(*real);
    return std::get<std::string>(value);
  }

  friend bool operator==(const Record&, const Record&) = default;

 private:
  template <class V> static Value convert(const V& value) {
    if constexpr (std::is_same_v<V, Value>) {
      return value;
    } else if constexpr (std::is_same_v<V, bool>) {
      return value;
    } else if constexpr (std::is_integral_v<V>) {
      return static_cast<i64>(value);
    } else if constexpr (std::is_same_v<V, float>) {
      return shortest_double(value);
    } else if constexpr (std::is_same_v<V, double>) {
      return value;
    } else {
      return std::string(std::string_view(value));
    }
  }

  Record& put(std::string_view key, Value value) {
    const auto at = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.first == key; });
    if (at != fields_.end()) {
      at->second = std::move(value);
    } else {
      fields_.emplace_back(std::string(key), std::move(value));
    }
    return *this;
  }

  const Value* find(std::string_view key) const {
    const auto at = std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.first == key; });
    return at == fields_.end() ? nullptr : &at->second;
  }

  std::vector<Field> fields_;
};

/// One JSON object. JSON has no NaN and no infinity: such a value becomes null, and the list "nonfinite" at the end
/// names it. separator stands between the fields: "," for a line, ",\n  " for a file that people read.
inline std::string to_json(const Record& record, std::string_view separator = ",") {
  std::string body, nonfinite;
  for (const auto& [key, value] : record.fields()) {
    if (!body.empty()) body += separator;
    body += json_text(key) + (separator == "," ? ":" : ": ");
    const auto* real = std::get_if<double>(&value);
    if (real && !std::isfinite(*real)) {
      body += "null";
      nonfinite += (nonfinite.empty() ? "" : ",") + json_text(key);
    } else {
      body += std::holds_alternative<std::string>(value) ? json_text(std::get<std::string>(value))
                                                         : Record::value_text(value);
    }
  }
  if (!nonfinite.empty()) body += std::string(separator) + "\"nonfinite\":[" + nonfinite + "]";
  return "{" + body + "}";
}

}  // namespace dino::inline DINO_ABI
