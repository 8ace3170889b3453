// The DINO loss for CUDA: one warp for each image and stretch of columns, so that the forward pass reads the logits
// once and the backward pass once more.
#pragma once

#include <dino/kernels/cuda/run.cuh>
#include <dino/kernels/dino_loss.hpp>

#include <limits>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

inline constexpr int dino_loss_warps = 8;  // of a block
inline constexpr int dino_loss_threads = dino_loss_warps * warp_size;
inline constexpr int dino_loss_sum_threads = 64;
inline constexpr int dino_loss_values = 16;  // of a lane in a stretch
inline constexpr int dino_loss_stretch = dino_loss_values * warp_size;
inline constexpr float dino_loss_lowest = std::numeric_limits<float>::lowest();  // beyond the row: exp gives 0
inline constexpr float log2_of_e = 1.44269504f;

/// The forward pass in stages. The first leaves, for each image and stretch, relative to the largest logit m of the
/// stretch: m and sum e of the V + 2 rows (students, then teachers), e = exp((x - m) / tau), and for both teachers
/// sum over v != i of <e, s_v> and sum e (x - m). The second brings all stretches to one m.
template <class T> struct DinoLossStages : DinoLossForward<T> {
  float* stage;  // (B, slots, stretches)
  i64 stretches;

  DINO_SHARED_CODE i64 slots() const { return 2 * (this->views + 2) + 4; }
  DINO_SHARED_CODE float* slot(i64 image, i64 number) const { return stage + (image * slots() + number) * stretches; }
  DINO_SHARED_CODE float* largest(i64 image, i64 row) const { return slot(image, row); }
  DINO_SHARED_CODE float* total(i64 image, i64 row) const { return slot(image, this->views + 2 + row); }
  DINO_SHARED_CODE float* product(i64 image, i64 i) const { return slot(image, 2 * (this->views + 2) + i); }
  DINO_SHARED_CODE float* spread(i64 image, i64 i) const { return slot(image, 2 * (this->views + 2) + 2 + i); }
};

/// This lane's values of a stretch that has `count` columns, in runs of `width`; `fill` for what lies beyond it.
template <int width, class T>
DINO_DEVICE void load_stretch(float (&x)[dino_loss_values], const T* from, i64 count, float fill) {
  DINO_UNROLL
  for (int p = 0; p < dino_loss_values; p += width) {
    const int c = p * warp_size + width * lane();
    if (c < count) {
      load_values<width>(x + p, from + c);
    } else {
      DINO_UNROLL
      for (int i = 0; i < width; ++i) x[p + i] = fill;
    }
  }
}

/// x - center of a teacher's stretch.
template <int width, class T>
DINO_DEVICE void load_teacher(float (&x)[dino_loss_values], const T* from, const float* center, i64 count) {
  float middle[dino_loss_values];
  load_stretch<width>(x, from, count, dino_loss_lowest);
  load_stretch<width>(middle, center, count, 0.0f);
  DINO_UNROLL
  for (int j = 0; j < dino_loss_values; ++j) x[j] -= middle[j];
}

DINO_DEVICE float stretch_max(const float (&x)[dino_loss_values] DINO_SITE) {
  float largest = x[0];
  DINO_UNROLL
  for (int j = 1; j < dino_loss_values; ++j) largest = fmaxf(largest, x[j]);
  return warp_max(largest DINO_AT);
}

template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(dino_loss_threads)
    dino_loss_stretches(const __grid_constant__ DinoLossStages<T> a) {
  const i64 image = global_warp() / a.stretches, stretch = global_warp() % a.stretches;
  if (image >= a.images) return;  // a whole warp; there is no block barrier here
  const i64 first = stretch * dino_loss_stretch, count = a.outputs - first;
  const float scale_s = log2_of_e / a.tau_s, scale_t = log2_of_e / static_cast<float>(a.tau_t.get());

  float e[2][dino_loss_values];
  DINO_UNROLL
  for (int i = 0; i < 2; ++i) {
    load_teacher<width>(e[i], a.t + (i * a.images + image) * a.outputs + first, a.center + first, count);
    const float largest = stretch_max(e[i]);
    float total = 0, spread = 0;
    DINO_UNROLL
    for (int j = 0; j < dino_loss_values; ++j) {
      const float d = e[i][j] - largest;
      e[i][j] = exp2_approx(d * scale_t);
      total += e[i][j];
      spread += e[i][j] * d;
    }
    total = warp_sum(total);
    spread = warp_sum(spread);
    if (lane() == 0) {
      a.largest(image, a.views + i)[stretch] = largest;
      a.total(image, a.views + i)[stretch] = total;
      a.spread(image, i)[stretch] = spread;
    }
  }

  float product0 = 0, product1 = 0;
  for (i64 v = 0; v < a.views; ++v) {
    float x[dino_loss_values], total = 0, dot0 = 0, dot1 = 0;
    load_stretch<width>(x, a.s + (v * a.images + image) * a.outputs + first, count, dino_loss_lowest);
    const float largest = stretch_max(x);
    DINO_UNROLL
    for (int j = 0; j < dino_loss_values; ++j) {
      total += exp2_approx((x[j] - largest) * scale_s);
      dot0 += e[0][j] * x[j];
      dot1 += e[1][j] * x[j];
    }
    product0 += v == 0 ? 0.0f : dot0;
    product1 += v == 1 ? 0.0f : dot1;
    total = warp_sum(total);
    if (lane() == 0) {
      a.largest(image, v)[stretch] = largest;
      a.total(image, v)[stretch] = total;
    }
  }
  product0 = warp_sum(product0);
  product1 = warp_sum(product1);
  if (lane() > 0) return;
  a.product(image, 0)[stretch] = product0;
  a.product(image, 1)[stretch] = product1;
}

