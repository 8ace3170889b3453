#include <dino/io/embedding_page_script.hpp>

#include "support/catch.hpp"

#include <string>

using namespace dino;

namespace {

/// The brackets that are still open at the end, outside of strings and comments; a closing one that fits nothing.
std::string open_brackets(std::string_view code) {
  std::string open;
  char quote = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (quote != 0) {
      if (c == '\\')
        ++i;
      else if (c == '$' && quote == '`' && code[i + 1] == '{')
        open += '`', quote = 0, open += '{', ++i;
      else if (c == quote)
        quote = 0;
    } else if (c == '/' && code[i + 1] == '/') {
      i = code.find('\n', i);
    } else if (c == '\'' || c == '"' || c == '`') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      open += c;
    } else if (c == ')' || c == ']' || c == '}') {
      const char other = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (open.empty() || open.back() != other) return open + c;
      open.pop_back();
      if (!open.empty() && open.back() == '`') open.pop_back(), quote = '`';
    }
  }
  return open + (quote != 0 ? "quote" : "");
}

}  // namespace

TEST_CASE("embedding_page_script: brackets and quotes are closed", "[io]") {
  CHECK(open_brackets("f(`a ${b({c: '['})} (`)") == "");
  CHECK(open_brackets("f(`a`") == "(");
  CHECK(open_brackets(detail::embedding_script) == "");
  CHECK(open_brackets(detail::embedding_style) == "");
}

TEST_CASE("embedding_page_script: may stand in a page, and runs no text as code or markup", "[io]") {
  for (const std::string_view text : {detail::embedding_script, detail::embedding_style}) {
    for (const std::string_view word : {"</", "<!--", "http", "import", "eval", "Function(", "innerHTML", "fetch",
                                        "XMLHttpRequest", "document.write", "insertAdjacentHTML", "url("}) {
      INFO(word);
      CHECK(text.find(word) == std::string_view::npos);
    }
  }
}
