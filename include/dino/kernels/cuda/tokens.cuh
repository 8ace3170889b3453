// Token matrices for CUDA: one warp per row; sums over images in a fixed order.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/tokens.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int tokens_threads = 256;
inline constexpr int tokens_sum_warps = 16;  // images that a block adds side by side
inline constexpr int tokens_sum_threads = tokens_sum_warps * warp_size;
inline constexpr int drop_path_runs = 4;  // of a thread: one draw serves them all

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(tokens_threads)
    assemble_tokens(const __grid_constant__ AssembleTokens<T> a) {
  const i64 r = global_warp(), special = 1 + a.register_count, tokens = special + a.n;
  if (r >= a.images * tokens) return;  // a whole warp; there is no block barrier here
  const i64 j = r % tokens, image = r / tokens;
  if (j > 0 && j < special) {
    const T* const x = a.registers + (j - 1) * a.cols;
    for (i64 c = width * lane(); c < a.cols; c += width * warp_size) {
      store_run(a.out + r * a.cols + c, load_run<width>(x + c));
    }
    return;
  }
  const T* const x = j == 0 ? a.cls : a.patches + (image * a.n + j - special) * a.cols;
  const T* const position = j == 0 ? a.first : a.positions + (j - special) * a.cols;
  for (i64 c = width * lane(); c < a.cols; c += width * warp_size) {
    float sum[width], more[width];
    load_values<width>(sum, x + c);
    load_values<width>(more, position + c);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) sum[i] += more[i];
    put_values<width>(Target<T>{a.out, false}, r * a.cols + c, sum);
  }
}

/// Block (j, s): token j of every image, strip s of columns. Warp w adds the images w, w + 16, ..., then the warps are
/// added in order.
template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(tokens_sum_threads)
    assemble_tokens_backward(const __grid_constant__ AssembleTokensBackward<T> a) {
  constexpr int strip = warp_size * width;
  DINO_SHARED(part, float[tokens_sum_warps][strip]);
  const i64 j = blockIdx.x, special = 1 + a.register_count, tokens = special + a.n;
  const i64 first = static_cast<i64>(blockIdx.y) * strip, c = first + width * lane();
  float sum[width] = {};
  if (c < a.cols) {
    for (i64 image = warp(); image < a.images; image += tokens_sum_warps) {
      float dout[width];
      load_values<width>(dout, a.dout + (image * tokens + j) * a.cols + c);
      DINO_UNROLL
      for (int i = 0; i < width; ++i) sum[i] += dout[i];
      if (a.dpatches && j >= special) put_values<width>(a.dpatches, (image * a.n + j - special) * a.cols + c, dout);
    }
  }
  if (!a.dsum) return;  // the same for the whole grid
  DINO_UNROLL
  for (int i = 0; i < width; ++i) part[warp()][width * lane() + i] = sum[i];
  sync_block();
  for (int k = block_thread(); k < strip && first + k < a.cols; k += tokens_sum_threads) {
    float total = 0;
    for (int w = 0; w < tokens_sum_warps; ++w) total += part[w][k];
    a.dsum[j * a.cols + first + k] = total;
  }
}