/// One block per image, one warp per row: the log sum exp of the row, and what it adds to loss and entropy.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(dino_loss_threads)
    dino_loss_images(const __grid_constant__ DinoLossStages<T> a) {
  const i64 image = blockIdx.x;
  float loss = 0, entropy = 0;
  for (i64 row = warp(); row < a.views + 2; row += dino_loss_warps) {
    const i64 i = row - a.views;  // of the teacher, from 0 on
    const float tau = i < 0 ? a.tau_s : static_cast<float>(a.tau_t.get()), scale = log2_of_e / tau;
    const float *const largest = a.largest(image, row), *const total = a.total(image, row);
    float top = dino_loss_lowest, sum = 0;
    for (i64 p = lane(); p < a.stretches; p += warp_size) top = fmaxf(top, largest[p]);
    top = warp_max(top);
    for (i64 p = lane(); p < a.stretches; p += warp_size) sum += exp2_approx((largest[p] - top) * scale) * total[p];
    sum = warp_sum(sum);
    const float log_sum = logf(sum), lse = top / tau + log_sum;
    if (i < 0) {
      loss += row < 2 ? lse : 2 * lse;  // teachers that it is compared with
      if (lane() == 0 && a.lse_s) a.lse_s[row * a.images + image] = lse;
      continue;
    }
    float product = 0, spread = 0;
    for (i64 p = lane(); p < a.stretches; p += warp_size) {
      const float factor = exp2_approx((largest[p] - top) * scale);
      product += factor * a.product(image, i)[p];
      spread += factor * (a.spread(image, i)[p] + (largest[p] - top) * total[p]);
    }
    product = warp_sum(product);
    spread = warp_sum(spread);
    loss -= product / (sum * a.tau_s);
    entropy += log_sum - spread / (sum * tau);
    if (lane() == 0 && a.lse_t) a.lse_t[i * a.images + image] = lse;
  }
  loss = block_sum(lane() == 0 ? loss : 0.0f);
  entropy = block_sum(lane() == 0 ? entropy : 0.0f);
  if (block_thread() > 0) return;
  a.partial[image] = loss / static_cast<float>((2 * a.views - 2) * a.images);
  a.partial[a.images + image] = entropy / static_cast<float>(2 * a.images);
}

/// One block adds the images.
template <class T> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(dino_loss_sum_threads)
    dino_loss_sum(const __grid_constant__ DinoLossStages<T> a) {
  float loss = 0, entropy = 0;
  for (i64 image = block_thread(); image < a.images; image += dino_loss_sum_threads) {
    loss += a.partial[image];
    entropy += a.partial[a.images + image];
  }
  loss = block_sum(loss);
  entropy = block_sum(entropy);
  if (block_thread() > 0) return;
  *a.loss = loss;
  *a.entropy = entropy;
}

/// The mean of q over the teacher rows: a block to a strip of columns. Warp w adds the rows w, w + 8, ..., then the
/// warps are added in order.
template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(dino_loss_threads)
    dino_loss_batch_mean(const __grid_constant__ DinoLossStages<T> a) {
  constexpr int strip = warp_size * width;
  DINO_SHARED(part, float[dino_loss_warps][strip]);
  const i64 first = static_cast<i64>(blockIdx.x) * strip, c = first + width * lane();
  const float scale = 1 / static_cast<float>(a.tau_t.get());
  float sum[width] = {};
  if (c < a.outputs) {
    float center[width];
    load_values<width>(center, a.center + c);
    for (i64 row = warp(); row < 2 * a.images; row += dino_loss_warps) {
      const float lse = a.lse_t[row];
      float t[width];
      load_values<width>(t, a.t + row * a.outputs + c);
      DINO_UNROLL
      for (int i = 0; i < width; ++i) sum[i] += exp2_approx(log2_of_e * fmaf(t[i] - center[i], scale, -lse));
    }
  }
  DINO_UNROLL
  for (int i = 0; i < width; ++i) part[warp()][width * lane() + i] = sum[i];
  sync_block();
  for (int k = block_thread(); k < strip && first + k < a.outputs; k += dino_loss_threads) {
    float total = 0;
    for (int w = 0; w < dino_loss_warps; ++w) total += part[w][k];
    a.batch_mean[first + k] = total / static_cast<float>(2 * a.images);
  }
}

