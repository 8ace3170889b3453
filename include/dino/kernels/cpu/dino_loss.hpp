// The DINO loss on the CPU. The rows of an image belong to one thread.
#pragma once

#include <dino/base/math.hpp>
#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/row.hpp>
#include <dino/kernels/dino_loss.hpp>

#include <cmath>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// log sum exp of scale x.
template <class T> T log_sum_exp(const T* x, i64 n, T scale) {
  const T largest = max_over<T>(n, [x](i64 k) { return x[k]; });
  return scale * largest + std::log(exp_sum(x, n, scale, largest));
}

/// q = softmax((t - center) / tau) of one row; returns its log sum exp.
template <class T> T teacher_row(T* q, const T* t, const T* center, i64 n, T scale) {
  const T largest = scale * max_over<T>(n, [=](i64 k) { return t[k] - center[k]; });
  exp_centered_row(q, t, center, n, scale, largest);
  const T total = sum(q, n);
  const T inverse = 1 / total;
  DINO_IVDEP
  for (i64 k = 0; k < n; ++k) q[k] *= inverse;
  return largest + std::log(total);
}

/// Loss and entropy of one image; q is scratch of K values.
template <class T> void dino_loss_image(const DinoLossForward<T>& a, i64 image, T* q) {
  const i64 n = a.outputs;
  const T scale_s = 1 / a.tau_s, scale_t = 1 / static_cast<T>(a.tau_t.get());
  std::vector<T> lse_s(static_cast<size_t>(a.views));
  for (i64 v = 0; v < a.views; ++v) {
    lse_s[static_cast<size_t>(v)] = log_sum_exp(a.s + (v * a.images + image) * n, n, scale_s);
    if (a.lse_s) a.lse_s[v * a.images + image] = lse_s[static_cast<size_t>(v)];
  }
  T loss = 0, entropy = 0;
  for (i64 i = 0; i < 2; ++i) {
    const T *const t = a.t + (i * a.images + image) * n, *const center = a.center;
    const T lse_t = teacher_row(q, t, center, n, scale_t);
    if (a.lse_t) a.lse_t[i * a.images + image] = lse_t;
    entropy += lse_t - scale_t * sum_over<T>(n, [=](i64 k) { return q[k] * (t[k] - center[k]); });
    for (i64 v = 0; v < a.views; ++v) {
      if (v == i) continue;
      loss += lse_s[static_cast<size_t>(v)] - scale_s * dot(q, a.s + (v * a.images + image) * n, n);
    }
  }
  a.partial[image] = loss / static_cast<T>((2 * a.views - 2) * a.images);
  a.partial[a.images + image] = entropy / static_cast<T>(2 * a.images);
}

/// Gradient of one image's rows, columns [begin, end). The two teacher rows are read once.
template <class T> void dino_loss_gradient(const DinoLossBackward<T>& a, i64 image, i64 begin, i64 end) {
  constexpr i64 width = 512;
  const i64 n = a.outputs;
  const T scale_s = 1 / a.tau_s, scale_t = 1 / static_cast<T>(a.tau_t.get());
  const T factor = *a.dloss * scale_s / static_cast<T>((2 * a.views - 2) * a.images);
  for (i64 first = begin; first < end; first += width) {
    const i64 count = std::min(width, end - first);
    T q[2][width];
    for (i64 i = 0; i < 2; ++i) {
      const T *const t = a.t + (i * a.images + image) * n + first, *const center = a.center + first;
      const T lse = a.lse_t[i * a.images + image];
      exp_centered_row(q[i], t, center, count, scale_t, lse);
    }
    for (i64 v = 0; v < a.views; ++v) {
      const i64 row = v * a.images + image;
      const T* const s = a.s + row * n + first;
      const T lse = a.lse_s[row], pairs = v < 2 ? T(1) : T(2);
      const T use0 = v == 0 ? T(0) : T(1), use1 = v == 1 ? T(0) : T(1);
      T* const ds = a.ds.ptr + row * n + first;
      T p[width];
      exp_row(p, s, count, scale_s, lse);
      if (a.ds.add) {
        DINO_IVDEP
        for (i64 k = 0; k < count; ++k) ds[k] += factor * (pairs * p[k] - use0 * q[0][k] - use1 * q[1][k]);
      } else {
        DINO_IVDEP
        for (i64 k = 0; k < count; ++k) ds[k] = factor * (pairs * p[k] - use0 * q[0][k] - use1 * q[1][k]);
      }
    }
  }
}

/// batch_mean_k = mean over all teacher rows of q_k.
template <class T> void dino_batch_mean(Context<Cpu>& ctx, const DinoLossForward<T>& a, const T* lse_t) {
  constexpr i64 width = 1024;
  const T scale_t = 1 / static_cast<T>(a.tau_t.get());
  parallel_ranges(ctx, a.outputs, width, [&](i64 begin, i64 end) {
    std::fill(a.batch_mean + begin, a.batch_mean + end, T(0));
    T q[width];
    for (i64 row = 0; row < 2 * a.images; ++row) {
      exp_centered_row(q, a.t + row * a.outputs + begin, a.center + begin, end - begin, scale_t, lse_t[row]);
      DINO_IVDEP
      for (i64 k = begin; k < end; ++k) a.batch_mean[k] += q[k - begin];
    }
    for (i64 k = begin; k < end; ++k) a.batch_mean[k] /= static_cast<T>(2 * a.images);
  });
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const DinoLossForward<T>& args) {
  auto a = args;
  std::vector<T> lse_t;  // the mean over the batch needs them, kept or not
  if (a.batch_mean && !a.lse_t) {
    lse_t.resize(static_cast<size_t>(2 * a.images));
    a.lse_t = lse_t.data();
  }
  ctx.threads().run(a.images, [&](i64 image) {
    thread_local std::vector<T> q;
    q.resize(static_cast<size_t>(a.outputs));
    detail::dino_loss_image(a, image, q.data());
  });
  *a.loss = 0;
  *a.entropy = 0;
  for (i64 image = 0; image < a.images; ++image) {
    *a.loss += a.partial[image];
    *a.entropy += a.partial[a.images + image];
  }
  if (a.batch_mean) detail::dino_batch_mean(ctx, a, a.lse_t);
}

template <class T> void launch(Context<Cpu>& ctx, const DinoLossBackward<T>& a) {
  constexpr i64 columns = 8192;
  const i64 pieces = (a.outputs + columns - 1) / columns;
  ctx.threads().run(a.images * pieces, [&](i64 task) {
    const i64 begin = task % pieces * columns;
    detail::dino_loss_gradient(a, task / pieces, begin, std::min(a.outputs, begin + columns));
  });
}

}  // namespace dino::inline DINO_ABI::kernels
