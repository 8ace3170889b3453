// Text, markup and pictures inside HTML and SVG.
#pragma once

#include <dino/base/types.hpp>
#include <dino/io/record.hpp>

#include <span>
#include <string>
#include <string_view>

namespace dino::inline DINO_ABI {

/// The text with & < > " ' as entities, fit for content and for quoted attributes. Bytes that are not UTF-8, and
/// control characters, which XML forbids, become U+FFFD.
inline std::string escape(std::string_view text) {
  std::string out;
  for (const char c : clean_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
      out += "\xef\xbf\xbd";
    } else {
      out += c;
    }
  }
  return out;
}

/// <tag class="...">text</tag>; the text is escaped.
inline std::string element(std::string_view tag, std::string_view text, std::string_view css_class = "") {
  const std::string name(tag), attribute = css_class.empty() ? "" : " class=\"" + escape(css_class) + "\"";
  return "<" + name + attribute + ">" + escape(text) + "</" + name + ">";
}

/// RFC 4648, with padding.
inline std::string base64(std::span<const u8> bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(bytes.size() - i, 3);
    u32 group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? bytes[i + k] : u32{0});
    for (size_t k = 0; k < 4; ++k) out += k <= left ? digits[group >> (18 - 6 * k) & 63u] : '=';
  }
  return out;
}

/// A picture that travels inside the page. width and height are those of the file: the page keeps its place before the
/// picture is decoded. Empty when the bytes are not a PNG.
inline std::string embedded_png(std::span<const u8> png, std::string_view description) {
  constexpr std::string_view signature = "\x89PNG\r\n\x1a\n";
  const std::string_view bytes(reinterpret_cast<const char*>(png.data()), png.size());
  if (bytes.size() < 33 || !bytes.starts_with(signature) || bytes.substr(12, 4) != "IHDR") return "";
  const auto side = [&](size_t at) {
    u32 value = 0;
    for (size_t k = 0; k < 4; ++k) value = value << 8 | png[at + k];
    return std::to_string(value);
  };
  return "<img width=\"" + side(16) + "\" height=\"" + side(20) + "\" alt=\"" + escape(description) +
         "\" src=\"data:image/png;base64," + base64(png) + "\"/>";
}

}  // namespace dino::inline DINO_ABI
