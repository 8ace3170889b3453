// The picture operations of RandAugment on 8-bit RGB pixels, in place and bit for bit as Pillow computes them.
#pragma once

#include <dino/kernels/cpu/augment.hpp>

#include <cstdio>
#include <cstdlib>
#include <numbers>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// a b, rounded: no compiler can fuse it with the sum that follows, which Pillow's builds do not.
inline double rounded_product(double a, double b) {
  const volatile double product = a * b;
  return product;
}

/// How often each byte stands in a channel.
inline std::array<i64, 256> histogram(const PixelsArgs& a, i64 channel) {
  std::array<i64, 256> counts{};
  for (i64 i = channel; i < 3 * a.width * a.height; i += 3) ++counts[a.pixels[i]];
  return counts;
}

/// Every byte of a channel through its own table.
inline void map_channel(const PixelsArgs& a, i64 channel, const std::array<u8, 256>& table) {
  for (i64 i = channel; i < 3 * a.width * a.height; i += 3) a.pixels[i] = table[a.pixels[i]];
}

/// A cubic of Keys with a = -1 through four values, at d in [0, 1) behind the second one.
inline double cubic(double v1, double v2, double v3, double v4, double d) {
  const double p2 = v3 - v1, p3 = 2 * (v1 - v2) + v3 - v4, p4 = v2 - v1 - v3 + v4;
  return v2 + rounded_product(d, p2 + rounded_product(d, p3 + rounded_product(d, p4)));
}

}  // namespace detail

/// Stretches each channel to 0..255: v -> trunc(255 / (hi - lo) v - 255 lo / (hi - lo)). Source: ImageOps.autocontrast.
inline void auto_contrast(const PixelsArgs& a) {
  for (i64 c = 0; c < 3; ++c) {
    const auto counts = detail::histogram(a, c);
    i64 low = 0, high = 255;
    while (low < 255 && counts[static_cast<size_t>(low)] == 0) ++low;
    while (high > 0 && counts[static_cast<size_t>(high)] == 0) --high;
    if (high <= low) continue;
    const double scale = 255.0 / static_cast<double>(high - low);
    const double offset = detail::rounded_product(-static_cast<double>(low), scale);
    std::array<u8, 256> table{};
    for (i64 v = 0; v < 256; ++v) {
      const double stretched = detail::rounded_product(static_cast<double>(v), scale) + offset;
      table[static_cast<size_t>(v)] = detail::clip_byte(static_cast<i32>(stretched));
    }
    detail::map_channel(a, c, table);
  }
}

/// Makes all bytes of a channel about equally frequent. Source: ImageOps.equalize.
inline void equalize(const PixelsArgs& a) {
  for (i64 c = 0; c < 3; ++c) {
    const auto counts = detail::histogram(a, c);
    i64 highest = 255;
    while (highest > 0 && counts[static_cast<size_t>(highest)] == 0) --highest;
    const i64 step = (a.width * a.height - counts[static_cast<size_t>(highest)]) / 255;
    if (step == 0) continue;
    std::array<u8, 256> table{};
    i64 sum = step / 2;
    for (size_t v = 0; v < 256; ++v) {
      table[v] = detail::clip_byte(static_cast<i32>(sum / step));
      sum += counts[v];
    }
    detail::map_channel(a, c, table);
  }
}

/// v -> 255 - v. Source: ImageOps.invert.
inline void invert(const PixelsArgs& a) {
  for (i64 i = 0; i < 3 * a.width * a.height; ++i) a.pixels[i] = static_cast<u8>(255 - a.pixels[i]);
}

/// Keeps the highest bits of each byte; bits in 0..8. Source: ImageOps.posterize.
inline void posterize(const PixelsArgs& a, i64 bits) {
  require(bits >= 0 && bits <= 8, "posterize: {} bits", bits);
  const u8 mask = static_cast<u8>(0xff << (8 - bits));
  for (i64 i = 0; i < 3 * a.width * a.height; ++i) a.pixels[i] &= mask;
}

/// v -> 255 - v from the threshold on. Source: ImageOps.solarize.
inline void solarize(const PixelsArgs& a, i64 threshold) {
  for (i64 i = 0; i < 3 * a.width * a.height; ++i) {
    if (a.pixels[i] >= threshold) a.pixels[i] = static_cast<u8>(255 - a.pixels[i]);
  }
}

/// v -> min(v + amount, 255) below 128. Source: timm, solarize_add.
inline void solarize_add(const PixelsArgs& a, i64 amount) {
  for (i64 i = 0; i < 3 * a.width * a.height; ++i) {
    if (a.pixels[i] < 128) a.pixels[i] = detail::clip_byte(static_cast<i32>(a.pixels[i] + amount));
  }
}

