// Pillow's colour and blur operations on 8-bit RGB pixels, in place and bit for bit.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

/// A picture that is changed in place: (height, width, 3), contiguous.
struct PixelsArgs {
  u8* pixels;
  i64 width, height;
};

/// Memory that blurs reuse.
struct BlurScratch {
  std::vector<u8> a, b;
};

namespace detail {

inline constexpr i64 pixel_block = 64;  // pixels that are pulled apart into channels together

/// One block of pixels by channel; `write` behind `read` leaves the pixels as they were.
struct PixelBlock {
  u8 r[pixel_block], g[pixel_block], b[pixel_block];

  void read(const u8* in, i64 count) {
    if (count < pixel_block) std::memset(this, 0, sizeof *this);
    for (i64 i = 0; i < count; ++i) {
      r[i] = in[3 * i];
      g[i] = in[3 * i + 1];
      b[i] = in[3 * i + 2];
    }
  }
  void write(u8* out, i64 count) const {
    for (i64 i = 0; i < count; ++i) {
      out[3 * i] = r[i];
      out[3 * i + 1] = g[i];
      out[3 * i + 2] = b[i];
    }
  }
};

/// Calls f(block) for all pixels, block after block, and stores what it leaves.
template <class F> void for_pixel_blocks(const PixelsArgs& a, F&& f) {
  const i64 total = a.width * a.height;
  for (i64 at = 0; at < total; at += pixel_block) {
    const i64 count = std::min(pixel_block, total - at);
    PixelBlock block;
    block.read(a.pixels + 3 * at, count);
    f(block);
    block.write(a.pixels + 3 * at, count);
  }
}

/// Luma of ITU-R 601 in 16 bits.
constexpr i32 luma(i32 r, i32 g, i32 b) { return (19595 * r + 38470 * g + 7471 * b + 32768) >> 16; }

constexpr u8 clip_byte(i32 v) { return static_cast<u8>(v < 0 ? 0 : v > 255 ? 255 : v); }

/// Every byte through a table.
inline void map_bytes(const PixelsArgs& a, const std::array<u8, 256>& table) {
  u8* p = a.pixels;
  for (i64 i = 0; i < 3 * a.width * a.height; ++i) p[i] = table[p[i]];
}

/// trunc(from + factor (to - from)) in float, clipped: Pillow's blend. The product is formed in double, where it is exact,
/// and then rounded, so that no compiler can fuse it with the sum.
inline u8 blend(i32 from, i32 to, float factor) {
  const float step = static_cast<float>(static_cast<double>(factor) * static_cast<double>(to - from));
  return clip_byte(static_cast<i32>(static_cast<float>(from) + step));
}

/// All bytes blended with one value.
inline void blend_constant(const PixelsArgs& a, i32 from, float factor) {
  std::array<u8, 256> table{};
  for (i32 v = 0; v < 256; ++v) table[static_cast<size_t>(v)] = blend(from, v, factor);
  map_bytes(a, table);
}

/// Hue and saturation bytes of Pillow's HSV; the value is the largest channel.
/// Float and double alternate as they do there: ratios in float, the rest in double, hue rounded to float between.
inline void rgb_to_hs(const PixelBlock& p, i32* hue, i32* saturation) {
  for (i64 i = 0; i < pixel_block; ++i) {
    const i32 r = p.r[i], g = p.g[i], b = p.b[i];
    const i32 top = std::max(r, std::max(g, b));
    const i32 range = top - std::min(r, std::min(g, b));
    const float divisor = static_cast<float>(range == 0 ? 1 : range);
    const float rc = static_cast<float>(top - r) / divisor;
    const float gc = static_cast<float>(top - g) / divisor;
    const float bc = static_cast<float>(top - b) / divisor;
    const double base = r == top ? 0.0 : g == top ? 2.0 : 4.0;
    const double plus = r == top ? bc : g == top ? rc : gc;
    const double minus = r == top ? gc : g == top ? bc : rc;
    const float sector = static_cast<float>(base + plus - minus);
    const double turned = static_cast<double>(sector) / 6.0 + 1.0;
    const float turn = static_cast<float>(turned >= 1.0 ? turned - 1.0 : turned);
    const float part = static_cast<float>(range) / static_cast<float>(top == 0 ? 1 : top);
    hue[i] = range == 0 ? 0 : static_cast<i32>(static_cast<double>(turn) * 255.0);
    saturation[i] = static_cast<i32>(static_cast<double>(part) * 255.0);
  }
}

/// Back from hue and saturation bytes; the value is the largest channel of the old pixel.
inline void hs_to_rgb(const i32* hue, const i32* saturation, PixelBlock& pixel) {
  for (i64 i = 0; i < pixel_block; ++i) {
    const i32 v = std::max(pixel.r[i], std::max(pixel.g[i], pixel.b[i]));
    const i32 h = hue[i];
    const i32 sector = h * 6 / 255;  // 0 .. 6
    const float f = static_cast<float>(static_cast<double>(h * 6) / 255.0 - static_cast<double>(sector));
    const float s = static_cast<float>(static_cast<double>(saturation[i]) / 255.0);
    const float sf = s * f;
    const double value = v;
    const i32 p = static_cast<i32>(value * (1.0 - static_cast<double>(s)) + 0.5);
    const i32 q = static_cast<i32>(value * (1.0 - static_cast<double>(sf)) + 0.5);
    const i32 t = static_cast<i32>(value * (1.0 - static_cast<double>(s) * (1.0 - static_cast<double>(f))) + 0.5);
    const i32 k = sector == 6 ? 0 : sector;
    pixel.r[i] = clip_byte(k == 0 || k == 5 ? v : k == 1 ? q : k == 4 ? t : p);
    pixel.g[i] = clip_byte(k == 1 || k == 2 ? v : k == 0 ? t : k == 3 ? q : p);
    pixel.b[i] = clip_byte(k == 3 || k == 4 ? v : k == 2 ? t : k == 5 ? q : p);
  }
}

inline constexpr i64 blur_lanes = 64;  // bytes that are blurred side by side: one cache line

/// The weights of one box pass: `reach` whole pixels to each side, and a part of one more.
struct BlurBox {
  i64 reach;
  u32 inner, outer;  // 24 fraction bits
};

/// Three boxes that imitate a Gaussian (Gwosdek et al. 2011, eq. 7, 11, 14), in Pillow's mixture of float and double.
inline BlurBox blur_box(double sigma) {
  const float sigma2 = static_cast<float>(sigma) * static_cast<float>(sigma) / 3.0f;
  const float length = static_cast<float>(std::sqrt(12.0 * static_cast<double>(sigma2) + 1.0));
  const float l = static_cast<float>(std::floor((static_cast<double>(length) - 1.0) / 2.0));
  const double inside = static_cast<double>(l) * (static_cast<double>(l) + 1.0) - 3.0 * static_cast<double>(sigma2);
  float a = (2.0f * l + 1.0f) * static_cast<float>(inside);
  a /= 6.0f * (sigma2 - (l + 1.0f) * (l + 1.0f));
  const float radius = l + a;
  const i64 reach = static_cast<i64>(radius);
  const u32 inner = static_cast<u32>(16777216.0f / (radius * 2.0f + 1.0f));
  const u32 outer = (16777216u - static_cast<u32>(2 * reach + 1) * inner) / 2;
  return {reach, inner, outer};
}

/// One pass along the first axis of (n,64) bytes, edges repeated:
/// out[i] = (inner sum_{|k| <= reach} in[i + k] + outer (in[i - reach - 1] + in[i + reach + 1]) + 2^23) >> 24.
inline void blur_pass(const u8* in, i64 n, const BlurBox& box, u8* out) {
  // Lines go through local copies: the compiler then knows that nothing overlaps, and keeps them in registers.
  const auto load = [&](i64 i, u8* line) { std::memcpy(line, in + std::clamp<i64>(i, 0, n - 1) * blur_lanes, blur_lanes); };
  u8 behind[blur_lanes], enter[blur_lanes], ahead[blur_lanes], result[blur_lanes];
  u32 sum[blur_lanes] = {};
  for (i64 k = -box.reach - 1; k < box.reach; ++k) {  // the window one step in front of the first pixel
    load(k, enter);
    for (i64 j = 0; j < blur_lanes; ++j) sum[j] += enter[j];
  }
  const u32 inner = box.inner, outer = box.outer;
  for (i64 i = 0; i < n; ++i) {
    load(i - box.reach - 1, behind);
    load(i + box.reach, enter);
    load(i + box.reach + 1, ahead);
    for (i64 j = 0; j < blur_lanes; ++j) {
      sum[j] += static_cast<u32>(enter[j]) - static_cast<u32>(behind[j]);
      const u32 edge = static_cast<u32>(behind[j]) + static_cast<u32>(ahead[j]);
      result[j] = static_cast<u8>((sum[j] * inner + edge * outer + (1u << 23)) >> 24);
    }
    std::memcpy(out + i * blur_lanes, result, blur_lanes);
  }
}

/// Three passes; the result is in scratch.b.
inline void blur_three(i64 n, const BlurBox& box, BlurScratch& scratch) {
  blur_pass(scratch.a.data(), n, box, scratch.b.data());
  blur_pass(scratch.b.data(), n, box, scratch.a.data());
  blur_pass(scratch.a.data(), n, box, scratch.b.data());
}

}  // namespace detail

