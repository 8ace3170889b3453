// Queries with their nearest images as one HTML page that needs nothing else.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/html.hpp>

#include <cmath>
#include <vector>

namespace dino::inline DINO_ABI {

/// An image on the page. file: its thumbnail, PNG or JPEG; anything else, or nothing, becomes a place holder.
struct ShownImage {
  std::string name;
  i64 label = -1;  // -1: none
  std::vector<u8> file{};
};

struct ShownNeighbour {
  ShownImage image;
  double similarity = 0;
};

struct ShownQuery {
  ShownImage image;
  i64 predicted = -1;                     // -1: nothing was predicted
  double confidence = 0;                  // the share of the votes for it, 0..1
  std::vector<ShownNeighbour> nearest{};  // nearest first

  bool labelled() const { return image.label >= 0 && predicted >= 0; }
  bool right() const { return labelled() && image.label == predicted; }
};

struct NeighboursPage {
  std::string title;
  std::vector<std::string> facts;    // a line each, below the title
  std::vector<std::string> classes;  // by label
  std::vector<ShownQuery> queries;
};

namespace detail {

inline constexpr std::string_view tick = "\xe2\x9c\x93 ", cross = "\xe2\x9c\x97 ";

inline std::string neighbours_style() {
  return R"(:root{color-scheme:light dark;
  --paper:#fff;--ink:#222;--soft:#5c6066;--edge:#d5d8dc;--tile:#f5f6f8;--right:#00735a;--wrong:#c04a00}
@media (prefers-color-scheme:dark){:root{
  --paper:#17191c;--ink:#e4e4e4;--soft:#a0a4aa;--edge:#3a3f45;--tile:#202429;--right:#35c79b;--wrong:#ff8f4a}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0 auto;padding:16px;max-width:1180px;background:var(--paper);color:var(--ink);
  font:16px/1.4 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.5rem;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:.95rem;font-weight:400;color:var(--soft);margin:0 0 .2em;overflow-wrap:anywhere}
p{margin:.2em 0;overflow-wrap:anywhere}
.soft{color:var(--soft);font-size:.9rem}
form{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:8px;align-items:center;padding:10px 0;
  background:var(--paper);border-bottom:1px solid var(--edge)}
button,select{font:inherit;color:inherit;background:var(--tile);border:1px solid var(--edge);border-radius:6px;
  padding:.35em .7em;min-height:40px;max-width:100%}
button{cursor:pointer}
button[aria-pressed=true]{border-color:currentColor;font-weight:600}
:focus-visible{outline:2px solid currentColor;outline-offset:2px}
output{color:var(--soft);font-size:.9rem}
article{display:grid;grid-template-columns:minmax(220px,1fr) minmax(0,3fr);gap:14px;padding:14px 0;
  border-bottom:1px solid var(--edge);content-visibility:auto;contain-intrinsic-size:auto 170px}
.query{display:flex;gap:12px;min-width:0;align-items:flex-start}
.query div{min-width:0}
.query img,.query .none{width:96px;flex:none}
ol{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(68px,1fr));gap:8px}
li{min-width:0;font-size:.8rem;line-height:1.25}
li span{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
img,.none{display:block;width:100%;height:auto;aspect-ratio:1;object-fit:cover;border-radius:4px;
  background:var(--tile);border:3px solid var(--edge)}
.none{padding:4px;color:var(--soft);font-size:.75rem;overflow:hidden}
.right img,.right .none{border-color:var(--right)}
.wrong img,.wrong .none{border-color:var(--wrong);border-style:dashed}
.mark{font-weight:600;margin-top:2px}
.right .mark{color:var(--right)}
.wrong .mark{color:var(--wrong)}
@media (max-width:600px){
  article{grid-template-columns:minmax(0,1fr);contain-intrinsic-size:auto 320px}
  ol{grid-template-columns:repeat(5,minmax(0,1fr));gap:6px}
  li{font-size:.75rem}}
)";
}

/// Filters and sorts the articles; without it the page shows all of them, in their order.
inline std::string neighbours_script() {
  return R"("use strict";
const list = document.querySelector("main"), cards = Array.from(list.children);
const form = document.querySelector("form"), buttons = Array.from(form.querySelectorAll("button"));
const ofClass = form.querySelector("#class"), order = form.querySelector("#order");
const count = form.querySelector("output");
let verdict = "all";
function update() {
  let shown = 0;
  for (const card of cards) {
    const fits = (verdict === "all" || card.dataset.verdict === verdict) &&
      (ofClass.value === "all" || card.dataset.label === ofClass.value);
    card.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  for (const b of buttons) b.setAttribute("aria-pressed", b.value === verdict);
  count.textContent = shown + " of " + cards.length + " shown";
}
function sort() {
  const sign = order.value === "least" ? 1 : order.value === "most" ? -1 : 0;
  const sorted = cards.slice();
  if (sign) sorted.sort((a, b) => sign * (a.dataset.confidence - b.dataset.confidence));
  list.append(...sorted);
}
for (const b of buttons) b.addEventListener("click", () => { verdict = b.value; update(); });
ofClass.addEventListener("change", update);
order.addEventListener("change", sort);
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
update();
sort();
)";
}

class NeighboursWriter {
 public:
  explicit NeighboursWriter(const NeighboursPage& page) : page_(page), queries_of_(page.classes.size(), 0) {
    for (const auto& q : page.queries) {
      check(q.image.label, q.image.name);
      check(q.predicted, q.image.name);
      for (const auto& n : q.nearest) check(n.image.label, n.image.name);
      if (q.image.label >= 0) ++queries_of_[static_cast<size_t>(q.image.label)];
      if (q.labelled()) ++(q.right() ? right_ : wrong_);
    }
  }

