// Layer normalisation for CUDA: one warp per row, and parameter gradients in two stages over fixed blocks of rows.
#pragma once

#include <dino/kernels/cuda/common.cuh>
#include <dino/kernels/layernorm.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int layernorm_warps = 8;  // of a block
inline constexpr int layernorm_threads = layernorm_warps * warp_size;
inline constexpr int layernorm_sum_threads = warp_size * warp_size;
inline constexpr i64 layernorm_register_cols = 1024;  // 32 values per lane: wider rows are read again in each pass

/// Calls f(p, c) for each pack of this lane inside a row of `cols` values; c is its first column.
template <int packs, int width, class F> DINO_DEVICE void each_pack(int cols, F&& f) {
  DINO_UNROLL
  for (int p = 0; p < packs; ++p) {
    const int c = width * (p * warp_size + lane());
    if (c < cols) f(p, c);
  }
}

/// The row is read once, in packs, and stays in registers: `values` per lane, 32 * values >= cols.
template <class T, int values> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layernorm_threads)
    layernorm_forward_in_registers(const __grid_constant__ LayerNormForward<T> a) {
  constexpr int width = pack_width<T>, packs = values / width;
  const i64 r = global_warp();
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  const int cols = static_cast<int>(a.cols);
  const float count = static_cast<float>(cols);

  Pack<T, width> x[packs];
  float sum = 0, sq = 0;
  each_pack<packs, width>(cols, [&](int p, int c) {
    x[p] = load_pack<width>(a.x + r * a.cols + c);
    for (int i = 0; i < width; ++i) sum += to_acc(x[p][i]);
  });
  const float mean = warp_sum(sum) / count;
  each_pack<packs, width>(cols, [&](int p, int) {
    for (int i = 0; i < width; ++i) {
      const float d = to_acc(x[p][i]) - mean;
      sq += d * d;
    }
  });
  const float rstd = inverse_sqrt(warp_sum(sq) / count + a.eps);

  each_pack<packs, width>(cols, [&](int p, int c) {
    const auto gamma = load_pack<width>(a.gamma + c), beta = load_pack<width>(a.beta + c);
    Pack<T, width> y;
    for (int i = 0; i < width; ++i) {
      y[i] = round_to<T>((to_acc(x[p][i]) - mean) * rstd * to_acc(gamma[i]) + to_acc(beta[i]));
    }
    store_pack(a.y + r * a.cols + c, y);
  });
  if (lane() == 0 && a.mean) a.mean[r] = mean;
  if (lane() == 0 && a.rstd) a.rstd[r] = rstd;
}

/// Any width and alignment: three passes over the row, of which the last two find it in the cache.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layernorm_threads)
    layernorm_forward_any_width(const __grid_constant__ LayerNormForward<T> a) {
  const i64 r = global_warp();
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  const T* x = a.x + r * a.cols;
  const float count = static_cast<float>(a.cols);
  float sum = 0, sq = 0;
  for (i64 c = lane(); c < a.cols; c += warp_size) sum += to_acc(x[c]);
  const float mean = warp_sum(sum) / count;
  for (i64 c = lane(); c < a.cols; c += warp_size) {
    const float d = to_acc(x[c]) - mean;
    sq += d * d;
  }
  const float rstd = inverse_sqrt(warp_sum(sq) / count + a.eps);
  for (i64 c = lane(); c < a.cols; c += warp_size) {
    a.y[r * a.cols + c] = round_to<T>((to_acc(x[c]) - mean) * rstd * to_acc(a.gamma[c]) + to_acc(a.beta[c]));
  }
  if (lane() == 0 && a.mean) a.mean[r] = mean;
  if (lane() == 0 && a.rstd) a.rstd[r] = rstd;
}

/// Adds the sums that each warp of the block has over its rows, and writes the row `to`. Every thread calls it.
template <class T, int packs, int width>
DINO_DEVICE void layernorm_sum_warps(const LayerNormBackward<T>& a, const float (&sums)[packs][width],
                                     float* to DINO_SITE) {
  DINO_SHARED(part, float[layernorm_warps][warp_size * packs * width]);
  const int cols = static_cast<int>(a.cols);
  sync_block(DINO_AT_ONLY);  // the array may still be read on behalf of the sums before
  each_pack<packs, width>(cols, [&](int p, int c) {
    for (int i = 0; i < width; ++i) part[warp()][c + i] = sums[p][i];
  });
  sync_block(DINO_AT_ONLY);
  for (int c = block_thread(); c < cols; c += layernorm_threads) {
    float sum = 0;
    for (int w = 0; w < layernorm_warps; ++w) sum += part[w][c];
    to[c] = sum;
  }
}

