#include "pictures.hpp"

#include <dino/data/eval_transform.hpp>
#include <dino/eval/classification.hpp>
#include <dino/io/draw.hpp>
#include <dino/io/embedding_page.hpp>
#include <dino/io/file.hpp>
#include <dino/io/image_jpeg_write.hpp>
#include <dino/io/image_write.hpp>
#include <dino/io/palette.hpp>
#include <dino/io/scatter_chart.hpp>

#include <limits>

namespace programs {

using dino::i64;
using dino::str;

namespace {

constexpr i64 legend_names = 20;  // more classes have no legend in still pictures

std::string csv(const Embedded& e) {
  std::string out = "index,name,label,class,x,y\n";
  for (size_t i = 0; i < e.index.size(); ++i) {
    const i64 label = e.labels[i];
    const auto& name = label >= 0 && !e.classes.empty() ? e.classes[static_cast<size_t>(label)] : "";
    out += str("{},{},{},{},{},{}\n", e.index[i], dino::detail::csv_cell(e.images.name(e.index[i])), label,
               dino::detail::csv_cell(name), dino::number_text(static_cast<double>(e.points[2 * i])),
               dino::number_text(static_cast<double>(e.points[2 * i + 1])));
  }
  return out;
}

struct Bounds {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(float v) {
    low = std::min(low, static_cast<double>(v));
    high = std::max(high, static_cast<double>(v));
  }
  double middle() const { return (low + high) / 2; }
  double span() const { return std::max(high - low, 1e-30); }
};

/// Points on white in a frame as high as they ask for, the legend at its right.
dino::Image scatter_image(const Embedded& e) {
  constexpr i64 width = 1160, edge = 20, head = 60, foot = 44, inside = 30;
  constexpr dino::Colour ink{34, 34, 34}, soft{110, 114, 120}, line{213, 216, 220}, none{136, 136, 136};
  Bounds across, up;
  for (size_t i = 0; i < e.points.size(); ++i) (i % 2 == 0 ? across : up).add(e.points[i]);
  const i64 height = std::llround(width * std::clamp(up.span() / across.span(), 0.5, 1.1));
  const auto classes = static_cast<i64>(e.classes.size());
  const bool legend = classes > 0 && classes <= legend_names;
  i64 widest = 0;
  for (const auto& name : e.classes) widest = std::max(widest, dino::bitmap_text_length(name, 2));
  dino::Image image(width + 2 * edge + (legend ? std::min<i64>(widest, 500) + 50 : 0), head + height + foot);
  std::fill(image.pixels.begin(), image.pixels.end(), dino::u8{255});
  dino::draw_text(image, edge, 24, e.title, ink, 2);
  dino::draw_frame(image, edge, head, width, height, 1, line);
  if (!e.facts.empty()) dino::draw_text(image, edge, head + height + 16, e.facts.back(), soft, 2);
  const double scale =
      std::min((width - 2 * inside) / across.span(), (static_cast<double>(height) - 2 * inside) / up.span());
  const double radius = std::clamp(0.19 * width / std::sqrt(static_cast<double>(e.index.size())), 2.2, 7.0);
  const auto colors = dino::class_colors(std::max<i64>(classes, 1));
  for (size_t i = 0; i < e.index.size(); ++i) {
    const double x = edge + width / 2.0 + (static_cast<double>(e.points[2 * i]) - across.middle()) * scale;
    const double y =
        head + static_cast<double>(height) / 2 - (static_cast<double>(e.points[2 * i + 1]) - up.middle()) * scale;
    const i64 label = classes == 0 ? 0 : e.labels[i];
    dino::fill_circle(image, x, y, radius, label < 0 ? none : colors[static_cast<size_t>(label)], 0.85);
  }
  for (i64 c = 0; legend && c < classes; ++c) {
    const i64 x = width + edge + 24, y = head + 14 + 34 * c;
    dino::fill_circle(image, static_cast<double>(x), static_cast<double>(y) + 7, 8, colors[static_cast<size_t>(c)]);
    dino::draw_text(image, x + 18, y, e.classes[static_cast<size_t>(c)], ink, 2);
  }
  return image;
}

dino::ScatterChart chart(const Embedded& e) {
  dino::ScatterChart out{.title = e.title, .equal_aspect = true, .ticks = false};
  for (size_t i = 0; i < e.index.size(); ++i) {
    out.x.push_back(static_cast<double>(e.points[2 * i]));
    out.y.push_back(static_cast<double>(e.points[2 * i + 1]));
  }
  if (!e.classes.empty()) out.classes = e.labels;
  if (static_cast<i64>(e.classes.size()) <= legend_names) out.names = e.classes;
  return out;
}

#if DINO_HAS_TURBOJPEG
constexpr i64 most_thumbnails = 20000;  // about 9 MB at 32 x 32
std::vector<dino::u8> sheet_file(const dino::Image& sheet) { return dino::encode_jpeg(sheet, 75); }
#else
constexpr i64 most_thumbnails = 2500;  // about 8 MB at 32 x 32
std::vector<dino::u8> sheet_file(const dino::Image& sheet) { return dino::encode_png(sheet); }
#endif

/// Thumbnails of the first images, read with all threads; one that cannot be read stays grey.
void add_thumbnails(dino::HostContext& host, const Embedded& e, dino::EmbeddingPage& page) {
  const auto n = static_cast<i64>(e.index.size());
  page.thumbnails = std::min(n, most_thumbnails);
  page.side = n <= 2500 && e.image_size > 32 ? 64 : 32;
  page.columns = n <= 2500 ? 25 : 50;
  const dino::EvalTransform transform{.size = page.side};
  for (i64 first = 0; first < page.thumbnails; first += page.columns * page.columns) {
    const i64 count = std::min(page.columns * page.columns, page.thumbnails - first);
    dino::Image sheet(page.columns * page.side, (count + page.columns - 1) / page.columns * page.side);
    std::fill(sheet.pixels.begin(), sheet.pixels.end(), dino::u8{128});
    host.threads().run(count, [&](i64 i) {
      try {
        const auto sample = e.images.get(e.index[static_cast<size_t>(first + i)]);
        dino::paste(sheet, transform.crop_image(sample.image), i % page.columns * page.side,
                    i / page.columns * page.side);
      } catch (const dino::Error& error) {
        if (error.kind() != dino::ErrorKind::data) throw;
      }
    });
    page.sheets.push_back(sheet_file(sheet));
  }
}

}  // namespace

void write_pictures(dino::HostContext& host, const Embedded& e, const std::filesystem::path& stem) {
  const auto file = [&](const char* extension) { return std::filesystem::path(stem.string() + extension); };
  dino::write_file_atomic(file(".csv"), csv(e));
  dino::write_png(file(".png"), scatter_image(e));
  dino::write_file_atomic(file(".svg"), dino::svg_file(chart(e)));
  dino::EmbeddingPage page{
      .title = e.title, .facts = e.facts, .points = e.points, .labels = e.labels, .names = {}, .classes = e.classes};
  for (const i64 i : e.index) page.names.push_back(e.images.name(i));
  add_thumbnails(host, e, page);
  dino::write_file_atomic(file(".html"), dino::embedding_page(page));
}

}  // namespace programs
