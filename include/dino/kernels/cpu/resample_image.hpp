// Pillow's resize of 8-bit RGB pictures, bit for bit: antialiased, fixed point, columns first and rows second.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

enum class ImageFilter { bilinear, bicubic };

/// A rectangle of pixels; (x, y) is its upper left corner.
struct PixelBox {
  i64 x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const PixelBox&, const PixelBox&) = default;
};

/// in: RGB rows, `in_stride` bytes apart.  box: the part of it that is resized to out_width x out_height; nothing
/// outside of it is read, as if it had been cropped before.  window: the part of that result that is computed.
/// out: (window.height, window.width, 3), contiguous.
struct ResampleImageArgs {
  const u8* in;
  i64 in_stride;
  PixelBox box;
  i64 out_width, out_height;
  PixelBox window;
  ImageFilter filter;
  u8* out;
};

/// Memory that calls reuse; after the first calls of a size nothing is allocated.
struct ResampleImageScratch {
  struct Axis {
    std::vector<i32> first, taps, weights;  // per output: first input, number of inputs, `pitch` weights
    i64 pitch = 0;
  };
  Axis columns, rows;
  std::vector<double> exact;  // weights of one output before rounding
  std::vector<u8> tile, between;
};

namespace detail {

inline constexpr int resample_bits = 22;    // fraction bits of a weight
inline constexpr i64 resample_lanes = 64;   // bytes that are summed together: one cache line
inline constexpr i64 resample_tile = 16;    // picture rows that go through the column pass together, 4 bytes per pixel

/// Keys' cubic with a = -0.5 (support 2), or the triangle (support 1).
inline double resample_kernel(ImageFilter filter, double x) {
  x = std::fabs(x);
  if (filter == ImageFilter::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

/// Weights for outputs [begin, begin + count) of an axis that goes from in_size to out_size pixels.
inline void resample_weights(ImageFilter filter, i64 in_size, i64 out_size, i64 begin, i64 count,
                             ResampleImageScratch::Axis& axis, std::vector<double>& exact) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double stretch = std::max(scale, 1.0);
  const double support = (filter == ImageFilter::bicubic ? 2.0 : 1.0) * stretch;
  axis.pitch = 2 * static_cast<i64>(std::ceil(support)) + 1;
  axis.first.resize(static_cast<size_t>(count));
  axis.taps.resize(static_cast<size_t>(count));
  axis.weights.resize(static_cast<size_t>(count * axis.pitch));
  exact.resize(static_cast<size_t>(axis.pitch));
  for (i64 o = 0; o < count; ++o) {
    const double center = (static_cast<double>(begin + o) + 0.5) * scale;
    const i64 first = std::max<i64>(static_cast<i64>(center - support + 0.5), 0);
    const i64 taps = std::min(static_cast<i64>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (i64 t = 0; t < taps; ++t) {
      const double w = resample_kernel(filter, (static_cast<double>(t + first) - center + 0.5) * (1.0 / stretch));
      exact[static_cast<size_t>(t)] = w;
      sum += w;
    }
    i32* weights = axis.weights.data() + o * axis.pitch;
    for (i64 t = 0; t < taps; ++t) {
      const double w = exact[static_cast<size_t>(t)] / sum * (1 << resample_bits);
      weights[t] = static_cast<i32>(w < 0.0 ? w - 0.5 : w + 0.5);
    }
    axis.first[static_cast<size_t>(o)] = static_cast<i32>(first);
    axis.taps[static_cast<size_t>(o)] = static_cast<i32>(taps);
  }
}

/// out[j] = round(sum_t weights[t] in[t * stride + j]), j < 64, clipped to a byte.
inline void resample_sum(const u8* in, i64 stride, const i32* weights, i64 taps, u8* out) {
  i32 sum[resample_lanes];
  for (i64 j = 0; j < resample_lanes; ++j) sum[j] = 1 << (resample_bits - 1);
  for (i64 t = 0; t < taps; ++t) {
    const u8* line = in + t * stride;
    const i32 weight = weights[t];
    for (i64 j = 0; j < resample_lanes; ++j) sum[j] += weight * line[j];
  }
  for (i64 j = 0; j < resample_lanes; ++j) {
    const i32 value = sum[j] >> resample_bits;
    out[j] = static_cast<u8>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

/// Sixteen rows of pixels, turned so that the rows are neighbours: tile[64 x + 4 row] is pixel x of a row (and a byte
/// of its neighbour, which is not used). Missing rows repeat the last one.
inline void resample_load_tile(const u8* in, i64 stride, i64 rows, i64 width, u8* tile) {
  for (i64 r = 0; r < resample_tile; ++r) {
    const u8* line = in + std::min(r, rows - 1) * stride;
    u8* to = tile + 4 * r;
    for (i64 x = 0; x + 1 < width; ++x) std::memcpy(to + x * resample_lanes, line + 3 * x, 4);
    std::memcpy(to + (width - 1) * resample_lanes, line + 3 * (width - 1), 3);
  }
}

/// Input rows [row, row + count) of the box to window.width columns: scratch.between, rows `pitch` bytes apart.
inline void resample_columns(const ResampleImageArgs& a, i64 row, i64 count, i64 pitch, ResampleImageScratch& scratch) {
  const auto& axis = scratch.columns;
  const i64 left = axis.first[0];  // the first column that the window needs, and the number of them
  const i64 width = axis.first.back() + axis.taps.back() - left;
  scratch.tile.resize(static_cast<size_t>(width * resample_lanes));
  for (i64 r0 = 0; r0 < count; r0 += resample_tile) {
    const i64 rows = std::min(resample_tile, count - r0);
    const u8* in = a.in + (a.box.y + row + r0) * a.in_stride + 3 * (a.box.x + left);
    resample_load_tile(in, a.in_stride, rows, width, scratch.tile.data());
    u8* out = scratch.between.data() + r0 * pitch;
    for (i64 x = 0; x < a.window.width; ++x) {
      u8 sums[resample_lanes];
      const i64 first = axis.first[static_cast<size_t>(x)];
      resample_sum(scratch.tile.data() + (first - left) * resample_lanes, resample_lanes,
                   axis.weights.data() + x * axis.pitch, axis.taps[static_cast<size_t>(x)], sums);
      // The fourth byte lands on the next pixel, which is written later, or in the padding of the row.
      for (i64 r = 0; r < rows; ++r) std::memcpy(out + r * pitch + 3 * x, sums + 4 * r, 4);
    }
  }
}

}  // namespace detail

/// Resizes the box with Pillow's arithmetic: centre (o + 1/2) scale, support stretched by max(scale, 1), weights
/// normalised to 1 and rounded to 22 bits, sums in integers, 8 bits between the passes.
/// Throws if an extent is not positive or the window leaves the output. Reads each input byte of the box once.
/// Source: Pillow 9.4, Image.crop(box).resize(size, BICUBIC or BILINEAR). Newer releases do the rows first for some
/// shapes, and then differ by a few levels there.
inline void resample_image(const ResampleImageArgs& a, ResampleImageScratch& scratch) {
  require(a.box.x >= 0 && a.box.y >= 0 && a.box.width >= 1 && a.box.height >= 1,
          "resample_image: the box is {} x {} at ({},{})", a.box.width, a.box.height, a.box.x, a.box.y);
  require(a.window.x >= 0 && a.window.y >= 0 && a.window.width >= 1 && a.window.height >= 1 &&
              a.window.x + a.window.width <= a.out_width && a.window.y + a.window.height <= a.out_height,
          "resample_image: the window is {} x {} at ({},{}), the output is {} x {}", a.window.width, a.window.height,
          a.window.x, a.window.y, a.out_width, a.out_height);
  detail::resample_weights(a.filter, a.box.width, a.out_width, a.window.x, a.window.width, scratch.columns,
                           scratch.exact);
  detail::resample_weights(a.filter, a.box.height, a.out_height, a.window.y, a.window.height, scratch.rows,
                           scratch.exact);
  const auto& axis = scratch.rows;
  const i64 top = axis.first[0];
  const i64 count = axis.first.back() + axis.taps.back() - top;
  const i64 lanes = detail::resample_lanes;
  const i64 row_bytes = 3 * a.window.width;
  const i64 pitch = (row_bytes + 1 + lanes - 1) / lanes * lanes;
  scratch.between.resize(static_cast<size_t>(count * pitch));
  detail::resample_columns(a, top, count, pitch, scratch);
  for (i64 y = 0; y < a.window.height; ++y) {
    const size_t o = static_cast<size_t>(y);
    for (i64 j = 0; j < row_bytes; j += lanes) {
      u8 sums[detail::resample_lanes];
      detail::resample_sum(scratch.between.data() + (axis.first[o] - top) * pitch + j, pitch,
                           axis.weights.data() + y * axis.pitch, axis.taps[o], sums);
      std::memcpy(a.out + y * row_bytes + j, sums, static_cast<size_t>(std::min(lanes, row_bytes - j)));
    }
  }
}

}  // namespace dino::inline DINO_ABI::kernels
