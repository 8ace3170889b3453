// Reads a configuration file, JSON with comments or flat YAML, into key = value entries with their places.
#pragma once

#include <dino/io/json_cursor.hpp>
#include <dino/io/options.hpp>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#if DINO_HAS_YAML
#  include <yaml-cpp/eventhandler.h>
#  include <yaml-cpp/exceptions.h>
#  include <yaml-cpp/mark.h>
#  include <yaml-cpp/parser.h>
#endif

namespace dino::inline DINO_ABI {

inline constexpr std::size_t max_config_bytes = std::size_t{1} << 20;
inline constexpr int max_config_depth = 4;

/// Line and column, both from 1; a column is a letter, not a byte.
struct TextPlace {
  i64 line = 1, column = 1;
};

/// One key of a file. Groups are flattened: the entry of {"optim": {"lr": 1e-3}} is lr, in the group optim.
/// `text` is the string without quotes, the number as written, or the parts of a list with commas between.
struct ConfigEntry {
  std::string group{}, key{}, text{};
  TokenKind kind = TokenKind::plain;
  TextPlace key_place{}, place{};
};

/// A syntax error ends the entries; what was read before it stands.
struct ConfigFile {
  std::string name{};
  std::vector<ConfigEntry> entries{};
  Problems problems{};

  std::string at(TextPlace p) const { return str("{}:{}:{}", name, p.line, p.column); }
};

namespace options_detail {

/// Recursive descent over JSON with // and /* */ comments. General readers tell no positions and keep the last of
/// two equal keys in silence, so configurations are read here.
class JsonConfigReader {
 public:
  JsonConfigReader(std::string_view text, ConfigFile& file) : text_(text), file_(file) {}

  void read() {
    try {
      if (text_.substr(at_).starts_with("\xef\xbb\xbf")) at_ += 3;
      skip_blanks();
      if (peek() != '{') stop("a configuration begins with {");
      object("", 1);
      skip_blanks();
      if (at_ < text_.size()) stop("nothing may follow the last }");
    } catch (const Stop& s) {
      file_.problems.push_back({file_.at(s.place), s.message});
    }
  }

 private:
  struct Stop {
    TextPlace place;
    std::string message;
  };

  [[noreturn]] void stop(std::string message) const { throw Stop{here_, std::move(message)}; }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void advance() {
    const auto bytes = letter_bytes(text_.substr(at_));
    if (bytes == 0 || text_[at_] == '\0') stop(at_ >= text_.size() ? "the file ends too early" : "not UTF-8 text");
    if (text_[at_] == '\n') {
      here_ = {here_.line + 1, 1};
    } else {
      ++here_.column;
    }
    at_ += bytes;
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      const auto rest = text_.substr(at_);
      if (rest.starts_with("//")) {
        while (at_ < text_.size() && peek() != '\n') advance();
      } else if (rest.starts_with("/*")) {
        const auto end = rest.find("*/", 2);
        if (end == std::string_view::npos) stop("this comment has no end");
        for (const auto last = at_ + end + 2; at_ < last;) advance();
      } else if (std::string_view(" \t\r\n").find(peek()) != std::string_view::npos) {
        advance();
      } else {
        return;
      }
    }
  }

  void object(const std::string& group, int depth) {
    if (depth > max_config_depth) stop(str("groups are nested more than {} deep", max_config_depth));
    advance();
    skip_blanks();
    if (peek() == '}') return advance();
    while (true) {
      if (peek() != '"') stop(peek() == '}' ? "a comma before } is one too many" : "a key in quotes must stand here");
      ConfigEntry entry{.group = group, .key_place = here_};
      entry.key = string();
      skip_blanks();
      if (peek() != ':') stop("a colon must follow the key");
      advance();
      skip_blanks();
      value(std::move(entry), depth);
      skip_blanks();
      if (peek() == '}') return advance();
      if (peek() != ',') stop(at_ < text_.size() ? "a comma or } must stand here" : "the file ends before its last }");
      advance();
      skip_blanks();
    }
  }