template <class T> struct DinoLossGradient : DinoLossBackward<T> {
  i64 stretches;  // of a row
};

/// The gradient of a stretch of one image's rows; each lane writes where it alone has read.
template <class T, int width> DINO_GLOBAL void DINO_LAUNCH_BOUNDS(dino_loss_threads)
    dino_loss_backward(const __grid_constant__ DinoLossGradient<T> a) {
  const i64 image = global_warp() / a.stretches, stretch = global_warp() % a.stretches;
  if (image >= a.images) return;  // a whole warp; there is no block barrier here
  const i64 first = stretch * dino_loss_stretch, count = a.outputs - first;
  const float scale_s = 1 / a.tau_s, scale_t = 1 / static_cast<float>(a.tau_t.get());
  const float factor = *a.dloss * scale_s / static_cast<float>((2 * a.views - 2) * a.images);

  float q[2][dino_loss_values];
  DINO_UNROLL
  for (int i = 0; i < 2; ++i) {
    const float lse = a.lse_t[i * a.images + image];
    load_teacher<width>(q[i], a.t + (i * a.images + image) * a.outputs + first, a.center + first, count);
    DINO_UNROLL
    for (int j = 0; j < dino_loss_values; ++j) q[i][j] = exp2_approx(log2_of_e * fmaf(q[i][j], scale_t, -lse));
  }
  for (i64 v = 0; v < a.views; ++v) {
    const i64 row = v * a.images + image, at = row * a.outputs + first;
    const float lse = a.lse_s[row], pairs = v < 2 ? 1.0f : 2.0f;
    const float use0 = v == 0 ? 0.0f : 1.0f, use1 = v == 1 ? 0.0f : 1.0f;
    float x[dino_loss_values];
    load_stretch<width>(x, a.s + at, count, dino_loss_lowest);
    DINO_UNROLL
    for (int j = 0; j < dino_loss_values; ++j) {
      const float p = exp2_approx(log2_of_e * fmaf(x[j], scale_s, -lse));
      x[j] = factor * (pairs * p - use0 * q[0][j] - use1 * q[1][j]);
    }
    DINO_UNROLL
    for (int p = 0; p < dino_loss_values; p += width) {
      const int c = p * warp_size + width * lane();
      if (c < count) put_values<width>(a.ds, at + c, x + p);
    }
  }
}

}  // namespace detail

template <class T> void launch(Context<Cuda>& ctx, const DinoLossForward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "dino_loss on CUDA: float and 16-bit numbers only");
  constexpr int warps_of_block = detail::dino_loss_warps;
  detail::DinoLossStages<T> stages{a, nullptr, (a.outputs + detail::dino_loss_stretch - 1) / detail::dino_loss_stretch};
  const i64 staged = a.images * stages.slots() * stages.stretches;
  const DeviceScratch scratch(ctx, staged + 2 * a.images);
  stages.stage = scratch.data();
  if (!stages.lse_t) stages.lse_t = scratch.data() + staged;
  with_run_width<T>(rows_take_packs<T>(a.outputs, a.s, a.t, a.center), [&](auto width) {
    ctx.launch(detail::dino_loss_stretches<T, width()>, warps(a.images * stages.stretches, warps_of_block), stages);
    ctx.launch(detail::dino_loss_images<T>, {.grid = {a.images}, .block = {detail::dino_loss_threads}}, stages);
    ctx.launch(detail::dino_loss_sum<T>, {.grid = {1}, .block = {detail::dino_loss_sum_threads}}, stages);
    constexpr i64 strip = warp_size * width();
    const LaunchConfig columns{.grid = {(a.outputs + strip - 1) / strip}, .block = {detail::dino_loss_threads}};
    if (a.batch_mean) ctx.launch(detail::dino_loss_batch_mean<T, width()>, columns, stages);
  });
}

template <class T> void launch(Context<Cuda>& ctx, const DinoLossBackward<T>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "dino_loss on CUDA: float and 16-bit numbers only");
  if (!a.ds) return;
  const detail::DinoLossGradient<T> gradient{a,
                                             (a.outputs + detail::dino_loss_stretch - 1) / detail::dino_loss_stretch};
  const auto config = warps(a.images * gradient.stretches, detail::dino_loss_warps);
  with_run_width<T>(rows_take_packs<T>(a.outputs, a.ds.ptr, a.s, a.t, a.center),
                    [&](auto width) { ctx.launch(detail::dino_loss_backward<T, width()>, config, gradient); });
}

}  // namespace dino::inline DINO_ABI::kernels