/// v -> trunc(f v), clipped. Source: ImageEnhance.Brightness.
inline void adjust_brightness(const PixelsArgs& a, float factor) { detail::blend_constant(a, 0, factor); }

/// Blend with the mean luma, rounded. Source: ImageEnhance.Contrast.
inline void adjust_contrast(const PixelsArgs& a, float factor) {
  const i64 total = a.width * a.height;
  i64 sum = 0;
  for (i64 at = 0; at < total; at += detail::pixel_block) {
    const i64 count = std::min(detail::pixel_block, total - at);
    const u8* p = a.pixels + 3 * at;
    i32 part = 0;
    for (i64 i = 0; i < count; ++i) part += detail::luma(p[3 * i], p[3 * i + 1], p[3 * i + 2]);
    sum += part;
  }
  detail::blend_constant(a, static_cast<i32>(static_cast<double>(sum) / static_cast<double>(total) + 0.5), factor);
}

/// Blend of each pixel with its luma. Source: ImageEnhance.Color.
inline void adjust_saturation(const PixelsArgs& a, float factor) {
  detail::for_pixel_blocks(a, [&](detail::PixelBlock& p) {
    for (i64 i = 0; i < detail::pixel_block; ++i) {
      const i32 l = detail::luma(p.r[i], p.g[i], p.b[i]);
      p.r[i] = detail::blend(l, p.r[i], factor);
      p.g[i] = detail::blend(l, p.g[i], factor);
      p.b[i] = detail::blend(l, p.b[i], factor);
    }
  });
}

