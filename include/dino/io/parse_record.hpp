// A JSON document as a record: what dino reads back of its own lines, settings and descriptions.
#pragma once

#include <dino/io/json_cursor.hpp>
#include <dino/io/record.hpp>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace dino::inline DINO_ABI {

namespace detail {

/// Flattens one JSON document into a record, reading it once.
class RecordReader {
 public:
  explicit RecordReader(std::string_view json) : json_(json, "the record") {}

  Record read() {
    object("", 1);
    json_.expect_end();
    return std::move(record_);
  }

 private:
  static constexpr int deepest = 9;  // the document and 8 levels in it

  void object(const std::string& prefix, int depth) {
    if (depth > deepest) json_.refuse("nested too deep");
    json_.object("an opening brace", [&](const std::string& key) {
      const std::string name = prefix + key;
      const char first = json_.peek();
      if (first == '{') {
        object(name + ".", depth + 1);
      } else if (first == '[') {
        std::string list;
        append_value(list, depth + 1);
        if (name != "nonfinite") record_.set(name, list);
      } else {
        record_.set(name, scalar());
      }
    });
  }

  /// A value of any form, without white space.
  void append_value(std::string& out, int depth) {
    const char first = json_.peek();
    if (first != '[' && first != '{') {
      const auto value = scalar();
      if (const auto* text = std::get_if<std::string>(&value)) {
        out += json_text(*text);
      } else {
        const auto* real = std::get_if<double>(&value);
        out += real && std::isnan(*real) ? "null" : Record::value_text(value);
      }
      return;
    }
    if (depth > deepest) json_.refuse("nested too deep");
    const auto comma = [&out] {
      if (out.back() != '[' && out.back() != '{') out += ',';
    };
    out += first;
    if (first == '[') {
      json_.array("a list", [&] {
        comma();
        append_value(out, depth + 1);
      });
    } else {
      json_.object("an object", [&](const std::string& key) {
        comma();
        out += json_text(key) + ':';
        append_value(out, depth + 1);
      });
    }
    out += first == '[' ? ']' : '}';
  }

  Record::Value scalar() {
    if (json_.peek() == '"') return json_.string("a value");
    const auto token = json_.token();
    if (token == "true" || token == "false") return token == "true";
    if (token == "null") return std::numeric_limits<double>::quiet_NaN();
    if (!is_json_number(token)) json_.refuse("expected a value");
    const char *const begin = token.data(), *const end = begin + token.size();
    i64 whole = 0;
    if (const auto [at, error] = std::from_chars(begin, end, whole); at == end && error == std::errc{}) return whole;
    double real = 0;
    if (std::from_chars(begin, end, real).ec != std::errc{}) json_.refuse("a number that no double holds");
    return real;
  }

  JsonCursor json_;
  Record record_;
};

}  // namespace detail

/// The fields of a JSON document of any depth, in the order of the file: {"optim": {"lr": 1}} has the field "optim.lr".
/// A list without objects is one field, its text; null is NaN. Empty when the text is not a JSON object, or is nested
/// more than 8 deep. The list "nonfinite" of a metrics line is left out: its fields are null, and so NaN, already.
inline std::optional<Record> parse_record(std::string_view json) {
  if (!detail::valid_utf8(json)) return std::nullopt;
  try {
    return detail::RecordReader(json).read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace dino::inline DINO_ABI
