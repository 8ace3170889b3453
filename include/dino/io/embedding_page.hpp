// Points of the plane, each an image, as one HTML page that needs nothing else.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/embedding_page_script.hpp>
#include <dino/io/html.hpp>
#include <dino/io/palette.hpp>

#include <span>
#include <vector>

namespace dino::inline DINO_ABI {

struct EmbeddingPage {
  std::string title;
  std::vector<std::string> facts;    // a line each, below the title
  std::vector<float> points;         // (n,2)
  std::vector<i64> labels;           // (n); -1: none
  std::vector<std::string> names;    // (n), of the images
  std::vector<std::string> classes;  // by label; empty: one colour and no legend

  /// Thumbnails of the first images, side x side pixels, row by row in sheets of columns x columns, each a PNG or JPEG
  /// file. None: 0 thumbnails.
  i64 thumbnails = 0, side = 32, columns = 50;
  std::vector<std::vector<u8>> sheets = {};
};

namespace detail {

/// JSON inside <script>: nothing in it can end the element or begin a comment.
inline std::string script_json(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else if (c == '>')
      out += "\\u003e";
    else if (c == '&')
      out += "\\u0026";
    else
      out += c;
  }
  return out;
}

/// [f(0),f(1),...]
template <class F> std::string json_list(size_t n, const F& f) {
  std::string out = "[";
  for (size_t i = 0; i < n; ++i) {
    if (i > 0) out += ',';
    out += f(i);
  }
  return out + ']';
}

inline std::string data_uri(std::span<const u8> file) {
  const bool jpeg = file.size() > 2 && file[0] == 0xff && file[1] == 0xd8;
  return std::string("data:image/") + (jpeg ? "jpeg" : "png") + ";base64," + base64(file);
}

inline void check_page(const EmbeddingPage& p) {
  const auto n = static_cast<i64>(p.labels.size()), classes = static_cast<i64>(p.classes.size());
  require(static_cast<i64>(p.points.size()) == 2 * n && static_cast<i64>(p.names.size()) == n,
          "embedding_page: {} labels, {} coordinates, {} names", n, p.points.size(), p.names.size());
  for (const float v : p.points) require(std::isfinite(v), "embedding_page: a coordinate is not finite");
  for (const i64 label : p.labels)
    require(label >= -1 && label < std::max<i64>(classes, 1), "embedding_page: label {} of {} classes", label, classes);
  const i64 each = p.columns * p.columns;
  require(p.side >= 1 && p.columns >= 1 && p.thumbnails >= 0 && p.thumbnails <= n &&
              static_cast<i64>(p.sheets.size()) == (p.thumbnails + each - 1) / each,
          "embedding_page: {} thumbnails of {} images in {} sheets of {}", p.thumbnails, n, p.sheets.size(), each);
}

/// Six digits: a thousandth of a pixel.
inline std::string coordinate(float v) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, v, std::chars_format::general, 6).ptr};
}

inline std::string embedding_json(const EmbeddingPage& p) {
  const size_t n = p.labels.size();
  const bool classes = !p.classes.empty();
  const auto colors = class_colors(static_cast<i64>(p.classes.size()));
  return "{\"x\":" + json_list(n, [&](size_t i) { return coordinate(p.points[2 * i]); }) +
         ",\"y\":" + json_list(n, [&](size_t i) { return coordinate(p.points[2 * i + 1]); }) +
         ",\"labels\":" + json_list(n, [&](size_t i) { return std::to_string(classes ? p.labels[i] : -1); }) +
         ",\"names\":" + json_list(n, [&](size_t i) { return json_text(p.names[i]); }) +
         ",\"classes\":" + json_list(p.classes.size(), [&](size_t i) { return json_text(p.classes[i]); }) +
         ",\"colors\":" + json_list(p.classes.size(), [&](size_t i) { return json_text(hex_color(colors[i])); }) +
         ",\"thumbnails\":" + std::to_string(p.thumbnails) + ",\"side\":" + std::to_string(p.side) +
         ",\"columns\":" + std::to_string(p.columns) +
         ",\"sheets\":" + json_list(p.sheets.size(), [&](size_t i) { return json_text(data_uri(p.sheets[i])); }) + "}";
}

}  // namespace detail

/// The page: points on a canvas in the colours of their classes; a legend whose buttons turn classes off and on (double
/// click: that class alone); thumbnail, class and name under the pointer; wheel, pinch, drag, arrows, + and - move the
/// picture and 0 puts it back; a search for names. Light and dark, readable at a width of 375 pixels. It asks for
/// nothing outside itself, and no name can leave the text it stands in. 10,000 points without thumbnails are 0.4 MB;
/// thumbnails add 4/3 of their files. State for tests: window.dinoEmbed. Throws Error(internal) when sizes do not fit
/// or a coordinate is not finite.
inline std::string embedding_page(const EmbeddingPage& page) {
  detail::check_page(page);
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'; img-src data:\"/>\n" +
      element("title", page.title) + "\n<style>\n" + std::string(detail::embedding_style) +
      "</style></head>\n<body>\n" + element("h1", page.title) + "\n";
  for (const auto& fact : page.facts) out += element("p", fact, "soft") + "\n";
  out +=
      "<div id=\"tools\"><input id=\"search\" type=\"search\" placeholder=\"Search names\" aria-label=\"Search names "
      "and "
      "classes\" autocomplete=\"off\"/>\n"
      "<button id=\"in\" type=\"button\" aria-label=\"Zoom in\">+</button>"
      "<button id=\"out\" type=\"button\" aria-label=\"Zoom out\">\xe2\x88\x92</button>\n"
      "<button id=\"reset\" type=\"button\">Reset view</button>"
      "<button id=\"all\" type=\"button\">All classes</button>\n<output id=\"found\"></output></div>\n"
      "<main><div id=\"field\"><canvas id=\"plot\" tabindex=\"0\" role=\"img\" aria-label=\"" +
      escape(page.title) +
      "\"></canvas>\n"
      "<div id=\"tip\" aria-live=\"polite\"><canvas></canvas><div><b id=\"tip-class\"></b><span id=\"tip-name\"></span>"
      "</div></div></div>\n<div id=\"legend\"" +
      std::string(page.classes.empty() ? " hidden=\"\"" : "") + "></div></main>\n";
  if (page.thumbnails > 0 && page.thumbnails < static_cast<i64>(page.labels.size()))
    out += element("p",
                   "Thumbnails: of " + std::to_string(page.thumbnails) + " of " + std::to_string(page.labels.size()) +
                       " images, so that the page stays small.",
                   "soft") +
           "\n";
  out += "<script id=\"data\" type=\"application/json\">" + detail::script_json(detail::embedding_json(page)) +
         "</script>\n<script>\n" + std::string(detail::embedding_script) + "</script>\n</body></html>\n";
  return out;
}

}  // namespace dino::inline DINO_ABI
