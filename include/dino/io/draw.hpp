// Lines, discs, frames and transparent pictures, drawn into a picture.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/bitmap_text.hpp>

#include <cmath>
#include <span>

namespace dino::inline DINO_ABI {

namespace detail {

inline u8 mixed(u8 below, u8 above, double share) {
  return static_cast<u8>(std::lround(below + (above - below) * share));
}

/// Mixes the colour into a pixel; share 0 leaves it, 1 replaces it.
inline void mix_pixel(Image& image, i64 x, i64 y, Colour colour, double share) {
  u8* pixel = image.at(x, y);
  for (size_t k = 0; k < 3; ++k) pixel[k] = mixed(pixel[k], colour[k], share);
}

/// The pixels in [0, count) that an interval of the plane touches, clipped before the cast: it may be huge.
struct PixelRange {
  i64 begin, end;

  PixelRange(double low, double high, i64 count)
      : begin(static_cast<i64>(std::clamp(std::floor(low), 0.0, static_cast<double>(count)))),
        end(static_cast<i64>(std::clamp(std::ceil(high), 0.0, static_cast<double>(count)))) {}
};

inline void check_alpha(const char* op, double alpha) {
  require(alpha >= 0 && alpha <= 1, "{}: alpha is {}, not in [0, 1]", op, alpha);
}

}  // namespace detail

// Positions that are doubles count pixels from the upper left corner of the picture: pixel (x, y) covers the square
// from there to (x + 1, y + 1). What lies outside the picture is left out. alpha in [0, 1]: 1 covers what was there.

/// A line with round ends. A pixel's share is how far its centre lies inside the outline, within half a pixel; a line
/// thinner than a pixel is fainter instead. Throws Error(internal) when a number is not finite, width < 0 or alpha is
/// not in [0, 1].
inline void draw_line(Image& image, double x0, double y0, double x1, double y1, double width, Colour colour,
                      double alpha = 1) {
  detail::check_alpha("draw_line", alpha);
  require(std::isfinite(x0 + y0 + x1 + y1 + width) && width >= 0, "draw_line: ({},{}) to ({},{}), width {}", x0, y0, x1,
          y1, width);
  const double dx = x1 - x0, dy = y1 - y0, squared = dx * dx + dy * dy, reach = std::max(width, 1.0) / 2 + 0.5;
  const detail::PixelRange rows(std::min(y0, y1) - reach, std::max(y0, y1) + reach, image.height);
  for (i64 y = rows.begin; y < rows.end; ++y) {
    const double cy = static_cast<double>(y) + 0.5;
    // The part of the line that this row can touch, as shares of its length.
    double from = 0, to = 1;
    if (dy != 0) {
      const double a = (cy - reach - y0) / dy, b = (cy + reach - y0) / dy;
      from = std::clamp(std::min(a, b), 0.0, 1.0);
      to = std::clamp(std::max(a, b), 0.0, 1.0);
    }
    const double xa = x0 + from * dx, xb = x0 + to * dx;
    const detail::PixelRange columns(std::min(xa, xb) - reach, std::max(xa, xb) + reach, image.width);
    for (i64 x = columns.begin; x < columns.end; ++x) {
      const double cx = static_cast<double>(x) + 0.5;
      const double t = squared > 0 ? std::clamp(((cx - x0) * dx + (cy - y0) * dy) / squared, 0.0, 1.0) : 0;
      const double inside = reach - std::hypot(cx - x0 - t * dx, cy - y0 - t * dy);
      const double share = std::clamp(inside, 0.0, 1.0) * std::min(width, 1.0);
      if (share > 0) detail::mix_pixel(image, x, y, colour, alpha * share);
    }
  }
}

/// A disc around (x, y), its edge smoothed as that of a line is.
inline void fill_circle(Image& image, double x, double y, double radius, Colour colour, double alpha = 1) {
  draw_line(image, x, y, x, y, 2 * radius, colour, alpha);
}

/// A rectangle that lets what is below show through.
inline void fill_rectangle(Image& image, i64 x, i64 y, i64 width, i64 height, Colour colour, double alpha) {
  detail::check_alpha("fill_rectangle", alpha);
  for (i64 row = std::max<i64>(y, 0); row < std::min(y + height, image.height); ++row)
    for (i64 col = std::max<i64>(x, 0); col < std::min(x + width, image.width); ++col)
      detail::mix_pixel(image, col, row, colour, alpha);
}

/// The border of a rectangle: `thickness` pixels inside its edges.
inline void draw_frame(Image& image, i64 x, i64 y, i64 width, i64 height, i64 thickness, Colour colour) {
  const i64 across = std::min(thickness, width), down = std::min(thickness, height);
  fill_rectangle(image, x, y, width, down, colour);
  fill_rectangle(image, x, y + height - down, width, down, colour);
  fill_rectangle(image, x, y, across, height, colour);
  fill_rectangle(image, x + width - across, y, across, height, colour);
}

/// Puts a picture with its upper left corner at (x, y) over another: below + alpha (over - below), rounded to the
/// nearest.
inline void blend(Image& below, const Image& over, i64 x, i64 y, double alpha) {
  detail::check_alpha("blend", alpha);
  for (i64 row = std::max<i64>(0, -y); row < std::min(over.height, below.height - y); ++row) {
    for (i64 col = std::max<i64>(0, -x); col < std::min(over.width, below.width - x); ++col) {
      const u8* from = over.at(col, row);
      detail::mix_pixel(below, x + col, y + row, {from[0], from[1], from[2]}, alpha);
    }
  }
}

/// The same with a share for each pixel, for pictures of equal size; shares are cut to [0, 1], NaN counts as 0.
/// shares: (height,width).
inline void blend(Image& below, const Image& over, std::span<const float> shares) {
  require(below.width == over.width && below.height == over.height &&
              static_cast<i64>(shares.size()) == below.width * below.height,
          "blend: {} x {} over {} x {} with {} shares", over.width, over.height, below.width, below.height,
          shares.size());
  for (size_t i = 0; i < below.pixels.size(); ++i) {
    const double share = shares[i / 3];
    below.pixels[i] = detail::mixed(below.pixels[i], over.pixels[i], share > 0 ? std::min(share, 1.0) : 0);
  }
}

/// Copies a picture with its upper left corner to (x, y).
inline void paste(Image& below, const Image& over, i64 x, i64 y) { blend(below, over, x, y, 1); }

/// Text on a ground of its own, which reaches `scale` pixels beyond the letters on all sides; (x, y) is the upper left
/// corner of the ground.
inline void draw_label(Image& image, i64 x, i64 y, std::string_view text, Colour ink, Colour ground, i64 scale = 1) {
  fill_rectangle(image, x, y, bitmap_text_length(text, scale) + 2 * scale, 9 * scale, ground);
  draw_text(image, x + scale, y + scale, text, ink, scale);
}

}  // namespace dino::inline DINO_ABI
