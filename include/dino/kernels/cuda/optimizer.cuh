// Optimizer steps for CUDA: one launch for all parameters, over the same fixed blocks of ranges as on the CPU.
#pragma once

#include <dino/kernels/cuda/common.cuh>
#include <dino/kernels/optimizer.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int optimizer_threads = 256;
inline constexpr i64 optimizer_parts = 4;  // thread blocks that share a block of a range

/// Arguments of a kernel over ranges, and whether the flat buffers can be moved in packs.
template <class Args> struct OverRanges {
  Args args;
  bool packs;

  DINO_SHARED_CODE const RangeBlock& block() const { return args.ranges.blocks[blockIdx.x]; }
  DINO_SHARED_CODE const UpdateRange<float>& range(const RangeBlock& b) const { return args.ranges.ranges[b.range]; }
  /// The step's rate and weight decay with the factors of a range.
  DINO_SHARED_CODE float lr(const RangeBlock& b) const { return static_cast<float>(args.lr.get()) * range(b).lr; }
  DINO_SHARED_CODE float decay(const RangeBlock& b) const {
    return static_cast<float>(args.weight_decay.get()) * range(b).decay;
  }
};

template <int width> DINO_DEVICE void load_floats(float (&x)[width], const float* from) {
  if constexpr (width == 1) {
    x[0] = *from;
  } else {
    constexpr int step = pack_width<float>;
    DINO_UNROLL
    for (int i = 0; i < width; i += step) {
      const auto pack = load_pack<step>(from + i);
      for (int k = 0; k < step; ++k) x[i + k] = pack[k];
    }
  }
}

template <int width> DINO_DEVICE void store_floats(float* to, const float (&x)[width]) {
  if constexpr (width == 1) {
    *to = x[0];
  } else {
    constexpr int step = pack_width<float>;
    DINO_UNROLL
    for (int i = 0; i < width; i += step) {
      Pack<float, step> pack;
      for (int k = 0; k < step; ++k) pack[k] = x[i + k];
      store_pack(to + i, pack);
    }
  }
}

/// copy = masters rounded to T.
template <class T, int width> DINO_DEVICE void store_rounded(T* to, const float (&x)[width]) {
  if constexpr (width == 1) {
    *to = round_to<T>(x[0]);
  } else {
    Pack<T, width> pack;
    DINO_UNROLL
    for (int i = 0; i < width; ++i) pack[i] = round_to<T>(x[i]);
    store_pack(to, pack);
  }
}

/// Calls f(width, at) for runs of `width` values until b is covered by all thread blocks with this blockIdx.x: whole
/// packs of T, then single values.
template <class T, class F> DINO_DEVICE void each_run(const RangeBlock& b, bool packs, F&& f) {
  constexpr int width = pack_width<T>;
  const i64 thread = static_cast<i64>(blockIdx.y) * optimizer_threads + block_thread();
  const i64 threads = static_cast<i64>(gridDim.y) * optimizer_threads;
  i64 single = b.begin;
  if (packs && b.begin % width == 0) {
    single += (b.end - b.begin) / width * width;
    for (i64 i = b.begin + thread * width; i < single; i += threads * width) {
      f(std::integral_constant<int, width>{}, i);
    }
  }
  for (i64 i = single + thread; i < b.end; i += threads) f(std::integral_constant<int, 1>{}, i);
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(optimizer_threads)
    adamw_step(const __grid_constant__ OverRanges<AdamW<T>> o) {
  const auto& a = o.args;
  const RangeBlock b = o.block();
  const i64 count = o.range(b).count;
  const float scale = clip_scale(a.clip_norm, a.clip, b.range), lr = o.lr(b), keep = 1 - lr * o.decay(b);
  const float rate = lr / static_cast<float>(bias_correction(a.beta1, count));
  const float root = sqrtf(static_cast<float>(bias_correction(a.beta2, count)));
  const float beta1 = static_cast<float>(a.beta1), beta2 = static_cast<float>(a.beta2);
  const float eps = static_cast<float>(a.eps);
  each_run<T>(b, o.packs, [&](auto run, i64 at) {
    constexpr int width = decltype(run)::value;
    float p[width], m[width], v[width], g[width];
    load_floats(p, a.p + at);
    load_floats(m, a.m + at);
    load_floats(v, a.v + at);
    load_floats(g, a.g + at);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) {
      const float d = scale * g[i];
      m[i] = beta1 * m[i] + (1 - beta1) * d;
      v[i] = beta2 * v[i] + (1 - beta2) * d * d;
      p[i] = keep * p[i] - rate * m[i] / (sqrtf(v[i]) / root + eps);
    }
    store_floats(a.p + at, p);
    store_floats(a.m + at, m);
    store_floats(a.v + at, v);
    if (a.copy) store_rounded(a.copy + at, p);
  });
}

/// What SGD and LARS share: buffer = momentum buffer + trust (scale g + decay p);   p -= lr buffer.
template <class T, class Args>
DINO_DEVICE void momentum_step(const OverRanges<Args>& o, const RangeBlock& b, float scale, float trust) {
  const auto& a = o.args;
  const float lr = o.lr(b), decay = o.decay(b);
  each_run<T>(b, o.packs, [&](auto run, i64 at) {
    constexpr int width = decltype(run)::value;
    float p[width], buffer[width], g[width];
    load_floats(p, a.p + at);
    load_floats(buffer, a.buffer + at);
    load_floats(g, a.g + at);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) {
      buffer[i] = a.momentum * buffer[i] + trust * (scale * g[i] + decay * p[i]);
      p[i] -= lr * buffer[i];
    }
    store_floats(a.p + at, p);
    store_floats(a.buffer + at, buffer);
    if (a.copy) store_rounded(a.copy + at, p);
  });
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(optimizer_threads)
    sgd_step(const __grid_constant__ OverRanges<Sgd<T>> o) {
  const RangeBlock b = o.block();
  momentum_step<T>(o, b, clip_scale(o.args.clip_norm, o.args.clip, b.range), 1);
}

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(optimizer_threads)
    lars_step(const __grid_constant__ OverRanges<Lars<T>> o) {
  const auto& a = o.args;
  const RangeBlock b = o.block();
  const float trust = trust_ratio(o.range(b).adapt, a.eta, a.p_norm[b.range], a.d_norm[b.range]);
  momentum_step<T>(o, b, clip_scale(a.clip_norm, a.clip, b.range), trust);
}

