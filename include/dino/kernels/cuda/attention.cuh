// Attention for CUDA: a block to 64 (float: 32) queries of a head, tiles of keys in turn, softmax as it goes.
#pragma once

#include <dino/kernels/cuda/attention_backward.cuh>
#include <dino/kernels/cuda/attention_tiles.cuh>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class T> struct AttentionForwardGroup : AttentionGroup<T> {
  T* out;            // (R,C)
  float* lse;        // (R,H)
  float* class_map;  // (images,H,N) of this group
};

/// What a lane knows of two rows (bf16) or of one (float) while keys go by: the largest score, and the sum of
/// exponentials relative to it.
struct RunningSoftmax {
  float largest = lowest_float, total = 0;

  /// Takes in the largest score of a tile; returns the factor for everything summed so far.
  DINO_DEVICE float raise(float score, float scale) {
    const float before = largest;
    largest = fmaxf(largest, score);
    const float factor = exp2_approx((before - largest) * scale);
    total *= factor;
    return factor;
  }
};

/// bf16: scores and sums in float on tensor cores, probabilities in bf16, divided by the sum of the unrounded ones.
template <int d> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(attention_threads)
    attention_forward_bf16(const __grid_constant__ AttentionForwardGroup<bf16> a) {
  constexpr int tile_values = attention_tile * (d + 8), blocks = attention_tile / 16;
  bf16 *const q = dynamic_shared<bf16>(), *const k = q + tile_values, *const v = k + tile_values;
  const AttentionPlace at(a, attention_tile);
  const i64 width = a.width(d), stride = 3 * width, row0 = a.row + at.image * a.tokens;
  const bf16* const head = a.qkv + row0 * stride + at.head * d;
  const float scale = a.scale * attention_log2_e;
  const int own = 16 * warp();  // first row of this warp in the tile

  load_tile<d>(q, head, stride, at.first, a.tokens, a.aligned);
  float out[d / 16][2][4] = {};
  RunningSoftmax softmax[2];
  for (int first = 0; first < a.tokens; first += attention_tile) {
    load_tile<d>(k, head + width, stride, first, a.tokens, a.aligned);
    load_tile<d>(v, head + 2 * width, stride, first, a.tokens, a.aligned);
    cp_async_commit();
    cp_async_wait<0>();
    sync_block();
    float s[blocks][2][4] = {}, largest[2] = {lowest_float, lowest_float};
    DINO_UNROLL
    for (int b = 0; b < blocks; ++b) {
      multiply_rows<d>(s[b], q, own, k, 16 * b);
      const int left = static_cast<int>(a.tokens) - first - 16 * b;  // keys from here on
      DINO_UNROLL
      for (int i = 0; i < 8; ++i) {
        float& score = s[b][i / 4][i % 4];
        if (fragment_col(i / 4, i % 4) >= left) score = lowest_float;
        largest[i % 4 / 2] = fmaxf(largest[i % 4 / 2], score);
      }
    }
    float factor[2];
    DINO_UNROLL
    for (int h = 0; h < 2; ++h) {  // the four lanes of a row
      largest[h] = fmaxf(largest[h], shuffle_xor(largest[h], 1));
      largest[h] = fmaxf(largest[h], shuffle_xor(largest[h], 2));
      factor[h] = softmax[h].raise(largest[h], scale);
    }
    DINO_UNROLL
    for (int i = 0; i < d / 2; ++i) out[i / 8][i / 4 % 2][i % 4] *= factor[i % 4 / 2];
    DINO_UNROLL
    for (int b = 0; b < blocks; ++b) {
      DINO_UNROLL
      for (int i = 0; i < 8; ++i) {
        float& p = s[b][i / 4][i % 4];
        RunningSoftmax& row = softmax[i % 4 / 2];
        p = exp2_approx((p - row.largest) * scale);
        row.total += p;
      }
      multiply_add<d>(out, s[b], v, 16 * b);
    }
    sync_block();  // the tiles are written again
  }

  DINO_UNROLL
  for (int h = 0; h < 2; ++h) {
    float total = softmax[h].total;
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    const int row = at.first + own + fragment_row(2 * h);
    if (row >= a.tokens) continue;
    const float inverse = 1 / total;
    if (a.lse && lane() % 4 == 0) {
      a.lse[(row0 + row) * a.heads + at.head] = a.scale * softmax[h].largest + logf(total);
    }
    bf16* const to = a.out + (row0 + row) * width + at.head * d;
    DINO_UNROLL
    for (int i = 0; i < d / 4; ++i) {
      const int part = i / 4, half = i / 2 % 2, value = 2 * h + i % 2;
      to[16 * part + fragment_col(half, value)] = round_to<bf16>(out[part][half][value] * inverse);
    }
  }
}

