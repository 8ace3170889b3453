// A confusion matrix as a picture, and the files of a classifier's figures.
#pragma once

#include <dino/eval/classification.hpp>
#include <dino/io/bitmap_text.hpp>
#include <dino/io/file.hpp>
#include <dino/io/image_write.hpp>

#include <filesystem>

namespace dino::inline DINO_ABI {

namespace detail {

inline constexpr Colour ink{40, 40, 40}, paper{255, 255, 255}, absent{232, 232, 232};

/// White through light to dark blue, for a share in [0, 1].
inline Colour share_colour(double share) {
  constexpr std::array<Colour, 4> stops{{{255, 255, 255}, {170, 206, 232}, {66, 135, 196}, {8, 48, 107}}};
  const double at = std::clamp(share, 0.0, 1.0) * 3;
  const auto i = std::min<size_t>(static_cast<size_t>(at), 2);
  Colour out{};
  for (size_t k = 0; k < 3; ++k) {
    const double low = stops[i][k], high = stops[i + 1][k];
    out[k] = static_cast<u8>(std::lround(low + (high - low) * (at - static_cast<double>(i))));
  }
  return out;
}

/// At most `limit` characters, the last one a point where some are missing.
inline std::string shortened(const std::string& name, size_t limit) {
  std::string out;
  size_t count = 0;
  for (const char c : name) {
    if (begins_character(c) && ++count > limit) return out.substr(0, out.find_last_not_of(' ') + 1) + '.';
    out += c;
  }
  return out;
}

/// Where everything stands: a square of cells, names to its left and above it.
struct ConfusionLayout {
  i64 cell, scale, gap;     // pixels; of the letters; between cells
  bool numbers, names;      // inside the cells; of the classes
  i64 left = 24, top = 24;  // corner of the cells

  explicit ConfusionLayout(i64 classes)
      : cell(classes <= 16    ? 40
             : classes <= 40  ? 20
             : classes <= 120 ? 9
                              : std::max<i64>(1, 1200 / classes)),
        scale(classes <= 16 ? 2 : 1),
        gap(classes <= 40 ? 1 : 0),
        numbers(classes <= 40),
        names(classes <= 120) {}
};

class ConfusionPainter {
 public:
  ConfusionPainter(const ClassificationMetrics& m, const std::vector<std::string>& names)
      : m_(m), at_(m.classes()), side_(m.classes() * at_.cell) {
    for (const auto& name : names) names_.push_back(shortened(name, 20));
    i64 longest = 0;
    for (const auto& name : names_) longest = std::max(longest, bitmap_text_length(name, at_.scale));
    if (!at_.names) longest = 0;
    at_.left = at_.top = longest + 20 + 9 * at_.scale;
    image_ = Image(std::max<i64>(at_.left + side_ + 20, 360), at_.top + side_ + 64);
    fill_rectangle(image_, 0, 0, image_.width, image_.height, paper);
  }

  Image draw() {
    for (i64 truth = 0; truth < m_.classes(); ++truth) row(truth);
    frame();
    if (at_.names) class_names();
    const i64 s = at_.scale;
    draw_text(image_, at_.left, 6, "prediction", ink, s);
    draw_text(image_, 6, at_.top + bitmap_text_length("truth", s), "truth", ink, s, TextDirection::up);
    scale_bar();
    return std::move(image_);
  }

 private:
  void row(i64 truth) {
    const i64 images = m_.images_of(truth);
    for (i64 predicted = 0; predicted < m_.classes(); ++predicted) {
      const i64 x = at_.left + predicted * at_.cell, y = at_.top + truth * at_.cell,
                count = m_.confusion(truth, predicted);
      const double share = images > 0 ? static_cast<double>(count) / static_cast<double>(images) : 0;
      fill_rectangle(image_, x, y, at_.cell - at_.gap, at_.cell - at_.gap, images > 0 ? share_colour(share) : absent);
      if (!at_.numbers || count == 0) continue;
      const auto text = std::to_string(std::lround(100 * share));
      draw_text(image_, x + (at_.cell - bitmap_text_length(text, at_.scale)) / 2, y + (at_.cell - 7 * at_.scale) / 2,
                text, share > 0.45 ? paper : ink, at_.scale);
    }
  }

  void frame() {
    const i64 x = at_.left - 1, y = at_.top - 1, n = side_ + 2 - at_.gap;
    for (const i64 far : {i64{0}, n - 1}) {
      fill_rectangle(image_, x + far, y, 1, n, ink);
      fill_rectangle(image_, x, y + far, n, 1, ink);
    }
  }

  void class_names() {
    for (i64 c = 0; c < m_.classes(); ++c) {
      const auto& name = names_[static_cast<size_t>(c)];
      const i64 middle = c * at_.cell + (at_.cell - 7 * at_.scale) / 2;
      draw_text(image_, at_.left - 6 - bitmap_text_length(name, at_.scale), at_.top + middle, name, ink, at_.scale);
      draw_text(image_, at_.left + middle, at_.top - 7, name, ink, at_.scale, TextDirection::up);
    }
  }

  /// What the colours mean, and the accuracy over all images.
  void scale_bar() {
    const i64 y = at_.top + side_ + 12, width = 160;
    draw_text(image_, 10, y + 2, "0", ink, 2);
    for (i64 i = 0; i < width; ++i)
      fill_rectangle(image_, 28 + i, y, 1, 18, share_colour(static_cast<double>(i) / static_cast<double>(width - 1)));
    draw_text(image_, 34 + width, y + 2, "100 % of a class", ink, 2 - (image_.width < 420));
    const auto accuracy = m_.images() > 0 ? number_text(std::round(100 * m_.top1()) / 100) : std::string("-");
    draw_text(image_, 10, y + 28, str("top-1 {} %, {} images", accuracy, m_.images()), ink, 2);
  }

  const ClassificationMetrics& m_;
  ConfusionLayout at_;
  i64 side_;
  std::vector<std::string> names_;
  Image image_;
};

}  // namespace detail

/// The matrix as a heat map: a row per true class, each cell coloured by its share of the images of that class, in
/// numbers up to 40 classes (per cent, rounded; nothing where no image is), with the names up to 120. Classes without
/// images are grey.
inline Image confusion_image(const ClassificationMetrics& m, const std::vector<std::string>& names) {
  detail::check_class_names(m, names);
  return detail::ConfusionPainter(m, names).draw();
}

/// Writes confusion.csv, confusion.png and class_accuracy.csv into a folder that exists.
inline void write_classification(const std::filesystem::path& folder, const ClassificationMetrics& m,
                                 const std::vector<std::string>& names) {
  write_file_atomic(folder / "confusion.csv", confusion_csv(m, names));
  write_file_atomic(folder / "class_accuracy.csv", class_accuracy_csv(m, names));
  write_file_atomic(folder / "confusion.png", std::span<const u8>(encode_png(confusion_image(m, names))));
}

}  // namespace dino::inline DINO_ABI