template <class T> struct EmaOnDevice {
  Ema<T> args;
  bool packs;
};

template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(optimizer_threads)
    ema_step(const __grid_constant__ EmaOnDevice<T> o) {
  const auto& a = o.args;
  constexpr i64 block = RangeTable<float>::block;
  const i64 begin = blockIdx.x * block, left = a.n - begin;
  const RangeBlock b{0, begin, begin + (left < block ? left : block)};
  const float momentum = static_cast<float>(a.momentum.get()), rest = 1 - momentum;
  each_run<T>(b, o.packs, [&](auto run, i64 at) {
    constexpr int width = decltype(run)::value;
    float average[width], p[width];
    load_floats(average, a.average + at);
    load_floats(p, a.p + at);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) average[i] = momentum * average[i] + rest * p[i];
    store_floats(a.average + at, average);
    if (a.copy) store_rounded(a.copy + at, average);
  });
}

/// First stage of the norms: the sum of squares of each block of a range.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(optimizer_threads)
    range_norms_partial(const __grid_constant__ OverRanges<RangeNorms<T>> o) {
  const auto& a = o.args;
  const RangeBlock b = o.block();
  const float scale = a.p ? clip_scale(a.clip_norm, a.clip, b.range) : 1;
  const float decay = a.g ? o.decay(b) : 1;
  float sum = 0;
  each_run<float>(b, o.packs, [&](auto run, i64 at) {
    constexpr int width = decltype(run)::value;
    float g[width] = {}, p[width] = {};
    if (a.g) load_floats(g, a.g + at);
    if (a.p) load_floats(p, a.p + at);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) {
      const float d = scale * g[i] + decay * p[i];
      sum += d * d;
    }
  });
  sum = block_sum(sum);
  if (block_thread() == 0) a.partial[blockIdx.x] = sum;
}

/// Second stage: one warp adds the blocks of a range.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(optimizer_threads)
    range_norms_sum(const __grid_constant__ OverRanges<RangeNorms<T>> o) {
  const auto& table = o.args.ranges;
  const i64 range = global_warp();
  if (range >= table.range_count) return;  // a whole warp; there is no block barrier here
  const i64 first = table.ranges[range].first_block;
  const i64 end = range + 1 < table.range_count ? table.ranges[range + 1].first_block : table.block_count;
  float sum = 0;
  for (i64 i = first + lane(); i < end; i += warp_size) sum += o.args.partial[i];
  sum = warp_sum(sum);
  if (lane() == 0) o.args.norm[range] = sqrtf(sum);
}

/// Pointers to whole buffers; ranges begin at any value, which each_run looks at.
template <class... P> bool flat_buffers_take_packs(const P*... pointers) {
  return rows_take_packs<float>(pack_width<float>, pointers...);
}

template <class Args>
void launch_step(Context<Cuda>& ctx, void (*kernel)(OverRanges<Args>), const Args& a, bool packs) {
  static_assert(std::is_same_v<decltype(a.clip), float>, "optimizers on CUDA: float and 16-bit numbers only");
  ctx.launch(kernel, {.grid = {a.ranges.block_count, optimizer_parts}, .block = {optimizer_threads}}, {a, packs});
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const RangeNorms<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "optimizers on CUDA: float and 16-bit numbers only");
  const detail::OverRanges<RangeNorms<T>> arguments{a, detail::flat_buffers_take_packs(a.g, a.p)};
  const LaunchConfig blocks{.grid = {a.ranges.block_count}, .block = {detail::optimizer_threads}};
  ctx.launch(detail::range_norms_partial<T>, blocks, arguments);
  ctx.launch(detail::range_norms_sum<T>, warps(a.ranges.range_count), arguments);
}

template <class T> void launch(Context<Cuda>& ctx, const AdamW<T>& a) {
  detail::launch_step(ctx, detail::adamw_step<T>, a, detail::flat_buffers_take_packs(a.p, a.copy, a.m, a.v, a.g));
}

template <class T> void launch(Context<Cuda>& ctx, const Sgd<T>& a) {
  detail::launch_step(ctx, detail::sgd_step<T>, a, detail::flat_buffers_take_packs(a.p, a.copy, a.buffer, a.g));
}

template <class T> void launch(Context<Cuda>& ctx, const Lars<T>& a) {
  detail::launch_step(ctx, detail::lars_step<T>, a, detail::flat_buffers_take_packs(a.p, a.copy, a.buffer, a.g));
}

template <class T> void launch(Context<Cuda>& ctx, const Ema<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "optimizers on CUDA: float and 16-bit numbers only");
  const i64 blocks = (a.n + RangeTable<float>::block - 1) / RangeTable<float>::block;
  ctx.launch(detail::ema_step<T>, {.grid = {blocks, detail::optimizer_parts}, .block = {detail::optimizer_threads}},
             {.args = a, .packs = detail::flat_buffers_take_packs(a.average, a.copy, a.p)});
}

}  // namespace dino::inline DINO_ABI::kernels