  void value(ConfigEntry entry, int depth) {
    entry.place = here_;
    if (peek() == '{') return object(entry.group + (entry.group.empty() ? "" : "/") + entry.key, depth + 1);
    if (peek() == '[') {
      list(entry);
    } else {
      entry.kind = scalar(entry.text);
      if (entry.kind == TokenKind::null) entry.text.clear();
    }
    file_.entries.push_back(std::move(entry));
  }

  void list(ConfigEntry& entry) {
    entry.kind = TokenKind::list;
    do {
      advance();
      skip_blanks();
      if (peek() == ']' && entry.text.empty()) break;
      std::string part;
      const auto place = here_;
      if (peek() == '[' || peek() == '{' || scalar(part) != TokenKind::number) {
        throw Stop{place, "a list may hold numbers only"};
      }
      entry.text += (entry.text.empty() ? "" : ",") + part;
      skip_blanks();
    } while (peek() == ',');
    if (peek() != ']') stop("a comma or ] must stand here");
    advance();
  }

  TokenKind scalar(std::string& out) {
    if (peek() == '"') {
      out = string();
      return TokenKind::string;
    }
    const auto place = here_;
    const auto first = at_;
    const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("+-._", c); };
    while (at_ < text_.size() && peek() != '\0' && is_part(peek())) advance();
    out = text_.substr(first, at_ - first);
    if (out == "true" || out == "false") return TokenKind::boolean;
    if (out == "null") return TokenKind::null;
    if (detail::is_json_number(out)) return TokenKind::number;
    if (out.empty()) throw Stop{place, "a value must stand here"};
    throw Stop{place, str("{} is no JSON value; a text needs quotes", shown(out))};
  }

  std::string string() {
    std::string out;
    const auto begin = here_;
    for (advance(); peek() != '"';) {
      if (at_ >= text_.size() || peek() == '\n') throw Stop{begin, "this string has no end"};
      if (peek() == '\\') {
        escape(out);
        continue;
      }
      if (static_cast<unsigned char>(peek()) < 0x20) stop("a string must not contain control characters");
      const auto first = at_;
      advance();
      out += text_.substr(first, at_ - first);
    }
    advance();
    return out;
  }

  void escape(std::string& out) {
    advance();
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const auto which = letters.find(peek());
    if (peek() != '\0' && which != std::string_view::npos) {
      out += meanings[which];
      return advance();
    }
    if (peek() != 'u') stop("unknown escape");
    u32 code = four_digits();
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_).starts_with("\\u")) {
      advance();
      const u32 low = four_digits();
      if (low < 0xdc00 || low > 0xdfff) stop("half of a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000)) stop("this escape is no letter");
    append_utf8(out, code);
  }

  u32 four_digits() {
    advance();  // u
    const auto digits = text_.substr(at_, 4);
    u32 code = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    const bool good = error == std::errc{} && digits.size() == 4 && end == digits.data() + 4;
    if (!good) stop("\\u needs four hexadecimal digits");
    for (int i = 0; i < 4; ++i) advance();
    return code;
  }

  static void append_utf8(std::string& out, u32 code) {
    const auto tail = [&](u32 shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | code >> 12);
      tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0 | code >> 18);
      tail(12), tail(6), tail(0);
    }
  }

  std::string_view text_;
  ConfigFile& file_;
  std::size_t at_ = 0;
  TextPlace here_;
};

