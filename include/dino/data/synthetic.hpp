// Labelled pictures drawn in memory, ten classes of shapes and textures: training and tests without a download.
#pragma once

#include <dino/base/philox.hpp>
#include <dino/data/dataset.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

enum class Split { train, test };

namespace detail {

using Rgb = std::array<float, 3>;

/// Draws one picture into a float canvas. All lengths are in pixels and scale with the side.
/// An image has one polarity (dark marks on light ground, or the reverse): without it the outputs of an untrained head
/// hardly depend on the image, and training tends to a uniform output.
class SyntheticPainter {
 public:
  SyntheticPainter(RngKey key, i64 index, i64 side)
      : rng_(key, static_cast<u64>(index)),
        side_(side),
        s_(static_cast<float>(side)),
        scale_(s_ / 32.0f),
        canvas_(static_cast<size_t>(side * side)) {}

  Image paint(i64 label) {
    light_marks_ = (rng_.bits() >> 31) != 0;
    std::array<Rgb, 4> ground{}, mark{};  // corners: top left, top right, bottom left, bottom right
    for (size_t corner = 0; corner < 4; ++corner) {
      ground[corner] = colour(!light_marks_);
      mark[corner] = colour(light_marks_);
    }
    for (i64 y = 0; y < side_; ++y) {
      for (i64 x = 0; x < side_; ++x) at(x, y) = blend(ground, x, y);
    }
    const float angle = between(0.0f, two_pi);
    cos_ = std::cos(angle);
    sin_ = std::sin(angle);
    if (label < 6) {
      paint_scatter(label);
    } else {
      paint_field(label, mark);
    }
    return to_bytes();
  }

 private:
  static constexpr float two_pi = 6.28318530717958648f;
  static constexpr float noise = 0.04f * 2.45f;  // the sum of two uniform numbers has deviation 1 / 2.45

  float between(float low, float high) { return low + (high - low) * rng_.uniform(); }

  Rgb colour(bool light) {
    const float low = light ? 0.55f : 0.0f;
    Rgb c{};
    for (float& channel : c) channel = between(low, low + 0.45f);
    return c;
  }

  Rgb& at(i64 x, i64 y) { return canvas_[static_cast<size_t>(y * side_ + x)]; }

  Rgb blend(const std::array<Rgb, 4>& corner, i64 x, i64 y) const {
    const float right = (static_cast<float>(x) + 0.5f) / s_, down = (static_cast<float>(y) + 0.5f) / s_;
    Rgb c{};
    for (size_t k = 0; k < 3; ++k) {
      const float top = corner[0][k] + right * (corner[1][k] - corner[0][k]);
      const float bottom = corner[2][k] + right * (corner[3][k] - corner[2][k]);
      c[k] = top + down * (bottom - top);
    }
    return c;
  }

  static void cover(Rgb& pixel, const Rgb& paint, float coverage) {
    for (size_t k = 0; k < 3; ++k) pixel[k] += coverage * (paint[k] - pixel[k]);
  }

  /// |fr(x) - 0.5| with fr(x) = x - floor(x): a triangle wave in [0, 0.5].
  static float wave(float x) { return std::fabs(x - std::floor(x) - 0.5f); }

  /// Signed distances in units of the period, below zero inside: stripes, zigzag, rings, grid.
  static float field(i64 label, float u, float v) {
    switch (label) {
      case 6:
        return wave(u) - 0.25f;
      case 7:
        return 0.75f * (wave(u + 0.9f * wave(0.7f * v)) - 0.25f);
      case 8:
        return wave(std::sqrt(u * u + v * v)) - 0.25f;
      default:
        return std::min(wave(u), wave(v)) - 0.14f;
    }
  }

  void paint_field(i64 label, const std::array<Rgb, 4>& mark) {
    const float period = between(5.0f, 9.0f) * scale_;
    const float ox = between(0.0f, s_), oy = between(0.0f, s_);
    for (i64 y = 0; y < side_; ++y) {
      for (i64 x = 0; x < side_; ++x) {
        const float dx = static_cast<float>(x) + 0.5f - ox, dy = static_cast<float>(y) + 0.5f - oy;
        const float u = (cos_ * dx - sin_ * dy) / period, v = (sin_ * dx + cos_ * dy) / period;
        const float coverage = std::clamp(0.5f - field(label, u, v) * period, 0.0f, 1.0f);
        if (coverage > 0.0f) cover(at(x, y), blend(mark, x, y), coverage);
      }
    }
  }

  /// Signed distances in units of the radius, below zero inside: disk, ring, bar, plus, crescent, triangle.
  static float shape(i64 label, float x, float y) {
    const float ax = std::fabs(x), ay = std::fabs(y);
    const auto radius = [&] { return std::sqrt(x * x + y * y); };
    switch (label) {
      case 0:
        return radius() - 0.9f;
      case 1:
        return std::fabs(radius() - 0.72f) - 0.24f;
      case 2:
        return std::max(ax - 1.15f, ay - 0.28f);
      case 3:
        return std::min(std::max(ax - 1.0f, ay - 0.28f), std::max(ax - 0.28f, ay - 1.0f));
      case 4:
        return std::max(radius() - 1.0f, 0.72f - std::sqrt((x - 0.5f) * (x - 0.5f) + y * y));
      default:
        return std::max(y - 0.55f, 0.866f * ax - 0.5f * y - 0.55f);
    }
  }

