// Attention on the CPU: a head of an image belongs to one thread; scores live in its scratch memory only.
#pragma once

#include <dino/base/math.hpp>
#include <dino/device/cpu.hpp>
#include <dino/kernels/attention.hpp>
#include <dino/kernels/cpu/gemm_block.hpp>
#include <dino/kernels/cpu/row.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// Queries are taken in blocks of this many rows, so that a block of scores stays in the second-level cache.
constexpr i64 attention_rows = 128;

/// One head of one image: where it lies.
struct AttentionHead {
  i64 row, tokens, head;  // first row of the image, tokens, head
  i64 map;                // offset in class_map
};

inline std::vector<AttentionHead> attention_heads(const Segments& segments, i64 heads) {
  std::vector<AttentionHead> list;
  list.reserve(static_cast<size_t>(segments.images() * heads));
  i64 map = 0;
  for (const auto& s : segments) {
    for (i64 image = 0; image < s.images; ++image) {
      for (i64 h = 0; h < heads; ++h, map += s.tokens) list.push_back({s.row + image * s.tokens, s.tokens, h, map});
    }
  }
  return list;
}

/// scores (rows,N) = q k^T for `rows` queries.
template <class T>
void attention_scores(T* scores, const T* q, const T* k, i64 rows, i64 tokens, i64 head_dim, i64 stride) {
  multiply_block<T>({.c = scores,
                     .a = q,
                     .b = k,
                     .bias = nullptr,
                     .m = rows,
                     .n = tokens,
                     .k = head_dim,
                     .stride_c = tokens,
                     .stride_a = stride,
                     .stride_b = stride,
                     .transpose_a = false,
                     .transpose_b = true,
                     .add = false});
}

/// Turns a row of scores into probabilities; returns the log of the sum of exponentials.
template <class T> T softmax_row(T* s, i64 n, T scale) {
  const T largest = max_over<T>(n, [s](i64 i) { return s[i]; });
  exp_shifted_row(s, s, n, scale, largest);
  const T total = sum(s, n);
  const T inverse = 1 / total;
  DINO_IVDEP
  for (i64 i = 0; i < n; ++i) s[i] *= inverse;
  return scale * largest + std::log(total);
}

template <class T> void attention_forward_head(const AttentionForward<T>& a, const AttentionHead& at, T* scores) {
  const i64 d = a.head_dim, width = a.heads * d, stride = 3 * width, n = at.tokens;
  const T* const q = a.qkv + at.row * stride + at.head * d;
  const T *const k = q + width, *const v = k + width;
  for (i64 first = 0; first < n; first += attention_rows) {
    const i64 rows = std::min(attention_rows, n - first);
    attention_scores(scores, q + first * stride, k, rows, n, d, stride);
    for (i64 r = 0; r < rows; ++r) {
      const T lse = softmax_row(scores + r * n, n, a.scale);
      if (a.lse) a.lse[(at.row + first + r) * a.heads + at.head] = lse;
    }
    if (a.class_map && first == 0) std::copy_n(scores, n, a.class_map + at.map);
    T* const out = a.out + (at.row + first) * width + at.head * d;
    multiply_block<T>({.c = out,
                       .a = scores,
                       .b = v,
                       .bias = nullptr,
                       .m = rows,
                       .n = d,
                       .k = n,
                       .stride_c = width,
                       .stride_a = n,
                       .stride_b = stride,
                       .transpose_a = false,
                       .transpose_b = false,
                       .add = false});
  }
}

/// dP of a block becomes scale * dS = scale * P (dP - <P,dP> / sum P), in place; P is computed again from the scores
/// and lse. <dO,O> is the same number, but rounded apart from the P at hand: in float it leaves up to ten times as much
/// of the gradient of the key bias, the sum of these rows, which is zero.
template <class T> void attention_score_gradient(const AttentionBackward<T>& a, const AttentionHead& at, i64 first,
                                                 i64 rows, T* p, T* ds) {
  const i64 n = at.tokens;
  for (i64 r = 0; r < rows; ++r) {
    T *const pr = p + r * n, *const dr = ds + r * n;
    const T lse = a.lse[(at.row + first + r) * a.heads + at.head], scale = a.scale;
    exp_row(pr, pr, n, scale, lse);
    const T correction = dot(pr, dr, n) / sum(pr, n);
    DINO_IVDEP
    for (i64 i = 0; i < n; ++i) dr[i] = scale * pr[i] * (dr[i] - correction);
  }
}