#if DINO_HAS_YAML
/// Takes the events of yaml-cpp, because its nodes keep two equal keys and forget anchors.
class FlatYaml : public YAML::EventHandler {
 public:
  explicit FlatYaml(ConfigFile& file) : file_(file) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { scalar(mark, anchor, "", TokenKind::null); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, "an alias (*name) is not read here"); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& text) override {
    scalar(mark, anchor, text, TokenKind::plain);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, "a list is not read here; write 10,20,100");
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    if (depth_ > 0) return open(mark, "groups are not read here; YAML must be flat, key: value");
    depth_ = 1;
  }
  void OnMapEnd() override { --depth_; }

 private:
  static TextPlace place(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

  void refuse(const YAML::Mark& mark, const char* why) {
    if (depth_ > 1) return;  // reported where the nesting began
    file_.problems.push_back({file_.at(place(mark)), why});
    if (!is_value_) entry_.key.clear();  // its value is then dropped
    is_value_ = depth_ == 1 && !is_value_;
  }

  void open(const YAML::Mark& mark, const char* why) {
    refuse(mark, why);
    depth_ += depth_ == 0 ? 2 : 1;  // what a refused root holds is dropped too
  }

  void scalar(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text, TokenKind kind) {
    if (depth_ > 1) return;
    if (anchor != 0) return refuse(mark, "an anchor (&name) is not read here");
    if (depth_ == 0) {
      if (kind != TokenKind::null) refuse(mark, "a YAML configuration is a list of key: value");
      return;
    }
    if (is_value_) {
      entry_.text = text;
      entry_.kind = kind;
      entry_.place = place(mark);
      if (!entry_.key.empty()) file_.entries.push_back(entry_);
    } else {
      entry_ = {.key = text, .key_place = place(mark)};
      if (text.empty()) file_.problems.push_back({file_.at(place(mark)), "a key must not be empty"});
    }
    is_value_ = !is_value_;
  }

  ConfigFile& file_;
  ConfigEntry entry_;
  int depth_ = 0;
  bool is_value_ = false;
};

inline void read_yaml(const std::string& text, ConfigFile& file) {
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    FlatYaml handler(file);
    parser.HandleNextDocument(handler);
    ConfigFile rest;
    FlatYaml ignored(rest);
    if (parser.HandleNextDocument(ignored)) file.problems.push_back({file.name, "holds more than one YAML document"});
  } catch (const YAML::Exception& e) {
    const auto place = e.mark.is_null() ? TextPlace{} : TextPlace{e.mark.line + 1, e.mark.column + 1};
    file.problems.push_back({file.at(place), e.msg});
  }
}
#else
inline void read_yaml(const std::string&, ConfigFile& file) {
  file.problems.push_back({file.name, "this program was built without yaml-cpp and reads JSON only"});
}
#endif

}  // namespace options_detail

/// The entries of a JSON text. Limits: 1 MiB, 4 levels of groups. Problems carry name:line:column.
inline ConfigFile read_json_config(std::string_view text, std::string name) {
  ConfigFile file{.name = std::move(name)};
  options_detail::JsonConfigReader(text, file).read();
  return file;
}

/// The entries of a flat YAML text, key: value. Lists, groups, anchors and aliases are problems.
inline ConfigFile read_yaml_config(const std::string& text, std::string name) {
  ConfigFile file{.name = std::move(name)};
  if (!options_detail::is_text(text)) {
    file.problems.push_back({file.name, "is not UTF-8 text"});
  } else {
    options_detail::read_yaml(text, file);
  }
  return file;
}

/// Reads a file by its ending: .json, .yaml or .yml. Never throws for what a file contains.
inline ConfigFile read_config(const std::string& path) {
  ConfigFile file{.name = path};
  const auto ending = std::filesystem::path(path).extension();
  const bool yaml = ending == ".yaml" || ending == ".yml";
  const auto refuse = [&](std::string why) {
    file.problems.push_back({path, std::move(why)});
    return file;
  };
  if (!yaml && ending != ".json") return refuse("a configuration file ends in .json, .yaml or .yml");
  if (std::filesystem::is_directory(path)) return refuse("is a folder, not a configuration file");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return refuse(str("cannot be read: {}", std::strerror(errno)));
  std::string text(max_config_bytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > max_config_bytes) return refuse("is larger than 1 MiB");
  return yaml ? read_yaml_config(text, path) : read_json_config(text, path);
}

}  // namespace dino::inline DINO_ABI
