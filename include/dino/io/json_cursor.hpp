// A cursor over JSON text from hostile files: no tree, no recursion, errors with their place.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace dino::inline DINO_ABI::detail {

/// True for well-formed UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.
inline bool valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<u8>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<u8>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = length > 1 ? static_cast<u8>(text[i + 1]) : u8{0};
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return false;
    if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return false;
    i += length;
  }
  return true;
}

/// True for -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
inline bool is_json_number(std::string_view s) {
  const auto digits = [&s] {
    const auto n = std::min(s.find_first_not_of("0123456789"), s.size());
    s.remove_prefix(n);
    return n;
  };
  if (s.starts_with('-')) s.remove_prefix(1);
  const bool zero = s.starts_with('0');
  const auto whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (s.starts_with('.')) {
    s.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (s.starts_with('e') || s.starts_with('E')) {
    s.remove_prefix(1);
    if (s.starts_with('+') || s.starts_with('-')) s.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return s.empty();
}

inline std::string json_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<u8>(c) < 0x20) {
      out += "\\u00";
      out += "01"[c >> 4];
      out += "0123456789abcdef"[c & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

/// Reads the forms of JSON one after the other, as the caller expects them. There is no tree, so a duplicate key is
/// seen where it stands, the caller bounds the nesting, and memory stays a fraction of the text. Throws Error{weights}
/// with the byte where the text goes wrong.
class JsonCursor {
 public:
  /// text must be well-formed UTF-8; what begins the messages.
  JsonCursor(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c, std::string_view name) {
    if (!accept(c)) refuse(str("expected {}", name));
  }
  void expect_end() {
    skip_space();
    if (at_ != text_.size()) refuse("expected nothing more");
  }

  /// Calls member(key) for each member of an object; it reads the value.
  template <class Member> void object(std::string_view name, Member member) {
    expect('{', name);
    if (accept('}')) return;
    do {
      auto key = string("a key");
      expect(':', "a colon");
      member(std::move(key));
    } while (accept(','));
    expect('}', "a comma or a closing brace");
  }

  /// Calls element() for each element of an array; it reads the value.
  template <class Element> void array(std::string_view name, Element element) {
    expect('[', name);
    if (accept(']')) return;
    do element();
    while (accept(','));
    expect(']', "a comma or a closing bracket");
  }

  std::string string(std::string_view name) {
    expect('"', name);
    std::string out;
    for (;;) {
      const auto start = at_;
      const auto plain = [](char c) { return c != '"' && c != '\\' && static_cast<u8>(c) >= 0x20; };
      while (at_ < text_.size() && plain(text_[at_])) ++at_;
      out += text_.substr(start, at_ - start);
      if (at_ == text_.size()) refuse("the text ends inside a string");
      if (static_cast<u8>(text_[at_]) < 0x20) refuse("a control character inside a string");
      if (text_[at_++] == '"') return out;
      append_escape(out);
    }
  }

  /// The next character that is no white space; 0 at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  /// A number or a word (true, false, null) as it is written; the caller says what it means.
  std::string_view token() {
    skip_space();
    const auto start = at_;
    const auto part = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' || c == '.';
    };
    while (at_ < text_.size() && part(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  /// A token of digits only: 1.0, 1e2, -0 and 01 are refused.
  i64 integer(std::string_view name) {
    skip_space();
    const auto start = at_;
    i64 value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value)) {
        refuse(str("{} is too large", name));
      }
    }
    const bool leading_zero = at_ - start > 1 && text_[start] == '0';
    const bool more = at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E');
    if (at_ == start || leading_zero || more) refuse(str("{} must be an integer that is not negative", name));
    return value;
  }

  [[noreturn]] void refuse(std::string_view why) const {
    fail(ErrorKind::weights, "{} is damaged or not what it should be: {} at byte {}", what_, why, at_);
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  u32 hex4() {
    u32 value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const auto digit = at_ < text_.size() ? std::string_view("0123456789abcdefABCDEF").find(text_[at_]) : text_.npos;
      if (digit == text_.npos) refuse("expected four hexadecimal digits");
      value = value * 16 + static_cast<u32>(digit < 16 ? digit : digit - 6);
    }
    return value;
  }

  void append_escape(std::string& out) {
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) refuse("the text ends inside a string");
    const char c = text_[at_++];
    if (const auto k = from.find(c); k != from.npos) {
      out += to[k];
      return;
    }
    if (c != 'u') refuse("an unknown escape");
    u32 code = hex4();
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const u32 low = hex4();
      if (low < 0xdc00 || low > 0xdfff) refuse("half a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code >= 0xd800 && code < 0xe000) refuse("half a surrogate pair");
    append_utf8(out, code);
  }

  static void append_utf8(std::string& out, u32 code) {
    const auto tail = [&](u32 shift) { out += static_cast<char>(0x80u | ((code >> shift) & 0x3fu)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0u | (code >> 6)), tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0u | (code >> 12)), tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0u | (code >> 18)), tail(12), tail(6), tail(0);
    }
  }

  std::string_view text_;
  std::string what_;
  size_t at_ = 0;
};

}  // namespace dino::inline DINO_ABI::detail
