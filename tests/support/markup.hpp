// Questions about generated text and markup.
#pragma once

#include <string>
#include <string_view>
#include <vector>

inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline long count(const std::string& text, std::string_view part) {
  long n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

/// The first tag that is not closed, or closes nothing; empty when the markup is balanced and has no stray bracket.
inline std::string unbalanced(const std::string& text) {
  std::vector<std::string> open;
  for (std::size_t at = text.find_first_of("<>"); at != std::string::npos; at = text.find_first_of("<>", at)) {
    const auto end = text.find('>', at);
    if (text[at] == '>' || end == std::string::npos) return "stray bracket at " + std::to_string(at);
    const std::string tag = text.substr(at + 1, end - at - 1), name = tag.substr(0, tag.find_first_of(" /\n", 1));
    at = end + 1;
    if (tag.find('<') != std::string::npos) return tag;
    if (tag[0] == '/') {
      if (open.empty() || "/" + open.back() != tag) return tag;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : open.back();
}