  /// Marks on a jittered lattice, turned about the centre of the picture and painted in order.
  void paint_scatter(i64 label) {
    const float radius = between(3.5f, 5.5f) * scale_;
    const float cell = 2.35f * radius;
    const float ox = between(0.0f, cell), oy = between(0.0f, cell);
    const i64 reach = static_cast<i64>(0.75f * s_ / cell) + 2;
    for (i64 gy = -reach; gy <= reach; ++gy) {
      for (i64 gx = -reach; gx <= reach; ++gx) {
        const float px = static_cast<float>(gx) * cell + ox + between(-0.12f, 0.12f) * cell;
        const float py = static_cast<float>(gy) * cell + oy + between(-0.12f, 0.12f) * cell;
        const float r = radius * between(0.8f, 1.1f);
        const float turn = between(0.0f, two_pi);
        const Rgb paint = colour(light_marks_);
        paint_mark(label, 0.5f * s_ + cos_ * px - sin_ * py, 0.5f * s_ + sin_ * px + cos_ * py, r, turn, paint);
      }
    }
  }

  void paint_mark(i64 label, float cx, float cy, float r, float turn, const Rgb& paint) {
    const float half = 1.25f * r + 1.0f;  // of the box that holds the mark
    const auto inside = [this](float p) { return static_cast<i64>(std::clamp(std::floor(p), 0.0f, s_)); };
    const i64 x0 = inside(cx - half), x1 = inside(cx + half + 1.0f);
    const i64 y0 = inside(cy - half), y1 = inside(cy + half + 1.0f);
    if (x0 >= x1 || y0 >= y1) return;
    const float c = std::cos(turn) / r, s = std::sin(turn) / r;
    for (i64 y = y0; y < y1; ++y) {
      for (i64 x = x0; x < x1; ++x) {
        const float dx = static_cast<float>(x) + 0.5f - cx, dy = static_cast<float>(y) + 0.5f - cy;
        const float coverage = std::clamp(0.5f - shape(label, c * dx - s * dy, s * dx + c * dy) * r, 0.0f, 1.0f);
        if (coverage > 0.0f) cover(at(x, y), paint, coverage);
      }
    }
  }

  Image to_bytes() {
    Image image(side_, side_);
    u8* out = image.pixels.data();
    for (const Rgb& pixel : canvas_) {
      for (const float value : pixel) {
        const float first = rng_.uniform();
        const float n = noise * (first + rng_.uniform() - 1.0f);
        *out++ = static_cast<u8>(std::clamp((value + n) * 255.0f + 0.5f, 0.0f, 255.0f));
      }
    }
    return image;
  }

  RngStream rng_;
  i64 side_;
  float s_, scale_;  // side; pixels per 1/32 of the side
  float cos_ = 1.0f, sin_ = 0.0f;
  bool light_marks_ = false;
  std::vector<Rgb> canvas_;
};

}  // namespace detail

/// Image i of (seed, split) is drawn when asked for: a pure function, so nothing is stored. Label: i mod 10.
/// Six classes are small shapes scattered over the picture (disk, ring, bar, plus, crescent, triangle), four are
/// patterns over all of it (stripes, zigzag, rings, grid). Colours, angle, size, place and noise say nothing about the
/// class. Training and test images come from separate streams. Raw pixels reach about 43 % in k-NN(20) at 32 pixels.
class Synthetic {
 public:
  /// Throws Error{usage} unless size >= 1 and 8 <= image_size <= 4096.
  Synthetic(u64 seed, Split split, i64 size, i64 image_size)
      : key_(seed, stream_of(split == Split::train ? "synthetic/train" : "synthetic/test")),
        size_(size),
        side_(image_size) {
    require(size >= 1, ErrorKind::usage, "synthetic data: {} images asked for, at least 1 is needed", size);
    require(image_size >= 8 && image_size <= 4096, ErrorKind::usage,
            "synthetic data: image size {} is outside 8 to 4096", image_size);
  }

  i64 size() const { return size_; }
  i64 label(i64 i) const { return i % 10; }
  Sample get(i64 i) const { return {detail::SyntheticPainter(key_, i, side_).paint(label(i)), label(i), name(i)}; }
  std::string name(i64 i) const { return str("synthetic {}", i); }
  std::string kind() const { return "synthetic"; }
  std::string title() const { return str("synthetic {}x{}", side_, side_); }
  std::vector<std::string> classes() const {
    return {"disk", "ring", "bar", "plus", "crescent", "triangle", "stripes", "zigzag", "rings", "grid"};
  }

 private:
  RngKey key_;
  i64 size_, side_;
};

}  // namespace dino::inline DINO_ABI
