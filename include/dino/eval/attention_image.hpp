// Attention maps, masks, patch colours and correspondences as pictures.
#pragma once

#include <dino/eval/attention_map.hpp>
#include <dino/eval/correspondence.hpp>
#include <dino/eval/patch_colors.hpp>
#include <dino/io/color_map.hpp>
#include <dino/io/draw.hpp>

namespace dino::inline DINO_ABI {

/// Patches in rows: how a map lies over a picture of height * patch x width * patch pixels.
struct PatchLayout {
  i64 height = 0, width = 0, patch = 1;

  bool covers(const Image& image) const { return image.width == width * patch && image.height == height * patch; }
};

/// Where a mask lies over a picture, and in which colour it is drawn.
struct ColoredMask {
  std::vector<u8> mask;  // (h w), 0 or not
  Colour color{};
};

namespace detail {

inline void check_layout(const char* op, const Image& photo, const PatchLayout& at, size_t values) {
  require(at.covers(photo) && static_cast<i64>(values) == at.height * at.width,
          "{}: {} values, {} x {} patches of {} on {} x {} pixels", op, values, at.height, at.width, at.patch,
          photo.width, photo.height);
}

/// A bright colour of the circle: 0 red, 1/3 green, 2/3 blue.
inline Colour hue_colour(double hue) {
  Colour out{};
  for (size_t k = 0; k < 3; ++k) {
    const double from_peak = std::fabs(std::remainder(hue - static_cast<double>(k) / 3, 1.0));
    out[k] = static_cast<u8>(std::lround(60 + 195 * std::clamp(2 - 6 * from_peak, 0.0, 1.0)));
  }
  return out;
}

/// Edges between patches inside and outside, drawn inside.
inline void draw_outline(Image& image, const std::vector<u8>& mask, const PatchLayout& at, Colour color) {
  const i64 p = at.patch, line = std::clamp<i64>(std::min(image.width, image.height) / 240, 1, std::max<i64>(1, p / 4));
  const auto inside = [&](i64 y, i64 x) {
    return y >= 0 && x >= 0 && y < at.height && x < at.width && mask[static_cast<size_t>(y * at.width + x)] != 0;
  };
  for (i64 y = 0; y < at.height; ++y)
    for (i64 x = 0; x < at.width; ++x) {
      if (!inside(y, x)) continue;
      if (!inside(y - 1, x)) fill_rectangle(image, x * p, y * p, p, line, color);
      if (!inside(y + 1, x)) fill_rectangle(image, x * p, y * p + p - line, p, line, color);
      if (!inside(y, x - 1)) fill_rectangle(image, x * p, y * p, line, p, color);
      if (!inside(y, x + 1)) fill_rectangle(image, x * p + p - line, y * p, line, p, color);
    }
}

}  // namespace detail

/// Every patch a square of one colour, the ends of the range in the first and the last. With the range of the map
/// itself (value_range) these are the pixels that the reference writes, attn-head*.png.
inline Image map_image(std::span<const float> map, const PatchLayout& at, const ColorMap& colors, ValueRange range) {
  const auto large = upsample_nearest(map, at.height, at.width, at.patch);
  return color_image(large, at.width * at.patch, at.height * at.patch, colors, range.low, range.high);
}

/// The map, smoothed (bicubic), over the picture: the more attention, the less the picture shows through, and where
/// there is little it is darker. Throws when the patches do not cover the picture.
inline Image overlay_image(const Image& photo, std::span<const float> map, const PatchLayout& at,
                           const ColorMap& colors, ValueRange range) {
  detail::check_layout("overlay_image", photo, at, map.size());
  auto shares = scaled_to(upsample_smooth(map, at.height, at.width, at.patch), range);
  for (float& x : shares) x = std::clamp(x, 0.0f, 1.0f);
  const Image over = color_image(shares, photo.width, photo.height, colors, 0, 1);
  Image out = photo;
  fill_rectangle(out, 0, 0, out.width, out.height, {0, 0, 0}, 0.25);
  for (float& x : shares) x = 0.3f + 0.45f * x;
  blend(out, over, shares);
  return out;
}

/// Masks over the picture, each as half-transparent patches with an outline; later ones lie above.
inline Image mask_image(const Image& photo, std::span<const ColoredMask> masks, const PatchLayout& at) {
  Image out = photo;
  for (const auto& [mask, color] : masks) {
    detail::check_layout("mask_image", photo, at, mask.size());
    for (i64 y = 0; y < at.height; ++y)
      for (i64 x = 0; x < at.width; ++x)
        if (mask[static_cast<size_t>(y * at.width + x)])
          fill_rectangle(out, x * at.patch, y * at.patch, at.patch, at.patch, color, 0.5);
  }
  for (const auto& [mask, color] : masks) detail::draw_outline(out, mask, at, color);
  return out;
}

/// Every patch in its colour, the background in that given.
inline Image patch_color_image(const PatchColors& colors, i64 patch, Colour background = {0, 0, 0}) {
  Image out(colors.width * patch, colors.height * patch);
  for (i64 y = 0; y < colors.height; ++y)
    for (i64 x = 0; x < colors.width; ++x) {
      const auto at = static_cast<size_t>(y * colors.width + x);
      Colour color = background;
      for (size_t c = 0; c < 3 && colors.foreground[at]; ++c)
        color[c] = static_cast<u8>(std::lround(255 * std::clamp(colors.rgb[3 * at + c], 0.0f, 1.0f)));
      fill_rectangle(out, x * patch, y * patch, patch, patch, color);
    }
  return out;
}

/// Two pictures side by side on white, and a line between the middles of every pair of patches. Colours follow the
/// place in the first picture, so that lines that stay in order look like a rainbow.
inline Image match_image(const Image& a, const PatchLayout& at_a, const Image& b, const PatchLayout& at_b,
                         std::span<const PatchMatch> matches) {
  require(at_a.covers(a) && at_b.covers(b), "match_image: the patches do not cover the pictures");
  const i64 gap = 16, top_a = std::max<i64>(0, b.height - a.height) / 2,
            top_b = std::max<i64>(0, a.height - b.height) / 2;
  Image out(a.width + gap + b.width, std::max(a.height, b.height));
  fill_rectangle(out, 0, 0, out.width, out.height, {255, 255, 255});
  paste(out, a, 0, top_a);
  paste(out, b, a.width + gap, top_b);
  const double thick = std::max(1.0, static_cast<double>(out.height) / 300);
  const auto middle = [](i64 patch, const PatchLayout& at) {
    const auto size = static_cast<double>(at.patch);
    return std::pair{(static_cast<double>(patch % at.width) + 0.5) * size,
                     (static_cast<double>(patch / at.width) + 0.5) * size};
  };
  for (const auto& match : matches) {
    const auto [xa, ya] = middle(match.a, at_a);
    const auto [xb, yb] = middle(match.b, at_b);
    const double x = xb + static_cast<double>(a.width + gap), down = static_cast<double>(top_a),
                 down_b = static_cast<double>(top_b);
    const double place = 0.6 * xa / static_cast<double>(a.width) + 0.4 * ya / static_cast<double>(a.height);
    const auto color = detail::hue_colour(0.85 * place);
    draw_line(out, xa, ya + down, x, yb + down_b, thick, color, 0.8);
    for (const auto& [cx, cy] : {std::pair{xa, ya + down}, {x, yb + down_b}}) {
      fill_circle(out, cx, cy, 3 * thick, {255, 255, 255});
      fill_circle(out, cx, cy, 2.2 * thick, color);
    }
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
