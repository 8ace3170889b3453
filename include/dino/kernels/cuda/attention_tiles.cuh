// Tiles of attention on CUDA: how rows of q, k, v come into shared memory, and products of tiles on tensor cores.
#pragma once

#include <dino/base/math.hpp>
#include <dino/kernels/attention.hpp>
#include <dino/kernels/cuda/mma.cuh>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int attention_threads = 128;  // four warps
inline constexpr int attention_tile = 64;      // rows of a tile, 16 to a warp
inline constexpr int attention_float_tile = 32;
inline constexpr float attention_log2_e = 1.44269504f;
/// Shared memory of a tile of bf16.
template <int d> inline constexpr i64 tile_bytes = attention_tile * (d + 8) * static_cast<i64>(sizeof(bf16));

/// One group of crops: image b is the rows row + b * tokens of the packed matrices.
template <class T> struct AttentionGroup {
  const T* qkv;  // (R,3C)
  i64 row, images, tokens, heads;
  float scale;
  bool aligned;  // every head begins at a multiple of 16 bytes

  DINO_SHARED_CODE i64 width(int d) const { return heads * d; }
};

/// Where a block works: the grid is (tiles, images * heads) flattened.
struct AttentionPlace {
  i64 image, head;
  int first;  // row of the tile

  template <class G> DINO_DEVICE AttentionPlace(const G& g, int tile) {
    const i64 tiles = (g.tokens + tile - 1) / tile, i = blockIdx.x;
    first = static_cast<int>(i % tiles) * tile;
    head = i / tiles % g.heads;
    image = i / tiles / g.heads;
  }
};

/// Rows [first, first + 64) of a head into shared memory, rows of d + 8 values: no two rows of a matrix meet in one
/// bank. Rows beyond the last token are zero. The copies are under way when this returns.
template <int d>
DINO_DEVICE void load_tile(bf16* tile, const bf16* head, i64 stride, int first, i64 tokens, bool aligned DINO_SITE) {
  constexpr int chunks = d / 8;
  for (int i = block_thread(); i < attention_tile * chunks; i += attention_threads) {
    const int r = i / chunks, c = i % chunks * 8;
    const bool valid = first + r < tokens;
    bf16* const to = tile + r * (d + 8) + c;
    const bf16* const from = valid ? head + (first + r) * stride + c : head;
    if (aligned) {
      cp_async(to, from, valid DINO_AT);
    } else {
      for (int k = 0; k < 8; ++k) to[k] = valid ? from[k] : bf16{0};
    }
  }
}

/// The fragment of 16 rows and 16 columns of a tile, as the left factor of a product.
template <int d> DINO_DEVICE void load_left(u32 (&a)[4], const bf16* tile, int row, int col DINO_SITE) {
  const int i = lane() / 8, j = lane() % 8;
  ldmatrix_x4(a, tile + (row + i % 2 * 8 + j) * (d + 8) + col + i / 2 * 8 DINO_AT);
}

/// Rows [row, row + 16) of a tile as columns of the right factor, for left * tile^T; k = columns [col, col + 16).
/// b[0], b[1] are the fragment of the first 8 rows, b[2], b[3] that of the others.
template <int d> DINO_DEVICE void load_right_transposed(u32 (&b)[4], const bf16* tile, int row, int col DINO_SITE) {
  const int i = lane() / 8, j = lane() % 8;
  ldmatrix_x4(b, tile + (row + i / 2 * 8 + j) * (d + 8) + col + i % 2 * 8 DINO_AT);
}

/// Rows [row, row + 16) of a tile as k of the right factor, for left * tile; columns [col, col + 16).
template <int d> DINO_DEVICE void load_right(u32 (&b)[4], const bf16* tile, int row, int col DINO_SITE) {
  const int i = lane() / 8, j = lane() % 8;
  ldmatrix_x4_transposed(b, tile + (row + i % 2 * 8 + j) * (d + 8) + col + i / 2 * 8 DINO_AT);
}

/// c (16,16) += a (16,16) times both halves of b.
DINO_DEVICE void multiply_tile(float (&c)[2][4], const u32 (&a)[4], const u32 (&b)[4] DINO_SITE) {
  const u32 low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
  mma_16816<bf16>(c[0], a, low DINO_AT);
  mma_16816<bf16>(c[1], a, high DINO_AT);
}

