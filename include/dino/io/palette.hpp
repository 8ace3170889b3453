// Colours that tell classes apart, on white and on dark paper.
#pragma once

#include <dino/base/types.hpp>
#include <dino/io/bitmap_text.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// "#rrggbb".
inline std::string hex_color(Colour colour) {
  std::string out = "#";
  for (const u8 byte : colour) out += {"0123456789abcdef"[byte / 16], "0123456789abcdef"[byte % 16]};
  return out;
}

namespace detail {

using Coordinates = std::array<double, 3>;

/// Linear red, green and blue of an sRGB colour (IEC 61966-2-1).
inline Coordinates linear_rgb(Colour colour) {
  Coordinates out{};
  for (size_t k = 0; k < 3; ++k) {
    const double c = colour[k] / 255.0;
    out[k] = c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  }
  return out;
}

/// Relative luminance, 0 for black to 1 for white.
inline double luminance(Colour colour) {
  const auto [r, g, b] = linear_rgb(colour);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/// Lightness and two axes of hue, in which distances are about as people see them: Ottosson, "A perceptual color space
/// for image processing" (2020).
inline Coordinates oklab(Colour colour) {
  const auto [r, g, b] = linear_rgb(colour);
  const double l = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const double m = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const double s = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

inline double squared_distance(const Coordinates& a, const Coordinates& b) {
  double sum = 0;
  for (size_t k = 0; k < 3; ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
  return sum;
}

/// The first six: those of the lines of a chart, after Okabe and Ito.
inline constexpr std::array<Colour, 6> first_class_colors{{{0x00, 0x72, 0xb2},
                                                           {0xd5, 0x5e, 0x00},
                                                           {0x00, 0x9e, 0x73},
                                                           {0xb8, 0x5c, 0x94},
                                                           {0xc9, 0x85, 0x00},
                                                           {0x3f, 0x9f, 0xd6}}};

/// A grid over all colours, without those too light for white paper (contrast below 2.5), too dark for the dark paper
/// of charts (below 3) or glaring (chroma above 0.24).
inline std::vector<Colour> class_color_candidates() {
  std::vector<Colour> out;
  constexpr int steps = 16;
  for (int i = 0; i < steps * steps * steps; ++i) {
    const auto level = [](int k) { return static_cast<u8>(17 * (k % steps)); };
    const Colour colour{level(i / (steps * steps)), level(i / steps), level(i)};
    const double light = luminance(colour);
    const auto [lightness, a, b] = oklab(colour);
    if (light >= 0.13 && light <= 0.37 && std::hypot(a, b) <= 0.24) out.push_back(colour);
  }
  return out;
}

}  // namespace detail

/// n colours for classes 0 to n - 1; the first ones are the same for every n. After the six of Okabe and Ito follows
/// each time the colour of a grid that is farthest, in OKLab, from all before it. They are distinct up to n = 1000; of
/// thousands nobody can tell them apart, and when the grid is used up they repeat.
inline std::vector<Colour> class_colors(i64 n) {
  using namespace detail;
  std::vector<Colour> out;
  for (const Colour& colour : first_class_colors) out.push_back(colour);
  const auto candidates = n > static_cast<i64>(out.size()) ? class_color_candidates() : std::vector<Colour>{};
  std::vector<Coordinates> places;
  for (const Colour& colour : candidates) places.push_back(oklab(colour));
  std::vector<double> nearest(candidates.size(), std::numeric_limits<double>::infinity());
  const auto choose = [&](const Coordinates& chosen) {
    for (size_t i = 0; i < places.size(); ++i) nearest[i] = std::min(nearest[i], squared_distance(places[i], chosen));
  };
  for (const Colour& colour : first_class_colors) choose(oklab(colour));
  while (static_cast<i64>(out.size()) < n) {
    const auto farthest = static_cast<size_t>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin());
    if (nearest[farthest] <= 0) break;
    out.push_back(candidates[farthest]);
    choose(places[farthest]);
  }
  for (size_t i = 0; static_cast<i64>(out.size()) < n; ++i) out.push_back(out[i]);
  out.resize(static_cast<size_t>(std::max<i64>(n, 0)));
  return out;
}

}  // namespace dino::inline DINO_ABI