/// dx and the first stage of all sums together, so that dy, x and the residual are read once. One block of threads per
/// block of rows; dy and x stay in registers as stored, which for bf16 takes half the registers of their float values.
template <class T, int values, bool residual> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layernorm_threads)
    layernorm_backward_in_registers(const __grid_constant__ LayerNormBackward<T> a) {
  constexpr int width = pack_width<T>, packs = values / width;
  const int cols = static_cast<int>(a.cols);
  const float count = static_cast<float>(cols);
  const i64 block = blockIdx.x, first = block * a.rows_per_block;
  const i64 end = first + a.rows_per_block < a.rows ? first + a.rows_per_block : a.rows;
  float dgamma[packs][width] = {}, dbeta[packs][width] = {}, dbias[residual ? packs : 1][width] = {};

  for (i64 r = first + warp(); r < end; r += layernorm_warps) {
    Pack<T, width> dy[packs], x[packs];
    each_pack<packs, width>(cols, [&](int p, int c) {
      dy[p] = load_pack<width>(a.dy + r * a.cols + c);
      x[p] = load_pack<width>(a.x + r * a.cols + c);
    });
    const float mean = a.mean[r], rstd = a.rstd[r];
    float sum_g = 0, sum_gn = 0;
    each_pack<packs, width>(cols, [&](int p, int c) {
      const auto gamma = load_pack<width>(a.gamma + c);
      for (int i = 0; i < width; ++i) {
        const float d = to_acc(dy[p][i]), n = (to_acc(x[p][i]) - mean) * rstd, g = d * to_acc(gamma[i]);
        sum_g += g;
        sum_gn += g * n;
        dgamma[p][i] += d * n;
        dbeta[p][i] += d;
      }
    });
    if constexpr (residual) {
      if (!a.dx && !a.dbias) continue;  // the same for every row
    } else {
      if (!a.dx) continue;  // the same for every row
    }
    const float mean_g = warp_sum(sum_g) / count, mean_gn = warp_sum(sum_gn) / count;
    each_pack<packs, width>(cols, [&](int p, int c) {
      const i64 at = r * a.cols + c;
      float plus[width] = {};
      if constexpr (residual) {
        const auto from = load_pack<width>(a.residual + at);
        for (int i = 0; i < width; ++i) {
          plus[i] = to_acc(from[i]);
          dbias[p][i] += plus[i];
        }
        if (!a.dx) return;
      }
      const auto gamma = load_pack<width>(a.gamma + c);
      Pack<T, width> dx{};
      if (a.dx.add) dx = load_pack<width>(a.dx.ptr + at);
      for (int i = 0; i < width; ++i) {
        const float n = (to_acc(x[p][i]) - mean) * rstd, g = to_acc(dy[p][i]) * to_acc(gamma[i]);
        dx[i] = round_to<T>(to_acc(dx[i]) + plus[i] + rstd * (g - mean_g - n * mean_gn));
      }
      store_pack(a.dx.ptr + at, dx);
    });
  }
  if (!a.partial) return;  // the same for the whole grid
  layernorm_sum_warps(a, dgamma, a.partial + block * a.cols);
  layernorm_sum_warps(a, dbeta, a.partial + (a.blocks(a.rows) + block) * a.cols);
  if constexpr (residual) layernorm_sum_warps(a, dbias, a.partial + (2 * a.blocks(a.rows) + block) * a.cols);
}

/// dx for any width and alignment: one warp per row.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layernorm_threads)
    layernorm_backward_dx_any_width(const __grid_constant__ LayerNormBackward<T> a) {
  const i64 r = global_warp();
  if (r >= a.rows) return;  // a whole warp; there is no block barrier here
  const T *dy = a.dy + r * a.cols, *x = a.x + r * a.cols;
  const float mean = a.mean[r], rstd = a.rstd[r], count = static_cast<float>(a.cols);
  float sum_g = 0, sum_gn = 0;
  for (i64 c = lane(); c < a.cols; c += warp_size) {
    const float g = to_acc(dy[c]) * to_acc(a.gamma[c]);
    sum_g += g;
    sum_gn += g * ((to_acc(x[c]) - mean) * rstd);
  }
  const float mean_g = warp_sum(sum_g) / count, mean_gn = warp_sum(sum_gn) / count;
  for (i64 c = lane(); c < a.cols; c += warp_size) {
    T& to = a.dx.ptr[r * a.cols + c];
    const float plus = a.residual ? to_acc(a.residual[r * a.cols + c]) : 0.0f;
    const float n = (to_acc(x[c]) - mean) * rstd, g = to_acc(dy[c]) * to_acc(a.gamma[c]);
    to = round_to<T>((a.dx.add ? to_acc(to) : 0.0f) + plus + rstd * (g - mean_g - n * mean_gn));
  }
}

