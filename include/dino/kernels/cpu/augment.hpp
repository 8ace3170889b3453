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
  std::vector<u8> tile;
  std::vector<u32> a, b;
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

/// trunc(from + factor (to - from)) in float, clipped: Pillow's blend. The product is formed in double, where it is
/// exact, and then rounded, so that no compiler can fuse it with the sum.
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

/// condition ? a : b without a branch: g++ 12 does not vectorise nested conditions.
constexpr i32 pick(bool condition, i32 a, i32 b) { return b ^ ((a ^ b) & -static_cast<i32>(condition)); }

/// A block of pixels as hue and saturation bytes of Pillow's HSV, and value (the largest channel).
struct HsvBlock {
  i32 h[pixel_block], s[pixel_block], v[pixel_block];
};

/// Float and double alternate as they do in Pillow: ratios in float, the rest in double, hue rounded to float between.
/// Pillow divides by 6 and 255; the products with the inverses give the same bytes for all 2^24 colours.
inline void rgb_to_hsv(const PixelBlock& pixel, HsvBlock& hsv) {
  float sector[pixel_block], part[pixel_block];
  for (i64 i = 0; i < pixel_block; ++i) {
    const i32 r = pixel.r[i], g = pixel.g[i], b = pixel.b[i];
    const i32 top = std::max(r, std::max(g, b));
    const i32 range = top - std::min(r, std::min(g, b));
    const float divisor = static_cast<float>(range == 0 ? 1 : range);
    const float base = r == top ? 0.0f : g == top ? 2.0f : 4.0f;
    const float plus = static_cast<float>(top - (r == top ? b : g == top ? r : g)) / divisor;
    const float minus = static_cast<float>(top - (r == top ? g : g == top ? b : r)) / divisor;
    sector[i] = static_cast<float>(static_cast<double>(base) + static_cast<double>(plus) - static_cast<double>(minus));
    part[i] = static_cast<float>(range) / static_cast<float>(top == 0 ? 1 : top);
    hsv.v[i] = top;
  }
  for (i64 i = 0; i < pixel_block; ++i) {  // a gray pixel has plus = minus = 0, so its hue comes out as 0
    const double turned = static_cast<double>(sector[i]) * (1.0 / 6.0) + 1.0;
    const float turn = static_cast<float>(turned >= 1.0 ? turned - 1.0 : turned);
    hsv.h[i] = static_cast<i32>(static_cast<double>(turn) * 255.0);
    hsv.s[i] = static_cast<i32>(static_cast<double>(part[i]) * 255.0);
  }
}

inline void hsv_to_rgb(const HsvBlock& hsv, PixelBlock& pixel) {
  i32 sector[pixel_block], p[pixel_block], q[pixel_block], t[pixel_block];
  for (i64 i = 0; i < pixel_block; ++i) {
    const double turned = static_cast<double>(hsv.h[i]) * (6.0 / 255.0);
    sector[i] = static_cast<i32>(turned);  // 0 .. 6
    const double f = static_cast<double>(static_cast<float>(turned - static_cast<double>(sector[i])));
    const double s = static_cast<double>(static_cast<float>(static_cast<double>(hsv.s[i]) * (1.0 / 255.0)));
    const double sf = static_cast<double>(static_cast<float>(s * f));
    const double v = hsv.v[i];
    p[i] = static_cast<i32>(v * (1.0 - s) + 0.5);
    q[i] = static_cast<i32>(v * (1.0 - sf) + 0.5);
    t[i] = static_cast<i32>(v * (1.0 - s * (1.0 - f)) + 0.5);
  }
  for (i64 i = 0; i < pixel_block; ++i) {  // sector 6 is sector 0; in it f = 0
    const i32 k = sector[i], v = hsv.v[i], low = p[i], down = q[i], up = t[i];
    const i32 r = pick((k == 0) | (k >= 5), v, pick(k == 1, down, pick(k == 4, up, low)));
    const i32 g = pick((k == 1) | (k == 2), v, pick((k == 0) | (k == 6), up, pick(k == 3, down, low)));
    const i32 b = pick((k == 3) | (k == 4), v, pick(k == 2, up, pick(k == 5, down, low)));
    pixel.r[i] = static_cast<u8>(r);
    pixel.g[i] = static_cast<u8>(g);
    pixel.b[i] = static_cast<u8>(b);
  }
}

inline constexpr i64 blur_lanes = 64;      // bytes that are blurred side by side: a multiple of every vector width
inline constexpr i64 blur_tile_rows = 21;  // rows of pixels that fit into them

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

/// One line of a pass: sum += enter - behind; out = (inner sum + outer (behind + ahead) + 2^23) >> 24.
/// Not inlined: g++ 12 jams the loops of the caller into this one, and is then scalar and ten times slower.
template <class In, class Out>
[[gnu::noinline]] void blur_line(const In* __restrict behind, const In* __restrict enter, const In* __restrict ahead,
                                 u32 inner, u32 outer, u32* __restrict sum, Out* __restrict out) {
  for (i64 j = 0; j < blur_lanes; ++j) {
    const u32 last = behind[j];
    const u32 now = sum[j] + enter[j] - last;
    sum[j] = now;
    out[j] = static_cast<Out>((now * inner + (last + ahead[j]) * outer + (1u << 23)) >> 24);
  }
}

