// Matrix product of one thread: register tiles over blocks that stay in cache.
#pragma once

#include <dino/kernels/cpu/vec.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

/// C (M,N) = or += op(A) op(B) for one thread; strides in elements. bias (N) may be null; it is added once, to
/// overwritten and to accumulated results alike.
template <class T> struct BlockProduct {
  T* c;
  const T *a, *b, *bias;
  i64 m, n, k;
  i64 stride_c, stride_a, stride_b;
  bool transpose_a, transpose_b, add;
};

namespace detail {

/// Register tile: tile_rows x (2 vectors). 6 x 16 floats in 12 of 16 registers (AVX2), 12 x 32 in 24 of 32 (AVX-512).
inline constexpr i64 tile_rows = vector_bytes == 64 ? 12 : 6;
template <class T> inline constexpr i64 tile_cols = 2 * VectorOf<T>::size;

/// Length of the sums that are taken at a time: a panel of B, block_depth x tile_cols, stays in the first-level cache.
inline constexpr i64 block_depth = 256;

/// One tile: C (R, tile_cols) = start + A B over k terms. B: rows of tile_cols values, stride_b apart. start: C itself,
/// or a row of tile_cols values (the bias) for every row, or zero when it is null. A(r,k) is a[r stride_a + k], or
/// transposed a[k stride_a + r].
template <class T, i64 R, bool TransposeA> void multiply_tile(T* c, i64 stride_c, const T* a, i64 stride_a, const T* b,
                                                              i64 stride_b, i64 k, bool accumulate, const T* start) {
  using Vec = typename VectorOf<T>::type;
  constexpr i64 width = VectorOf<T>::size;
  using Memory = typename VectorOf<T>::unaligned;
  const auto load = [](const T* from) { return static_cast<Vec>(*reinterpret_cast<const Memory*>(from)); };
  Vec left_sum[static_cast<size_t>(R)] = {}, right_sum[static_cast<size_t>(R)] = {};
  if (accumulate || start) {
    DINO_HOST_UNROLL
    for (i64 r = 0; r < R; ++r) {
      const T* const from = accumulate ? c + r * stride_c : start;
      left_sum[r] = load(from);
      right_sum[r] = load(from + width);
    }
  }
  for (i64 i = 0; i < k; ++i) {
    const Vec left = load(b + i * stride_b), right = load(b + i * stride_b + width);
    DINO_HOST_UNROLL
    for (i64 r = 0; r < R; ++r) {
      const T x = TransposeA ? a[i * stride_a + r] : a[r * stride_a + i];
      left_sum[r] += x * left;
      right_sum[r] += x * right;
    }
  }
  DINO_HOST_UNROLL
  for (i64 r = 0; r < R; ++r) {
    *reinterpret_cast<Memory*>(c + r * stride_c) = left_sum[r];
    *reinterpret_cast<Memory*>(c + r * stride_c + width) = right_sum[r];
  }
}

/// multiply_tile for a number of rows that is known at run time only.
template <class T, bool TransposeA, i64 R = tile_rows> void multiply_rows(i64 rows, T* c, i64 stride_c, const T* a,
                                                                          i64 stride_a, const T* b, i64 stride_b, i64 k,
                                                                          bool accumulate, const T* start) {
  if constexpr (R > 0) {
    if (rows == R) return multiply_tile<T, R, TransposeA>(c, stride_c, a, stride_a, b, stride_b, k, accumulate, start);
    multiply_rows<T, TransposeA, R - 1>(rows, c, stride_c, a, stride_a, b, stride_b, k, accumulate, start);
  }
}

/// A panel of op(B), depth x tile_cols without gaps, columns beyond `cols` zero.
template <class T>
void pack_panel(T* panel, const BlockProduct<T>& p, i64 first_k, i64 depth, i64 first_col, i64 cols) {
  constexpr i64 width = tile_cols<T>;
  if (cols < width) std::fill_n(panel, depth * width, T(0));
  if (p.transpose_b) {
    for (i64 j = 0; j < cols; ++j) {
      const T* const from = p.b + (first_col + j) * p.stride_b + first_k;
      for (i64 k = 0; k < depth; ++k) panel[k * width + j] = from[k];
    }
  } else {
    const T* const from = p.b + first_k * p.stride_b + first_col;
    for (i64 k = 0; k < depth; ++k) {
      if (cols == width) {  // of constant length: no call
        std::memcpy(panel + k * width, from + k * p.stride_b, static_cast<size_t>(width) * sizeof(T));
      } else {
        std::copy_n(from + k * p.stride_b, cols, panel + k * width);
      }
    }
  }
}

/// op(A) of a transposed A, rows [0, m), as tiles of tile_rows x depth: value (r, k) of a tile at k * tile_rows + r.
/// Read as it stands, every value of a tile's row would lie in a cache line of its own.
template <class T> void pack_rows(T* packed, const BlockProduct<T>& p, i64 first_k, i64 depth) {
  for (i64 k = 0; k < depth; ++k) {
    const T* const from = p.a + (first_k + k) * p.stride_a;
    for (i64 row = 0; row < p.m; row += tile_rows) {
      const i64 rows = std::min(tile_rows, p.m - row);
      T* const to = packed + row * depth + k * tile_rows;
      if (rows == tile_rows) {
        std::memcpy(to, from + row, static_cast<size_t>(tile_rows) * sizeof(T));
      } else {
        std::copy_n(from + row, rows, to);
      }
    }
  }
}

/// Scratch of a thread for packed rows, kept from call to call.
template <class T> T* packed_rows_scratch(i64 values) {
  thread_local std::vector<T> scratch;
  if (static_cast<i64>(scratch.size()) < values) scratch.resize(static_cast<size_t>(values));
  return scratch.data();
}

/// All rows of one panel of C. Fewer columns than a tile go through a tile of their own.
template <class T, bool TransposeA> void multiply_panel(const BlockProduct<T>& p, const T* packed, const T* b,
                                                        i64 stride_b, i64 first_k, i64 depth, i64 first_col, i64 cols) {
  constexpr i64 width = tile_cols<T>;
  const bool whole = cols == width, accumulate = p.add || first_k > 0;
  const i64 stride_a = TransposeA ? tile_rows : p.stride_a;
  T edge[static_cast<size_t>(tile_rows * width)], bias[static_cast<size_t>(width)] = {};
  const T* start = nullptr;
  if (p.bias && first_k == 0) {
    std::copy_n(p.bias + first_col, cols, bias);
    start = bias;
  }
  for (i64 row = 0; row < p.m; row += tile_rows) {
    const i64 rows = std::min(tile_rows, p.m - row);
    const T* const a = TransposeA ? packed + row * depth : p.a + row * p.stride_a + first_k;
    T* const c = p.c + row * p.stride_c + first_col;
    if (start && accumulate) {
      for (i64 r = 0; r < rows; ++r) {
        for (i64 j = 0; j < cols; ++j) c[r * p.stride_c + j] += bias[j];
      }
    }
    if (whole) {
      multiply_rows<T, TransposeA>(rows, c, p.stride_c, a, stride_a, b, stride_b, depth, accumulate, start);
      continue;
    }
    for (i64 r = 0; r < rows; ++r) std::copy_n(c + r * p.stride_c, cols, edge + r * width);
    multiply_rows<T, TransposeA>(rows, edge, width, a, stride_a, b, stride_b, depth, accumulate, start);
    for (i64 r = 0; r < rows; ++r) std::copy_n(edge + r * width, cols, c + r * p.stride_c);
  }
}

}  // namespace detail

