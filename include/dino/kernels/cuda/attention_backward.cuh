// Gradients of attention for CUDA. Two kernels of one text: a block to a tile of queries gives dq, a block to a tile of
// keys gives dk and dv. Each writes what it alone has summed: no atomics, and dq is never in memory as float.
#pragma once

#include <dino/kernels/cuda/attention_tiles.cuh>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class T> struct AttentionBackwardGroup : AttentionGroup<T> {
  Target<T> dqkv;       // (R,3C)
  const T *dout, *out;  // (R,C) (R,C)
  const float* lse;     // (R,H)
  float* correction;    // (R,H): <dout, out> of each head
};

/// correction = <dout, out>, a thread to a row and head.
template <class T, int d> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(attention_threads)
    attention_correction(const __grid_constant__ AttentionBackwardGroup<T> a) {
  const i64 i = global_thread();
  if (i >= a.images * a.tokens * a.heads) return;
  const i64 at = (a.row * a.heads + i) * d;  // rows of H heads of d values follow each other without gaps
  float sum = 0;
  for (int c = 0; c < d; ++c) sum = fmaf(to_acc(a.dout[at + c]), to_acc(a.out[at + c]), sum);
  a.correction[a.row * a.heads + i] = sum;
}

/// lse and correction of 64 (32) rows from `first` on; beyond the last token lse is so large that P is zero.
template <int tile, class A>
DINO_DEVICE void load_row_numbers(float* lse, float* correction, const A& a, const AttentionPlace& at, int first) {
  for (int r = block_thread(); r < tile; r += attention_threads) {
    const bool valid = first + r < a.tokens;
    const i64 i = (a.row + at.image * a.tokens + first + r) * a.heads + at.head;
    lse[r] = valid ? a.lse[i] * attention_log2_e : -lowest_float;
    correction[r] = valid ? a.correction[i] : 0.0f;
  }
}

DINO_DEVICE void put_rounded(const Target<bf16>& to, i64 i, float x) {
  to.ptr[i] = round_to<bf16>(to.add ? to_acc(to.ptr[i]) + x : x);
}

/// With rows of the block on the left and a tile of the others on the right,
///     keys = false: P (query, key), dS = P (dout v^T - correction),   dq += dS k
///     keys = true: the same transposed,                               dk += dS^T q,   dv += P^T dout
template <int d, bool keys> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(attention_threads)
    attention_backward_bf16(const __grid_constant__ AttentionBackwardGroup<bf16> a) {
  constexpr int tile_values = attention_tile * (d + 8), blocks = attention_tile / 16;
  // left: q and dout, or k and v; right: k and v, or q and dout
  bf16 *const left = dynamic_shared<bf16>(), *const left2 = left + tile_values;
  bf16 *const right = left2 + tile_values, *const right2 = right + tile_values;
  DINO_SHARED(lse, float[attention_tile]);
  DINO_SHARED(correction, float[attention_tile]);
  const AttentionPlace at(a, attention_tile);
  const i64 width = a.width(d), stride = 3 * width, row0 = a.row + at.image * a.tokens;
  const bf16* const head = a.qkv + row0 * stride + at.head * d;
  const bf16* const dout = a.dout + row0 * width + at.head * d;
  const float scale = a.scale * attention_log2_e;
  const int own = 16 * warp();

  load_tile<d>(left, keys ? head + width : head, stride, at.first, a.tokens, a.aligned);
  load_tile<d>(left2, keys ? head + 2 * width : dout, keys ? stride : width, at.first, a.tokens, a.aligned);
  if (!keys) load_row_numbers<attention_tile>(lse, correction, a, at, at.first);
  float sum[d / 16][2][4] = {}, sum2[d / 16][2][4] = {};
  for (int first = 0; first < a.tokens; first += attention_tile) {
    load_tile<d>(right, keys ? head : head + width, stride, first, a.tokens, a.aligned);
    load_tile<d>(right2, keys ? dout : head + 2 * width, keys ? width : stride, first, a.tokens, a.aligned);
    if (keys) load_row_numbers<attention_tile>(lse, correction, a, at, first);
    cp_async_commit();
    cp_async_wait<0>();
    sync_block();
    for (int b = 0; b < blocks; ++b) {
      float p[2][4] = {}, ds[2][4] = {};
      multiply_rows<d>(p, left, own, right, 16 * b);
      multiply_rows<d>(ds, left2, own, right2, 16 * b);
      DINO_UNROLL
      for (int i = 0; i < 8; ++i) {
        const int row = own + fragment_row(i % 4), col = 16 * b + fragment_col(i / 4, i % 4);
        const int query = keys ? col : row;
        float& probability = p[i / 4][i % 4];
        probability = exp2_approx(fmaf(probability, scale, -lse[query]));
        if (!keys && first + col >= a.tokens) probability = 0;
        ds[i / 4][i % 4] = probability * (ds[i / 4][i % 4] - correction[query]);
      }
      multiply_add<d>(sum, ds, right, 16 * b);
      if (keys) multiply_add<d>(sum2, p, right2, 16 * b);
    }
    sync_block();  // the tiles are written again
  }

  DINO_UNROLL
  for (int i = 0; i < d / 2; ++i) {
    const int part = i / 8, half = i / 4 % 2, value = i % 4, row = at.first + own + fragment_row(value);
    if (row >= a.tokens) continue;
    const i64 to = (row0 + row) * stride + at.head * d + 16 * part + fragment_col(half, value);
    put_rounded(a.dqkv, keys ? to + width : to, a.scale * sum[part][half][value]);
    if (keys) put_rounded(a.dqkv, to + 2 * width, sum2[part][half][value]);
  }
}