/// float: a warp to eight queries, a lane to a key of the tile, then a lane to a column of the result.
template <int d> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(attention_threads, 4)
    attention_forward_float(const __grid_constant__ AttentionForwardGroup<float> a) {
  constexpr int rows = attention_float_tile / 4, columns = (d + warp_size - 1) / warp_size;
  DINO_SHARED(q, float[attention_float_tile][d + 1]);
  DINO_SHARED(k, float[attention_float_tile][d + 1]);
  DINO_SHARED(v, float[attention_float_tile][d + 1]);
  DINO_SHARED(p, float[4][warp_size]);
  const AttentionPlace at(a, attention_float_tile);
  const i64 width = a.width(d), stride = 3 * width, row0 = a.row + at.image * a.tokens;
  const float* const head = a.qkv + row0 * stride + at.head * d;
  const float scale = a.scale * attention_log2_e;

  load_float_tile<d>(q, head, stride, at.first, a.tokens);
  float out[rows][columns] = {};
  RunningSoftmax softmax[rows];
  for (int first = 0; first < a.tokens; first += attention_float_tile) {
    load_float_tile<d>(k, head + width, stride, first, a.tokens);
    load_float_tile<d>(v, head + 2 * width, stride, first, a.tokens);
    sync_block();
    DINO_UNROLL
    for (int r = 0; r < rows; ++r) {
      const float score =
          first + lane() < a.tokens ? dot_rows<d>(q[warp() * rows + r], k[lane()]) : lowest_float;
      const float factor = softmax[r].raise(warp_max(score), scale);
      const float own = exp2_approx((score - softmax[r].largest) * scale);
      softmax[r].total += own;  // of this lane: the lanes are added at the end
      p[warp()][lane()] = own;
      sync_warp();
      add_rows<d>(out[r], factor, p[warp()], v);
      sync_warp();  // p is written again
    }
    sync_block();  // the tiles are written again
  }
  DINO_UNROLL
  for (int r = 0; r < rows; ++r) {
    const float total = warp_sum(softmax[r].total);
    const int row = at.first + warp() * rows + r;
    if (row >= a.tokens) continue;  // the same for the whole warp
    if (a.lse && lane() == 0) {
      a.lse[(row0 + row) * a.heads + at.head] = a.scale * softmax[r].largest + logf(total);
    }
    DINO_UNROLL
    for (int i = 0; i < columns; ++i) {
      const int c = i * warp_size + lane();
      if (c < d) a.out[(row0 + row) * width + at.head * d + c] = out[r][i] / total;
    }
  }
}

/// What the class token looks at: one warp to an image and head.
template <class T, int d> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(attention_threads)
    attention_class_map(const __grid_constant__ AttentionForwardGroup<T> a) {
  const i64 place = global_warp();
  if (place >= a.images * a.heads) return;  // a whole warp; there is no block barrier here
  const i64 image = place / a.heads, h = place % a.heads, width = a.width(d), stride = 3 * width;
  const T* const q = a.qkv + (a.row + image * a.tokens) * stride + h * d;
  float* const map = a.class_map + place * a.tokens;
  float largest = lowest_float, total = 0;
  for (i64 j = lane(); j < a.tokens; j += warp_size) {
    const T* const k = q + j * stride + width;
    float score = 0;
    for (int c = 0; c < d; ++c) score = fmaf(to_acc(q[c]), to_acc(k[c]), score);
    map[j] = score;  // read again by this lane alone
    largest = fmaxf(largest, score);
  }
  largest = warp_max(largest);
  for (i64 j = lane(); j < a.tokens; j += warp_size) {
    map[j] = math::exp((map[j] - largest) * a.scale);
    total += map[j];
  }
  const float inverse = 1 / warp_sum(total);
  for (i64 j = lane(); j < a.tokens; j += warp_size) map[j] *= inverse;
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const AttentionForward<T>& a) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, bf16>, "attention on CUDA: float and bf16");
  using namespace detail;
  with_head_dim(a.head_dim, [&](auto head_dim) {
    constexpr int d = decltype(head_dim)::value;
    float* map = a.class_map;
    for (const auto& s : *a.segments) {
      AttentionForwardGroup<T> group{attention_group(a, s), a.out, a.lse, map};
      const i64 heads = s.images * a.heads;
      if constexpr (std::is_same_v<T, float>) {
        ctx.launch(attention_forward_float<d>, attention_blocks(s, a.heads, attention_float_tile, 0), group);
      } else {
        ctx.launch(attention_forward_bf16<d>, attention_blocks(s, a.heads, attention_tile, 3 * tile_bytes<d>), group);
      }
      if (!map) continue;
      ctx.launch(attention_class_map<T, d>, warps(heads, attention_threads / warp_size), group);
      map += heads * s.tokens;
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