/// Blend with the picture smoothed by [1 1 1; 1 5 1; 1 1 1] / 13, which leaves the edges as they are. scratch: memory
/// that is reused. Source: ImageEnhance.Sharpness.
inline void adjust_sharpness(const PixelsArgs& a, float factor, std::vector<u8>& scratch) {
  const i64 row = 3 * a.width;
  scratch.assign(a.pixels, a.pixels + row * a.height);
  for (i64 y = 1; y + 1 < a.height; ++y) {
    for (i64 i = 3; i < row - 3; ++i) {
      const u8* const p = scratch.data() + y * row + i;
      i32 sum = 4 * p[0];
      for (const i64 line : {-row, i64{0}, row}) sum += p[line - 3] + p[line] + p[line + 3];
      const i32 smooth = (2 * sum + 13) / 26;  // sum / 13, rounded: never half between two numbers
      a.pixels[y * row + i] = detail::blend(smooth, p[0], factor);
    }
  }
}

/// Where the pixels of a picture come from: that at (x, y) from (a x + b y + c, d x + e y + f), centres at halves.
struct AffineMatrix {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

/// Turns a picture of this size around its centre by degrees, counter-clockwise. Source: Pillow, Image.rotate.
inline AffineMatrix rotation_matrix(double degrees, i64 width, i64 height) {
  const auto to_15_digits = [](double x) {  // Python's round(x, 15)
    char text[32];
    std::snprintf(text, sizeof(text), "%.15f", x);
    return std::strtod(text, nullptr);
  };
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0) turn += 360.0;
  const double angle = -(turn * (std::numbers::pi / 180.0));
  const double cosine = to_15_digits(std::cos(angle)), sine = to_15_digits(std::sin(angle));
  const double x = static_cast<double>(width) / 2.0, y = static_cast<double>(height) / 2.0;
  AffineMatrix m{cosine, sine, 0, to_15_digits(-std::sin(angle)), cosine, 0};
  const auto moved = [&](double by_x, double by_y, double center) {
    return detail::rounded_product(by_x, -x) + detail::rounded_product(by_y, -y) + center;
  };
  m.c = moved(m.a, m.b, x);
  m.f = moved(m.d, m.e, y);
  return m;
}

/// A picture through a matrix, bicubic; what comes from outside is `fill`. scratch: memory that is reused.
/// Source: Pillow, Image.transform with AFFINE and BICUBIC.
inline void transform_affine(const PixelsArgs& a, const AffineMatrix& m, const std::array<u8, 3>& fill,
                             std::vector<u8>& scratch) {
  using detail::rounded_product;
  const i64 row = 3 * a.width;
  scratch.assign(a.pixels, a.pixels + row * a.height);
  const double width = static_cast<double>(a.width), height = static_cast<double>(a.height);
  for (i64 y = 0; y < a.height; ++y) {
    const double from_y = static_cast<double>(y) + 0.5, bx = rounded_product(m.b, from_y),
                 ey = rounded_product(m.e, from_y);
    for (i64 x = 0; x < a.width; ++x) {
      u8* const out = a.pixels + y * row + 3 * x;
      const double from_x = static_cast<double>(x) + 0.5;
      double in_x = rounded_product(m.a, from_x) + bx + m.c;
      double in_y = rounded_product(m.d, from_x) + ey + m.f;
      if (!(in_x >= 0 && in_x < width && in_y >= 0 && in_y < height)) {
        std::copy_n(fill.data(), 3, out);
        continue;
      }
      in_x -= 0.5;
      in_y -= 0.5;
      const i64 left = static_cast<i64>(std::floor(in_x)), top = static_cast<i64>(std::floor(in_y));
      const double dx = in_x - static_cast<double>(left), dy = in_y - static_cast<double>(top);
      i64 column[4];
      const u8* line[4];
      for (i64 k = 0; k < 4; ++k) {
        column[k] = 3 * std::clamp<i64>(left - 1 + k, 0, a.width - 1);
        line[k] = scratch.data() + std::clamp<i64>(top - 1 + k, 0, a.height - 1) * row;
      }
      for (i64 c = 0; c < 3; ++c) {
        double v[4];
        for (i64 k = 0; k < 4; ++k) {
          const u8* const p = line[k] + c;
          v[k] = detail::cubic(p[column[0]], p[column[1]], p[column[2]], p[column[3]], dx);
        }
        const double value = detail::cubic(v[0], v[1], v[2], v[3], dy);
        out[c] = value <= 0 ? u8{0} : value >= 255 ? u8{255} : static_cast<u8>(value);
      }
    }
  }
}

}  // namespace dino::inline DINO_ABI::kernels