/// The first stage of the sums for any width: block (b, k) sums block b of rows, a thread to each column.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layernorm_threads)
    layernorm_backward_partial_any_width(const __grid_constant__ LayerNormBackward<T> a) {
  const i64 c = static_cast<i64>(blockIdx.y) * layernorm_threads + block_thread();
  if (c >= a.cols) return;  // there is no block barrier here
  const i64 block = blockIdx.x, first = block * a.rows_per_block;
  const i64 end = first + a.rows_per_block < a.rows ? first + a.rows_per_block : a.rows;
  float dgamma = 0, dbeta = 0, dbias = 0;
  for (i64 r = first; r < end; ++r) {
    const float d = to_acc(a.dy[r * a.cols + c]);
    dgamma += d * ((to_acc(a.x[r * a.cols + c]) - a.mean[r]) * a.rstd[r]);
    dbeta += d;
    if (a.dbias) dbias += to_acc(a.residual[r * a.cols + c]);
  }
  a.partial[block * a.cols + c] = dgamma;
  a.partial[(a.blocks(a.rows) + block) * a.cols + c] = dbeta;
  if (a.dbias) a.partial[(2 * a.blocks(a.rows) + block) * a.cols + c] = dbias;
}

/// The second stage: a block sums 32 columns of dgamma (y = 0), dbeta (y = 1) or dbias (y = 2). Warp w adds the blocks
/// of rows w, w + 32, ..., then the first warp adds the warps: a fixed order.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(layernorm_sum_threads)
    layernorm_backward_sum(const __grid_constant__ LayerNormBackward<T> a) {
  DINO_SHARED(part, float[warp_size][warp_size]);
  const Target<float> target = blockIdx.y == 0 ? a.dgamma : blockIdx.y == 1 ? a.dbeta : a.dbias;
  if (!target) return;  // the same for the whole block
  const i64 c = static_cast<i64>(blockIdx.x) * warp_size + lane();
  const i64 blocks = a.blocks(a.rows);
  const float* from = a.partial + static_cast<i64>(blockIdx.y) * blocks * a.cols + c;
  float sum = 0;
  if (c < a.cols) {
    for (i64 b = warp(); b < blocks; b += warp_size) sum += from[b * a.cols];
  }
  part[warp()][lane()] = sum;
  sync_block();
  if (warp() > 0 || c >= a.cols) return;
  for (int w = 1; w < warp_size; ++w) sum += part[w][lane()];
  target.put(c, sum);
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const LayerNormForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "layernorm on CUDA: float and 16-bit numbers only");
  const auto config = warps(a.rows, detail::layernorm_warps);
  if (a.cols > detail::layernorm_register_cols || !rows_take_packs<T>(a.cols, a.y, a.x, a.gamma, a.beta)) {
    ctx.launch(detail::layernorm_forward_any_width<T>, config, a);
  } else if (a.cols <= 256) {
    ctx.launch(detail::layernorm_forward_in_registers<T, 8>, config, a);
  } else if (a.cols <= 512) {
    ctx.launch(detail::layernorm_forward_in_registers<T, 16>, config, a);
  } else {
    ctx.launch(detail::layernorm_forward_in_registers<T, 32>, config, a);
  }
}

template <class T> void launch(Context<Cuda>& ctx, const LayerNormBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "layernorm on CUDA: float and 16-bit numbers only");
  const bool sums = a.dgamma || a.dbeta || a.dbias;
  if (!a.dx && !sums) return;
  require(!sums || a.partial, "layernorm backward: dgamma, dbeta or dbias is wanted, partial is null");
  require(!a.dbias || a.residual, "layernorm backward: dbias is the sum of a residual, which is null");
  constexpr i64 block = detail::layernorm_threads;
  const LaunchConfig config{.grid = {a.blocks(a.rows)}, .block = {block}};
  const bool packs = rows_take_packs<T>(a.cols, a.dx.ptr, a.dy, a.x, a.gamma, a.residual);
  if (a.cols > detail::layernorm_register_cols || !packs) {
    const LaunchConfig columns{.grid = {a.blocks(a.rows), (a.cols + block - 1) / block}, .block = {block}};
    // The sums first: dx may take the place of the residual.
    if (sums) ctx.launch(detail::layernorm_backward_partial_any_width<T>, columns, a);
    if (a.dx) ctx.launch(detail::layernorm_backward_dx_any_width<T>, warps(a.rows, detail::layernorm_warps), a);
  } else {
    const auto run = [&](auto residual) {
      if (a.cols <= 256) {
        ctx.launch(detail::layernorm_backward_in_registers<T, 8, residual()>, config, a);
      } else if (a.cols <= 512) {
        ctx.launch(detail::layernorm_backward_in_registers<T, 16, residual()>, config, a);
      } else {
        ctx.launch(detail::layernorm_backward_in_registers<T, 32, residual()>, config, a);
      }
    };
    a.residual ? run(std::true_type{}) : run(std::false_type{});
  }
  if (!sums) return;
  const LaunchConfig final_sum{.grid = {(a.cols + warp_size - 1) / warp_size, a.dbias ? 3 : 2},
                               .block = {detail::layernorm_sum_threads}};
  ctx.launch(detail::layernorm_backward_sum<T>, final_sum, a);
}

}  // namespace dino::inline DINO_ABI::kernels