/// c (16,16) = 16 rows of `left` times 16 rows of `right`, each of d values.
template <int d> DINO_DEVICE void multiply_rows(float (&c)[2][4], const bf16* left, int left_row, const bf16* right,
                                                int right_row DINO_SITE) {
  DINO_UNROLL
  for (int k = 0; k < d; k += 16) {
    u32 a[4], b[4];
    load_left<d>(a, left, left_row, k DINO_AT);
    load_right_transposed<d>(b, right, right_row, k DINO_AT);
    multiply_tile(c, a, b DINO_AT);
  }
}

/// sum (16,d) += p (16,16) times rows [row, row + 16) of `right`. p is rounded to bf16.
template <int d> DINO_DEVICE void multiply_add(float (&sum)[d / 16][2][4], const float (&p)[2][4], const bf16* right,
                                               int row DINO_SITE) {
  const u32 a[4] = {pack2<bf16>(p[0][0], p[0][1]), pack2<bf16>(p[0][2], p[0][3]), pack2<bf16>(p[1][0], p[1][1]),
                    pack2<bf16>(p[1][2], p[1][3])};
  DINO_UNROLL
  for (int k = 0; k < d / 16; ++k) {
    u32 b[4];
    load_right<d>(b, right, row, 16 * k DINO_AT);
    multiply_tile(sum[k], a, b DINO_AT);
  }
}

/// The row, inside 16, and the column, inside 16, of value i of half h of a product of this lane.
DINO_DEVICE int fragment_row(int i) { return lane() / 4 + i / 2 * 8; }
DINO_DEVICE int fragment_col(int h, int i) { return 8 * h + lane() % 4 * 2 + i % 2; }

/// Rows [first, first + 32) of a head into shared memory as float; rows beyond the last token are zero.
template <int d> DINO_DEVICE void load_float_tile(float (&tile)[attention_float_tile][d + 1], const float* head,
                                                  i64 stride, int first, i64 tokens) {
  for (int i = block_thread(); i < attention_float_tile * d; i += attention_threads) {
    const int r = i / d, c = i % d;
    tile[r][c] = first + r < tokens ? head[(first + r) * stride + c] : 0.0f;
  }
}

template <int d> DINO_DEVICE float dot_rows(const float (&x)[d + 1], const float (&y)[d + 1]) {
  float sum = 0;
  DINO_UNROLL
  for (int c = 0; c < d; ++c) sum = fmaf(x[c], y[c], sum);
  return sum;
}

/// sum = factor sum + p tile, one row: a lane has the columns lane, lane + 32, ...
template <int d, int columns> DINO_DEVICE void add_rows(float (&sum)[columns], float factor, const float* p,
                                                        const float (&tile)[attention_float_tile][d + 1]) {
  DINO_UNROLL
  for (int i = 0; i < columns; ++i) {
    const int c = i * warp_size + lane();
    if (c >= d) continue;
    sum[i] *= factor;
    for (int j = 0; j < attention_float_tile; ++j) sum[i] = fmaf(p[j], tile[j][c], sum[i]);
  }
}

template <class Args> auto attention_group(const Args& a, const Segment& s) {
  using T = std::remove_const_t<std::remove_pointer_t<decltype(a.qkv)>>;
  return AttentionGroup<T>{.qkv = a.qkv,
                           .row = s.row,
                           .images = s.images,
                           .tokens = s.tokens,
                           .heads = a.heads,
                           .scale = a.scale,
                           .aligned = reinterpret_cast<std::uintptr_t>(a.qkv) % 16 == 0};
}

/// One block for each tile of rows of each head of a group.
inline LaunchConfig attention_blocks(const Segment& s, i64 heads, i64 tile, i64 shared_bytes) {
  return {.grid = {(s.tokens + tile - 1) / tile * s.images * heads},
          .block = {attention_threads},
          .shared_bytes = shared_bytes};
}

}  // namespace detail

/// Throws unless there is a kernel for heads of this size; calls f with it as a constant.
template <class F> void with_head_dim(i64 head_dim, F f) {
  switch (head_dim) {
    case 16:
      return f(std::integral_constant<int, 16>{});
    case 32:
      return f(std::integral_constant<int, 32>{});
    case 64:
      return f(std::integral_constant<int, 64>{});
    default:
      fail(ErrorKind::usage,
           "attention on CUDA: head_dim is {}; there are kernels for 64, 32 and 16. Choose the number of heads so that "
           "width / heads is one of them, or compute on the CPU",
           head_dim);
  }
}

}  // namespace dino::inline DINO_ABI::kernels