/// One group of images, by value: what its kernel needs of DropPath.
template <class T> struct DropPathGroup {
  Target<T> out;  // the first row of the group
  const T *x, *residual;
  i64 image_values, blocks_per_image;
  i64 number;  // of the group's first image
  StepKey key;
  BatchWindow window;
  double rate;
  float inverse;  // 1 / (1 - rate)
};

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(tokens_threads)
    drop_path(const __grid_constant__ DropPathGroup<T> a) {
  const i64 block = blockIdx.x, image = block / a.blocks_per_image, part = block % a.blocks_per_image;
  const float draw = a.key.get().uniform(static_cast<u64>(a.number + a.window.number(image)));
  const float factor = static_cast<double>(draw) >= a.rate ? a.inverse : 0.0f;
  DINO_UNROLL
  for (int k = 0; k < drop_path_runs; ++k) {
    const i64 at = ((part * drop_path_runs + k) * tokens_threads + block_thread()) * width;
    if (at >= a.image_values) return;  // there is no block barrier here
    float x[width];
    load_values<width>(x, a.x + image * a.image_values + at);
    DINO_UNROLL
    for (int i = 0; i < width; ++i) x[i] *= factor;
    if (a.residual) {
      float plus[width];
      load_values<width>(plus, a.residual + image * a.image_values + at);
      DINO_UNROLL
      for (int i = 0; i < width; ++i) x[i] += plus[i];
    }
    put_values<width>(a.out, image * a.image_values + at, x);
  }
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(tokens_threads)
    gather_rows(const __grid_constant__ GatherRows<T> a) {
  const i64 i = global_warp();
  if (i >= a.n) return;  // a whole warp; there is no block barrier here
  const T* const x = a.x + a.index[i] * a.cols;
  for (i64 c = width * lane(); c < a.cols; c += width * warp_size) {
    store_run(a.y + i * a.cols + c, load_run<width>(x + c));
  }
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(tokens_threads)
    gather_rows_clear(const __grid_constant__ GatherRowsBackward<T> a) {
  const i64 at = global_thread() * width;
  if (at < a.rows * a.cols) store_run(a.dx.ptr + at, Pack<T, width>{});
}

/// One warp per row of dy. The first one that names a row of dx adds all that name it, in order; the others leave.
template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(tokens_threads)
    gather_rows_backward(const __grid_constant__ GatherRowsBackward<T> a) {
  const i64 own = global_warp();
  if (own >= a.n) return;  // a whole warp; there is no block barrier here
  const i64 row = a.index[own];
  for (i64 i = lane(); i - lane() < own; i += warp_size) {
    const u32 earlier = ballot(i < own && a.index[i] == row);
    if (earlier != 0) return;  // a whole warp
  }
  for (i64 first = 0; first < a.cols; first += width * warp_size) {
    const i64 c = first + width * lane();
    float sum[width] = {};
    for (i64 block = own; block < a.n; block += warp_size) {
      const i64 i = block + lane();
      const u32 names = ballot(i < a.n && a.index[i] == row);
      if (names == 0 || c >= a.cols) continue;
      for (int k = 0; k < warp_size; ++k) {
        if ((names >> k & 1u) == 0) continue;
        float dy[width];
        load_values<width>(dy, a.dy + (block + k) * a.cols + c);
        DINO_UNROLL
        for (int v = 0; v < width; ++v) sum[v] += dy[v];
      }
    }
    if (c < a.cols) put_values<width>(Target<T>{a.dx.ptr, true}, row * a.cols + c, sum);
  }
}

inline constexpr i64 tokens_warps = tokens_threads / warp_size;

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const AssembleTokens<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "tokens on CUDA: float and 16-bit numbers only");
  const i64 rows = a.images * (1 + a.register_count + a.n);
  const bool packs = rows_take_packs<T>(a.cols, a.out, a.patches, a.cls, a.first, a.positions, a.registers);
  with_run_width<T>(packs, [&](auto width) {
    ctx.launch(detail::assemble_tokens<T, width()>, warps(rows, detail::tokens_warps), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const AssembleTokensBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "tokens on CUDA: float and 16-bit numbers only");
  if (!a.dpatches && !a.dsum) return;
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dpatches.ptr, a.dout), [&](auto width) {
    constexpr i64 strip = warp_size * width();
    const LaunchConfig config{.grid = {1 + a.register_count + a.n, (a.cols + strip - 1) / strip},
                              .block = {detail::tokens_sum_threads}};
    ctx.launch(detail::assemble_tokens_backward<T, width()>, config, a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const DropPath<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "tokens on CUDA: float and 16-bit numbers only");
  i64 number = 0;
  for (const auto& s : *a.segments) {
    with_run_width<T>(rows_take_packs<T>(a.cols, a.out.ptr, a.x, a.residual), [&](auto width) {
      constexpr i64 block = detail::tokens_threads * detail::drop_path_runs * width();
      const detail::DropPathGroup<T> group{.out = {a.out.ptr + s.row * a.cols, a.out.add},
                                           .x = a.x + s.row * a.cols,
                                           .residual = a.residual ? a.residual + s.row * a.cols : nullptr,
                                           .image_values = s.tokens * a.cols,
                                           .blocks_per_image = (s.tokens * a.cols + block - 1) / block,
                                           .number = number,
                                           .key = a.key,
                                           .window = a.window,
                                           .rate = a.rate,
                                           .inverse = static_cast<float>(1 / (1 - a.rate))};
      const LaunchConfig config{.grid = {s.images * group.blocks_per_image}, .block = {detail::tokens_threads}};
      ctx.launch(detail::drop_path<T, width()>, config, group);
    });
    number += a.window.images == 0 ? s.images : s.images / a.window.images * a.window.batch;
  }
}

template <class T> void launch(Context<Cuda>& ctx, const GatherRows<T>& a) {
  with_run_width<T>(rows_take_packs<T>(a.cols, a.y, a.x), [&](auto width) {
    ctx.launch(detail::gather_rows<T, width()>, warps(a.n, detail::tokens_warps), a);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const GatherRowsBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "tokens on CUDA: float and 16-bit numbers only");
  with_run_width<T>(rows_take_packs<T>(a.cols, a.dx.ptr, a.dy), [&](auto width) {
    if (!a.dx.add) {
      ctx.launch(detail::gather_rows_clear<T, width()>, threads(a.rows * a.cols / width(), detail::tokens_threads), a);
    }
    ctx.launch(detail::gather_rows_backward<T, width()>, warps(a.n, detail::tokens_warps), a);
  });
}

}  // namespace dino::inline DINO_ABI::kernels
