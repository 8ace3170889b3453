// Optimizer steps on the CPU, in fixed blocks of each range.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/optimizer.hpp>

#include <cmath>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// Small tensors share a task: f(block) for every block of every range.
template <class A, class F> void for_each_block(Context<Cpu>& ctx, std::span<const UpdateRange<A>> ranges, F f) {
  const auto blocks = range_blocks(ranges, RangeNorms<A>::block);
  parallel_ranges(ctx, static_cast<i64>(blocks.size()), 4, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) f(blocks[static_cast<size_t>(i)]);
  });
}

/// copy = p rounded to T.
template <class T> void round_masters(T* copy, const acc_t<T>* p, i64 begin, i64 end) {
  if (!copy) return;
  DINO_IVDEP
  for (i64 i = begin; i < end; ++i) copy[i] = from_acc<T>(p[i]);
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const RangeNorms<T>& a) {
  using A = acc_t<T>;
  const auto blocks = detail::range_blocks(a.ranges, RangeNorms<T>::block);
  parallel_ranges(ctx, static_cast<i64>(blocks.size()), 4, [&](i64 first, i64 last) {
    for (i64 i = first; i < last; ++i) {
      const auto& b = blocks[static_cast<size_t>(i)];
      const A* const g = a.g ? a.g + b.begin : nullptr;
      const A* const p = a.p ? a.p + b.begin : nullptr;
      const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
      const A decay = g ? a.ranges[static_cast<size_t>(b.range)].decay : A(1);
      if (g && p) {
        a.partial[i] = sum_over<A>(b.end - b.begin, [=](i64 k) {
          const A d = scale * g[k] + decay * p[k];
          return d * d;
        });
      } else {
        const A* const x = g ? g : p;
        a.partial[i] = dot(x, x, b.end - b.begin);
      }
    }
  });
  for (size_t range = 0; range < a.ranges.size(); ++range) a.norm[range] = 0;
  for (size_t i = 0; i < blocks.size(); ++i) a.norm[blocks[i].range] += a.partial[i];
  for (size_t range = 0; range < a.ranges.size(); ++range) a.norm[range] = std::sqrt(a.norm[range]);
}

template <class T> void launch(Context<Cpu>& ctx, const AdamW<T>& a) {
  using A = acc_t<T>;
  detail::for_each_block(ctx, a.ranges, [&](const detail::RangeBlock& b) {
    const auto& range = a.ranges[static_cast<size_t>(b.range)];
    const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
    const A keep = 1 - range.lr * range.decay, step = range.lr / range.correction1;
    const A root = std::sqrt(range.correction2), beta1 = a.beta1, beta2 = a.beta2, eps = a.eps;
    A *const p = a.p, *const m = a.m, *const v = a.v;
    const A* const grad = a.g;
    DINO_IVDEP
    for (i64 i = b.begin; i < b.end; ++i) {
      const A g = scale * grad[i];
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      p[i] = keep * p[i] - step * m[i] / (std::sqrt(v[i]) / root + eps);
    }
    detail::round_masters(a.copy, a.p, b.begin, b.end);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Sgd<T>& a) {
  using A = acc_t<T>;
  detail::for_each_block(ctx, a.ranges, [&](const detail::RangeBlock& b) {
    const auto& range = a.ranges[static_cast<size_t>(b.range)];
    const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
    DINO_IVDEP
    for (i64 i = b.begin; i < b.end; ++i) {
      a.buffer[i] = a.momentum * a.buffer[i] + (scale * a.g[i] + range.decay * a.p[i]);
      a.p[i] -= range.lr * a.buffer[i];
    }
    detail::round_masters(a.copy, a.p, b.begin, b.end);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Lars<T>& a) {
  using A = acc_t<T>;
  detail::for_each_block(ctx, a.ranges, [&](const detail::RangeBlock& b) {
    const auto& range = a.ranges[static_cast<size_t>(b.range)];
    const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
    const A trust = detail::trust_ratio(range.adapt, a.eta, a.p_norm[b.range], a.d_norm[b.range]);
    DINO_IVDEP
    for (i64 i = b.begin; i < b.end; ++i) {
      a.buffer[i] = a.momentum * a.buffer[i] + trust * (scale * a.g[i] + range.decay * a.p[i]);
      a.p[i] -= range.lr * a.buffer[i];
    }
    detail::round_masters(a.copy, a.p, b.begin, b.end);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Ema<T>& a) {
  const acc_t<T> momentum = a.momentum, rest = 1 - a.momentum;
  parallel_ranges(ctx, a.n, 1 << 15, [&](i64 begin, i64 end) {
    DINO_IVDEP
    for (i64 i = begin; i < end; ++i) a.average[i] = momentum * a.average[i] + rest * a.p[i];
    detail::round_masters(a.copy, a.average, begin, end);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
