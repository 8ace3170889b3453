// Optimizer steps on the CPU, in fixed blocks of each range.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/optimizer.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// Small tensors share a task: f(block) for every block of every range.
template <class A, class F> void for_each_block(Context<Cpu>& ctx, const RangeTable<A>& table, F f) {
  parallel_ranges(ctx, table.block_count, 4, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) f(table.blocks[i]);
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
  const auto& table = a.ranges;
  const A weight_decay = static_cast<A>(a.weight_decay.get());
  detail::for_each_block(ctx, table, [&](const RangeBlock& b) {
    const A* const g = a.g ? a.g + b.begin : nullptr;
    const A* const p = a.p ? a.p + b.begin : nullptr;
    A& partial = a.partial[&b - table.blocks];
    if (g && p) {
      const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
      const A decay = weight_decay * table.ranges[b.range].decay;
      partial = sum_over<A>(b.end - b.begin, [=](i64 k) {
        const A d = scale * g[k] + decay * p[k];
        return d * d;
      });
    } else {
      const A* const x = g ? g : p;
      partial = dot(x, x, b.end - b.begin);
    }
  });
  for (i64 range = 0; range < table.range_count; ++range) a.norm[range] = 0;
  for (i64 i = 0; i < table.block_count; ++i) a.norm[table.blocks[i].range] += a.partial[i];
  for (i64 range = 0; range < table.range_count; ++range) a.norm[range] = std::sqrt(a.norm[range]);
}

template <class T> void launch(Context<Cpu>& ctx, const AdamW<T>& a) {
  using A = acc_t<T>;
  const A base_lr = static_cast<A>(a.lr.get()), weight_decay = static_cast<A>(a.weight_decay.get());
  const A beta1 = static_cast<A>(a.beta1), beta2 = static_cast<A>(a.beta2), eps = static_cast<A>(a.eps);
  detail::for_each_block(ctx, a.ranges, [&](const RangeBlock& b) {
    const auto& range = a.ranges.ranges[b.range];
    const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range), lr = base_lr * range.lr;
    const A keep = 1 - lr * (weight_decay * range.decay);
    const A step = lr / static_cast<A>(detail::bias_correction(a.beta1, range.count));
    const A root = std::sqrt(static_cast<A>(detail::bias_correction(a.beta2, range.count)));
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
  const A base_lr = static_cast<A>(a.lr.get()), weight_decay = static_cast<A>(a.weight_decay.get());
  detail::for_each_block(ctx, a.ranges, [&](const RangeBlock& b) {
    const auto& range = a.ranges.ranges[b.range];
    const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
    const A lr = base_lr * range.lr, decay = weight_decay * range.decay;
    DINO_IVDEP
    for (i64 i = b.begin; i < b.end; ++i) {
      a.buffer[i] = a.momentum * a.buffer[i] + (scale * a.g[i] + decay * a.p[i]);
      a.p[i] -= lr * a.buffer[i];
    }
    detail::round_masters(a.copy, a.p, b.begin, b.end);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Lars<T>& a) {
  using A = acc_t<T>;
  const A base_lr = static_cast<A>(a.lr.get()), weight_decay = static_cast<A>(a.weight_decay.get());
  detail::for_each_block(ctx, a.ranges, [&](const RangeBlock& b) {
    const auto& range = a.ranges.ranges[b.range];
    const A scale = detail::clip_scale(a.clip_norm, a.clip, b.range);
    const A trust = detail::trust_ratio(range.adapt, a.eta, a.p_norm[b.range], a.d_norm[b.range]);
    const A lr = base_lr * range.lr, decay = weight_decay * range.decay;
    DINO_IVDEP
    for (i64 i = b.begin; i < b.end; ++i) {
      a.buffer[i] = a.momentum * a.buffer[i] + trust * (scale * a.g[i] + decay * a.p[i]);
      a.p[i] -= lr * a.buffer[i];
    }
    detail::round_masters(a.copy, a.p, b.begin, b.end);
  });
}

template <class T> void launch(Context<Cpu>& ctx, const Ema<T>& a) {
  const acc_t<T> momentum = static_cast<acc_t<T>>(a.momentum.get()), rest = 1 - momentum;
  parallel_ranges(ctx, a.n, 1 << 15, [&](i64 begin, i64 end) {
    DINO_IVDEP
    for (i64 i = begin; i < end; ++i) a.average[i] = momentum * a.average[i] + rest * a.p[i];
    detail::round_masters(a.copy, a.average, begin, end);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