/// dq, dk and dv of one head into `grads`, three matrices (N,d) one after the other.
template <class T>
void attention_backward_head(const AttentionBackward<T>& a, const AttentionHead& at, T* p, T* ds, T* grads) {
  const i64 d = a.head_dim, width = a.heads * d, stride = 3 * width, n = at.tokens;
  const T* const q = a.qkv + at.row * stride + at.head * d;
  const T *const k = q + width, *const v = k + width;
  T *const dq = grads, *const dk = grads + n * d, *const dv = grads + 2 * n * d;
  for (i64 first = 0; first < n; first += attention_rows) {
    const i64 rows = std::min(attention_rows, n - first);
    const T *const dout = a.dout + (at.row + first) * width + at.head * d, *const queries = q + first * stride;
    // c (m,d) of the gradients, from the scores' block on the left
    const auto product = [&](T* c, const T* left, bool transposed, const T* right, i64 right_stride) {
      multiply_block<T>({.c = c,
                         .a = left,
                         .b = right,
                         .bias = nullptr,
                         .m = transposed ? n : rows,
                         .n = d,
                         .k = transposed ? rows : n,
                         .stride_c = d,
                         .stride_a = n,
                         .stride_b = right_stride,
                         .transpose_a = transposed,
                         .transpose_b = false,
                         .add = transposed && first > 0});
    };
    attention_scores(p, queries, k, rows, n, d, stride);
    multiply_block<T>({.c = ds,
                       .a = dout,
                       .b = v,
                       .bias = nullptr,
                       .m = rows,
                       .n = n,
                       .k = d,
                       .stride_c = n,
                       .stride_a = width,
                       .stride_b = stride,
                       .transpose_a = false,
                       .transpose_b = true,
                       .add = false});
    attention_score_gradient(a, at, first, rows, p, ds);
    product(dv, p, true, dout, width);
    product(dq + first * d, ds, false, k, stride);
    product(dk, ds, true, queries, stride);
  }
}

/// Scratch of a thread, kept from task to task.
template <class T> T* attention_scratch(i64 values) {
  thread_local std::vector<T> scratch;
  if (static_cast<i64>(scratch.size()) < values) scratch.resize(static_cast<size_t>(values));
  return scratch.data();
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const AttentionForward<T>& a) {
  const auto heads = detail::attention_heads(*a.segments, a.heads);
  ctx.threads().run(static_cast<i64>(heads.size()), [&](i64 task) {
    const auto& at = heads[static_cast<size_t>(task)];
    T* const scores = detail::attention_scratch<T>(std::min(detail::attention_rows, at.tokens) * at.tokens);
    detail::attention_forward_head(a, at, scores);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const AttentionBackward<T>& a) {
  const auto heads = detail::attention_heads(*a.segments, a.heads);
  ctx.threads().run(static_cast<i64>(heads.size()), [&](i64 task) {
    const auto& at = heads[static_cast<size_t>(task)];
    const i64 d = a.head_dim, width = a.heads * d, n = at.tokens;
    const i64 scores = std::min(detail::attention_rows, n) * n;
    T* const scratch = detail::attention_scratch<T>(2 * scores + 3 * n * d);
    T* const grads = scratch + 2 * scores;
    detail::attention_backward_head(a, at, scratch, scratch + scores, grads);
    for (i64 part = 0; part < 3; ++part) {
      for (i64 r = 0; r < n; ++r) {
        const T* const from = grads + (part * n + r) * d;
        T* const to = a.dqkv.ptr + (at.row + r) * 3 * width + part * width + at.head * d;
        for (i64 c = 0; c < d; ++c) to[c] = a.dqkv.add ? to[c] + from[c] : from[c];
      }
    }
  });
}

}  // namespace dino::inline DINO_ABI::kernels
