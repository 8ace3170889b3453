// Attention on the CPU: a head of an image belongs to one thread; scores live in its scratch memory only.
#pragma once

#include <dino/base/math.hpp>
#include <dino/kernels/attention.hpp>
#include <dino/kernels/cpu/gemm.hpp>
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
  std::fill_n(scores, rows * tokens, T(0));
  multiply_add<T>(GemmMap<T>(scores, rows, tokens, Eigen::OuterStride<>(tokens)), q, stride, false, k, stride, true,
                  head_dim);
}

/// Turns a row of scores into probabilities; returns the log of the sum of exponentials.
template <class T> T softmax_row(T* s, i64 n, T scale) {
  const T largest = scale * max_over<T>(n, [s](i64 i) { return s[i]; });
  exp_row(s, s, n, scale, largest);
  const T total = sum(s, n);
  const T inverse = 1 / total;
  DINO_IVDEP
  for (i64 i = 0; i < n; ++i) s[i] *= inverse;
  return largest + std::log(total);
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
    for (i64 r = 0; r < rows; ++r) std::fill_n(out + r * width, d, T(0));
    multiply_add<T>(GemmMap<T>(out, rows, d, Eigen::OuterStride<>(width)), scores, n, false, v, stride, false, n);
  }
}

/// dP of a block becomes scale * dS, in place: P is computed again from the scores and lse.
template <class T> void attention_score_gradient(const AttentionBackward<T>& a, const AttentionHead& at, i64 first,
                                                 i64 rows, T* p, T* ds) {
  const i64 d = a.head_dim, width = a.heads * d, n = at.tokens;
  for (i64 r = 0; r < rows; ++r) {
    const i64 row = at.row + first + r;
    T *const pr = p + r * n, *const dr = ds + r * n;
    const T lse = a.lse[row * a.heads + at.head], scale = a.scale;
    const T correction = dot(a.dout + row * width + at.head * d, a.out + row * width + at.head * d, d);
    exp_row(pr, pr, n, scale, lse);
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
  const auto matrix = [](T* data, i64 rows, i64 cols) {
    return GemmMap<T>(data, rows, cols, Eigen::OuterStride<>(cols));
  };
  std::fill_n(grads, 3 * n * d, T(0));
  for (i64 first = 0; first < n; first += attention_rows) {
    const i64 rows = std::min(attention_rows, n - first);
    const T* const dout = a.dout + (at.row + first) * width + at.head * d;
    attention_scores(p, q + first * stride, k, rows, n, d, stride);
    std::fill_n(ds, rows * n, T(0));
    multiply_add<T>(matrix(ds, rows, n), dout, width, false, v, stride, true, d);
    attention_score_gradient(a, at, first, rows, p, ds);
    multiply_add<T>(matrix(dv, n, d), p, n, true, dout, width, false, rows);
    multiply_add<T>(matrix(dq + first * d, rows, d), ds, n, false, k, stride, false, n);
    multiply_add<T>(matrix(dk, n, d), ds, n, true, q + first * stride, stride, false, rows);
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