  std::string html() {
    out_ =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; img-src data:\"/>\n" +
        element("title", page_.title) + "\n<style>\n" + neighbours_style() + "</style></head>\n<body>\n" +
        element("h1", page_.title) + "\n";
    for (const auto& fact : page_.facts) out_ += element("p", fact, "soft") + "\n";
    controls();
    out_ += "<main>\n";
    for (const auto& q : page_.queries) query(q);
    out_ += "</main>\n<script>\n" + neighbours_script() + "</script>\n</body></html>\n";
    return std::move(out_);
  }

 private:
  void check(i64 label, const std::string& name) const {
    require(label < static_cast<i64>(page_.classes.size()), "neighbours page: {} has label {}, there are {} classes",
            name, label, page_.classes.size());
  }

  const std::string& class_name(i64 label) const { return page_.classes[static_cast<size_t>(label)]; }

  static std::string mark(bool judged, bool right) { return std::string(!judged ? "" : right ? tick : cross); }

  static std::string option(const std::string& value, const std::string& text) {
    return "<option value=\"" + escape(value) + "\">" + escape(text) + "</option>";
  }

  void controls() {
    const auto button = [](const char* value, const std::string& text) {
      return str("<button type=\"button\" value=\"{}\">{}</button>\n", value, escape(text));
    };
    out_ += "<form hidden=\"\">\n" + button("all", str("All {}", page_.queries.size())) +
            button("right", str("{}Right {}", tick, right_)) + button("wrong", str("{}Wrong {}", cross, wrong_)) +
            "<select id=\"class\" aria-label=\"True class\">" + option("all", "All classes");
    for (size_t c = 0; c < queries_of_.size(); ++c)
      if (queries_of_[c] > 0) out_ += option(std::to_string(c), str("{} ({})", page_.classes[c], queries_of_[c]));
    out_ += "</select>\n<select id=\"order\" aria-label=\"Order\">" + option("drawn", "In the order of the data") +
            option("least", "Least certain first") + option("most", "Most certain first") +
            "</select>\n<output></output>\n</form>\n";
  }

  void picture(const ShownImage& image) {
    std::string tag = embedded_png(image.file, image.name);
    if (image.file.size() > 2 && image.file[0] == 0xff && image.file[1] == 0xd8)
      tag = "<img alt=\"" + escape(image.name) + "\" src=\"data:image/jpeg;base64," + base64(image.file) + "\"/>";
    out_ += tag.empty() ? element("div", "no picture", "none") : tag;
  }

  void query(const ShownQuery& q) {
    const char* const verdict = !q.labelled() ? "none" : q.right() ? "right" : "wrong";
    out_ += str("<article data-verdict=\"{}\" data-label=\"{}\" data-confidence=\"{}\">\n<div class=\"query {}\">",
                verdict, q.image.label, number_text(q.confidence), q.labelled() ? verdict : "");
    picture(q.image);
    out_ += "<div class=\"" + std::string(q.labelled() ? verdict : "") + "\">" + element("h2", q.image.name);
    if (q.image.label >= 0) out_ += "<p>is " + element("b", class_name(q.image.label)) + "</p>";
    if (q.predicted >= 0) {
      out_ += "<p>" + mark(q.labelled(), q.right()) + "predicted " + element("b", class_name(q.predicted)) +
              element("span", str(", {} % of the votes", std::lround(100 * q.confidence)), "soft") + "</p>";
    }
    out_ += "</div></div>\n<ol>\n";
    for (const auto& n : q.nearest) neighbour(n, q.image.label);
    out_ += "</ol>\n</article>\n";
  }

  void neighbour(const ShownNeighbour& n, i64 label) {
    const bool judged = n.image.label >= 0 && label >= 0, right = n.image.label == label;
    const std::string name = n.image.label >= 0 ? class_name(n.image.label) : "";
    out_ += str("<li class=\"{}\" title=\"{}\">", judged ? right ? "right" : "wrong" : "",
                escape(name.empty() ? n.image.name : n.image.name + ", " + name));
    picture(n.image);
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, n.similarity, std::chars_format::fixed, 3).ptr;
    out_ += element("span", mark(judged, right) + std::string(text, end), "mark") + element("span", name) + "</li>\n";
  }

  const NeighboursPage& page_;
  std::vector<i64> queries_of_;  // each class
  i64 right_ = 0, wrong_ = 0;
  std::string out_;
};

}  // namespace detail

/// The page: each query with its thumbnail, name, class and prediction, and its nearest images with their similarity;
/// what has the query's class stands in a solid frame with a tick, what has another in a dashed one with a cross. The
/// visitor chooses all, right or wrong ones and a class, and sorts by confidence. Light and dark, readable at a width
/// of 375 pixels; it asks for nothing outside itself, and no name can leave the text it stands in. About 1.4 bytes for
/// each byte of the thumbnails. Throws Error(internal) when a label has no class.
inline std::string neighbours_page(const NeighboursPage& page) { return detail::NeighboursWriter(page).html(); }

}  // namespace dino::inline DINO_ABI