/// Turns the hue byte of HSV by trunc(255 factor), modulo 256. factor is in [-0.5, 0.5].
/// Source: torchvision 0.8, functional_pil.adjust_hue.
inline void adjust_hue(const PixelsArgs& a, double factor) {
  require(factor >= -0.5 && factor <= 0.5, "adjust_hue: factor {}", factor);
  const i32 shift = static_cast<i32>(factor * 255.0);
  detail::for_pixel_blocks(a, [&](detail::PixelBlock& p) {
    i32 hue[detail::pixel_block], saturation[detail::pixel_block];
    detail::rgb_to_hs(p, hue, saturation);
    for (i64 i = 0; i < detail::pixel_block; ++i) hue[i] = (hue[i] + shift) & 255;
    detail::hs_to_rgb(hue, saturation, p);
  });
}

/// Luma in all three channels. Source: Image.convert("L").
inline void to_grayscale(const PixelsArgs& a) {
  detail::for_pixel_blocks(a, [](detail::PixelBlock& p) {
    for (i64 i = 0; i < detail::pixel_block; ++i) {
      p.r[i] = p.g[i] = p.b[i] = static_cast<u8>(detail::luma(p.r[i], p.g[i], p.b[i]));
    }
  });
}

/// v -> 255 - v from 128 on. Source: ImageOps.solarize.
inline void solarize(const PixelsArgs& a) {
  u8* p = a.pixels;
  for (i64 i = 0; i < 3 * a.width * a.height; ++i) p[i] = p[i] < 128 ? p[i] : static_cast<u8>(255 - p[i]);
}

/// Mirrors each row.
inline void flip_horizontally(const PixelsArgs& a) {
  for (i64 y = 0; y < a.height; ++y) {
    u8* left = a.pixels + 3 * y * a.width;
    for (u8* right = left + 3 * (a.width - 1); left < right; left += 3, right -= 3) {
      for (int c = 0; c < 3; ++c) std::swap(left[c], right[c]);
    }
  }
}

/// Gaussian blur of standard deviation sigma >= 0: three box passes along the rows, then three along the columns, rounded
/// to 8 bits after each. Source: Pillow, ImageFilter.GaussianBlur(sigma).
inline void gaussian_blur(const PixelsArgs& a, double sigma, BlurScratch& scratch) {
  require(sigma >= 0.0 && sigma <= 1000.0, "gaussian_blur: sigma {}", sigma);
  if (a.width == 0 || a.height == 0) return;
  constexpr i64 lanes = detail::blur_lanes, tile = detail::blur_lanes / 4;
  const detail::BlurBox box = detail::blur_box(sigma);
  const size_t bytes = static_cast<size_t>(lanes * std::max(a.width, a.height));
  scratch.a.resize(bytes);
  scratch.b.resize(bytes);
  const i64 row = 3 * a.width;
  for (i64 y = 0; y < a.height; y += tile) {  // sixteen rows side by side, four bytes per pixel
    const i64 rows = std::min(tile, a.height - y);
    for (i64 r = 0; r < rows; ++r) {
      const u8* in = a.pixels + (y + r) * row;
      for (i64 x = 0; x < a.width; ++x) std::memcpy(&scratch.a[static_cast<size_t>(x * lanes + 4 * r)], in + 3 * x, 3);
    }
    detail::blur_three(a.width, box, scratch);
    for (i64 r = 0; r < rows; ++r) {
      u8* out = a.pixels + (y + r) * row;
      for (i64 x = 0; x < a.width; ++x) std::memcpy(out + 3 * x, &scratch.b[static_cast<size_t>(x * lanes + 4 * r)], 3);
    }
  }
  for (i64 j = 0; j < row; j += lanes) {  // 64 bytes of all rows
    const size_t count = static_cast<size_t>(std::min(lanes, row - j));
    for (i64 y = 0; y < a.height; ++y) {
      std::memcpy(&scratch.a[static_cast<size_t>(y * lanes)], a.pixels + y * row + j, count);
    }
    detail::blur_three(a.height, box, scratch);
    for (i64 y = 0; y < a.height; ++y) {
      std::memcpy(a.pixels + y * row + j, &scratch.b[static_cast<size_t>(y * lanes)], count);
    }
  }
}

}  // namespace dino::inline DINO_ABI::kernels