/// One pass along the first axis of n lines of 64 values, edges repeated:
/// out[i] = (inner sum_{|k| <= reach} in[i + k] + outer (in[i - reach - 1] + in[i + reach + 1]) + 2^23) >> 24.
template <class In, class Out>
void blur_pass(const In* in, i64 in_stride, i64 n, const BlurBox& box, Out* out, i64 out_stride) {
  const auto line = [&](i64 i) { return in + std::clamp<i64>(i, 0, n - 1) * in_stride; };
  u32 sum[blur_lanes] = {};
  for (i64 k = -box.reach - 1; k < box.reach; ++k) {  // the window one step in front of the first value
    const In* p = line(k);
    for (i64 j = 0; j < blur_lanes; ++j) sum[j] += p[j];
  }
  for (i64 i = 0; i < n; ++i) {
    blur_line(line(i - box.reach - 1), line(i + box.reach), line(i + box.reach + 1), box.inner, box.outer, sum,
              out + i * out_stride);
  }
}

/// Three passes over n lines of bytes, in place.
inline void blur_lines(u8* lines, i64 stride, i64 n, const BlurBox& box, BlurScratch& scratch) {
  blur_pass(lines, stride, n, box, scratch.a.data(), blur_lanes);
  blur_pass(scratch.a.data(), blur_lanes, n, box, scratch.b.data(), blur_lanes);
  blur_pass(scratch.b.data(), blur_lanes, n, box, lines, stride);
}

/// Rows of pixels, turned so that they are neighbours: tile[64 x + 3 r] is pixel x of row r.
inline void blur_load_tile(const u8* in, i64 row_bytes, i64 rows, i64 width, u8* tile) {
  for (i64 r = 0; r < rows; ++r) {
    const u8* line = in + r * row_bytes;
    u8* to = tile + 3 * r;
    // Four bytes move at once; the fourth is overwritten by the next row, or is a lane that is not used.
    for (i64 x = 0; x + 1 < width; ++x) std::memcpy(to + x * blur_lanes, line + 3 * x, 4);
    std::memcpy(to + (width - 1) * blur_lanes, line + 3 * (width - 1), 3);
  }
}

inline void blur_store_tile(const u8* tile, i64 row_bytes, i64 rows, i64 width, u8* out) {
  for (i64 r = 0; r < rows; ++r) {
    const u8* from = tile + 3 * r;
    u8* line = out + r * row_bytes;
    for (i64 x = 0; x + 1 < width; ++x) std::memcpy(line + 3 * x, from + x * blur_lanes, 4);
    std::memcpy(line + 3 * (width - 1), from + (width - 1) * blur_lanes, 3);
  }
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
    detail::HsvBlock hsv;
    detail::rgb_to_hsv(p, hsv);
    for (i64 i = 0; i < detail::pixel_block; ++i) hsv.h[i] = (hsv.h[i] + shift) & 255;
    detail::hsv_to_rgb(hsv, p);
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

/// Gaussian blur of standard deviation sigma >= 0: three box passes along the rows, then three along the columns,
/// rounded to 8 bits after each. Source: Pillow, ImageFilter.GaussianBlur(sigma).
inline void gaussian_blur(const PixelsArgs& a, double sigma, BlurScratch& scratch) {
  require(sigma >= 0.0 && sigma <= 1000.0, "gaussian_blur: sigma {}", sigma);
  require(a.width >= 1 && a.height >= 1, "gaussian_blur: {} x {} pixels", a.width, a.height);
  constexpr i64 lanes = detail::blur_lanes, tile_rows = detail::blur_tile_rows;
  const detail::BlurBox box = detail::blur_box(sigma);
  const i64 longest = std::max(a.width, a.height);
  scratch.a.resize(static_cast<size_t>(longest * lanes));
  scratch.b.resize(static_cast<size_t>(longest * lanes));
  scratch.tile.resize(static_cast<size_t>(longest * lanes));
  u8* tile = scratch.tile.data();
  const i64 row = 3 * a.width;
  for (i64 y = 0; y < a.height; y += tile_rows) {
    const i64 rows = std::min(tile_rows, a.height - y);
    detail::blur_load_tile(a.pixels + y * row, row, rows, a.width, tile);
    detail::blur_lines(tile, lanes, a.width, box, scratch);
    detail::blur_store_tile(tile, row, rows, a.width, a.pixels + y * row);
  }
  i64 j = 0;
  for (; j + lanes <= row; j += lanes) detail::blur_lines(a.pixels + j, row, a.height, box, scratch);
  if (j == row) return;
  const size_t rest = static_cast<size_t>(row - j);
  for (i64 y = 0; y < a.height; ++y) std::memcpy(tile + y * lanes, a.pixels + y * row + j, rest);
  detail::blur_lines(tile, lanes, a.height, box, scratch);
  for (i64 y = 0; y < a.height; ++y) std::memcpy(a.pixels + y * row + j, tile + y * lanes, rest);
}

/// (v / 255 - mean) / std of every byte, per channel, in float as PyTorch computes it.
class NormalizeTable {
 public:
  NormalizeTable(const std::array<float, 3>& mean, const std::array<float, 3>& std) {
    for (size_t c = 0; c < 3; ++c) {
      require(std[c] > 0.0f, "normalize: standard deviation {}", std[c]);
      for (size_t v = 0; v < 256; ++v) values_[c][v] = (static_cast<float>(v) / 255.0f - mean[c]) / std[c];
    }
  }
  const std::array<float, 256>& channel(i64 c) const { return values_[static_cast<size_t>(c)]; }

 private:
  std::array<std::array<float, 256>, 3> values_;
};

/// Pixels to normalised planes: out is (3, height, width), contiguous. Source: torchvision, ToTensor and Normalize.
inline void normalize_pixels(const u8* pixels, i64 count, const NormalizeTable& table, float* out) {
  const auto &red = table.channel(0), &green = table.channel(1), &blue = table.channel(2);
  for (i64 i = 0; i < count; ++i) {
    out[i] = red[pixels[3 * i]];
    out[count + i] = green[pixels[3 * i + 1]];
    out[2 * count + i] = blue[pixels[3 * i + 2]];
  }
}

}  // namespace dino::inline DINO_ABI::kernels