/// Carries a product out on the calling thread. Each element is a sum over k in order, in stretches of block_depth: it
/// does not depend on how a larger product was cut into rows and columns.
template <class T> void multiply_block(const BlockProduct<T>& p) {
  constexpr i64 width = detail::tile_cols<T>;
  alignas(64) T panel[static_cast<size_t>(detail::block_depth * width)];
  const i64 whole_tiles = (p.m + detail::tile_rows - 1) / detail::tile_rows * detail::tile_rows;
  T* const rows = p.transpose_a ? detail::packed_rows_scratch<T>(whole_tiles * detail::block_depth) : nullptr;
  for (i64 first_k = 0; first_k < std::max<i64>(1, p.k); first_k += detail::block_depth) {
    const i64 depth = std::min(detail::block_depth, p.k - first_k);
    if (p.transpose_a) detail::pack_rows(rows, p, first_k, depth);
    for (i64 col = 0; col < p.n; col += width) {
      const i64 cols = std::min(width, p.n - col);
      // Rows of B are rows of the panel already. Copied all the same when they are used often: at a distance of
      // stride_b they fall into few sets of the cache.
      const bool in_place = !p.transpose_b && cols == width && p.m <= 2 * detail::tile_rows;
      if (!in_place) detail::pack_panel(panel, p, first_k, depth, col, cols);
      const T* const b = in_place ? p.b + first_k * p.stride_b + col : panel;
      const i64 stride_b = in_place ? p.stride_b : width;
      if (p.transpose_a) {
        detail::multiply_panel<T, true>(p, rows, b, stride_b, first_k, depth, col, cols);
      } else {
        detail::multiply_panel<T, false>(p, nullptr, b, stride_b, first_k, depth, col, cols);
      }
    }
  }
}

}  // namespace dino::inline DINO_ABI::kernels