/// The same in float: a warp to eight rows of the left, a lane to a row of the right.
template <int d, bool keys> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(attention_threads)
    attention_backward_float(const __grid_constant__ AttentionBackwardGroup<float> a) {
  constexpr int tile = attention_float_tile, rows = tile / 4, columns = (d + warp_size - 1) / warp_size;
  DINO_SHARED(left, float[tile][d + 1]);
  DINO_SHARED(left2, float[tile][d + 1]);
  DINO_SHARED(right, float[tile][d + 1]);
  DINO_SHARED(right2, float[tile][d + 1]);
  DINO_SHARED(lse, float[tile]);
  DINO_SHARED(correction, float[tile]);
  DINO_SHARED(p, float[2][4][warp_size]);
  const AttentionPlace at(a, tile);
  const i64 width = a.width(d), stride = 3 * width, row0 = a.row + at.image * a.tokens;
  const float* const head = a.qkv + row0 * stride + at.head * d;
  const float* const dout = a.dout + row0 * width + at.head * d;
  const float scale = a.scale * attention_log2_e;

  load_float_tile<d>(left, keys ? head + width : head, stride, at.first, a.tokens);
  load_float_tile<d>(left2, keys ? head + 2 * width : dout, keys ? stride : width, at.first, a.tokens);
  if (!keys) load_row_numbers<tile>(lse, correction, a, at, at.first);
  float sum[rows][columns] = {}, sum2[rows][columns] = {};
  for (int first = 0; first < a.tokens; first += tile) {
    load_float_tile<d>(right, keys ? head : head + width, stride, first, a.tokens);
    load_float_tile<d>(right2, keys ? dout : head + 2 * width, keys ? width : stride, first, a.tokens);
    if (keys) load_row_numbers<tile>(lse, correction, a, at, first);
    sync_block();
    DINO_UNROLL
    for (int r = 0; r < rows; ++r) {
      const int row = warp() * rows + r, query = keys ? lane() : row;
      const float score = dot_rows<d>(left[row], right[lane()]), dp = dot_rows<d>(left2[row], right2[lane()]);
      const bool valid = first + lane() < a.tokens;
      const float own = valid ? exp2_approx(fmaf(score, scale, -lse[query])) : 0.0f;
      p[0][warp()][lane()] = own * (dp - correction[query]);
      p[1][warp()][lane()] = own;
      sync_warp();
      add_rows<d>(sum[r], 1.0f, p[0][warp()], right);
      if (keys) add_rows<d>(sum2[r], 1.0f, p[1][warp()], right2);
      sync_warp();  // p is written again
    }
    sync_block();  // the tiles are written again
  }
  DINO_UNROLL
  for (int r = 0; r < rows; ++r) {
    const int row = at.first + warp() * rows + r;
    DINO_UNROLL
    for (int i = 0; i < columns; ++i) {
      const int c = i * warp_size + lane();
      if (row >= a.tokens || c >= d) continue;
      const i64 to = (row0 + row) * stride + at.head * d + c;
      a.dqkv.put(keys ? to + width : to, a.scale * sum[r][i]);
      if (keys) a.dqkv.put(to + 2 * width, sum2[r][i]);
    }
  }
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const AttentionBackward<T>& a) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, bf16>, "attention on CUDA: float and bf16");
  using namespace detail;
  if (!a.dqkv) return;
  with_head_dim(a.head_dim, [&](auto head_dim) {
    constexpr int d = decltype(head_dim)::value;
    const DeviceScratch correction(ctx, a.segments->rows() * a.heads);
    for (const auto& s : *a.segments) {
      AttentionBackwardGroup<T> group{attention_group(a, s), a.dqkv, a.dout, a.out, a.lse, correction.data()};
      group.aligned = group.aligned && reinterpret_cast<std::uintptr_t>(a.dout) % 16 == 0;
      ctx.launch(attention_correction<T, d>, threads(s.rows() * a.heads, attention_threads), group);
      if constexpr (std::is_same_v<T, float>) {
        const auto config = attention_blocks(s, a.heads, attention_float_tile, 0);
        ctx.launch(attention_backward_float<d, false>, config, group);
        ctx.launch(attention_backward_float<d, true>, config, group);
      } else {
        const auto config = attention_blocks(s, a.heads, attention_tile, 4 * tile_bytes<d>);
        ctx.launch(attention_backward_bf16<d, false>, config, group);
        ctx.launch(attention_backward_bf16<d, true>, config, group);
      }
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
