// Matrix product on the CPU: pieces for the threads, each by register tiles.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/cpu/gemm_block.hpp>
#include <dino/kernels/gemm.hpp>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// How a product is cut. It depends on the sizes alone, so the sums are the same for every number of threads.
struct GemmPieces {
  i64 m, n, k;            // extents of a piece
  i64 rows, cols, depth;  // number of pieces along each

  GemmPieces(i64 full_m, i64 full_n, i64 full_k) : m(full_m), n(full_n), k(full_k) {
    constexpr double worth_cutting = 1e6;  // multiply-adds; below, waking a thread costs more than it brings
    if (static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) > worth_cutting) {
      i64& longer = full_m >= full_n ? m : n;
      longer = std::min(longer, std::max<i64>(192, (longer / 16 + 47) / 48 * 48));
      const i64 pieces = count(full_m, m) * count(full_n, n);
      // Weight gradients: a small result, a long sum. Its parts are added in order afterwards.
      if (pieces < 8 && full_k >= 2048 && full_m * full_n <= (1 << 18)) {
        k = std::max<i64>(512, (full_k / 8 + block_depth - 1) / block_depth * block_depth);
      }
    }
    rows = count(full_m, m);
    cols = count(full_n, n);
    depth = count(full_k, k);
  }
  i64 total() const { return rows * cols * depth; }

 private:
  static i64 count(i64 full, i64 piece) { return piece == 0 ? 1 : (full + piece - 1) / piece; }
};

template <class T> void gemm_piece(const Gemm<T>& a, const GemmPieces& cut, i64 piece, T* partial) {
  const i64 z = piece % cut.depth, x = piece / cut.depth % cut.cols, y = piece / cut.depth / cut.cols;
  const i64 m0 = y * cut.m, n0 = x * cut.n, k0 = z * cut.k;
  const bool own = z > 0;  // a part of the sum, kept apart
  T* const c = own ? partial + (z - 1) * a.m * a.n : a.c;
  const i64 stride = own ? a.n : a.stride_c;
  multiply_block<T>({.c = c + m0 * stride + n0,
                     .a = a.transpose_a ? a.a + k0 * a.stride_a + m0 : a.a + m0 * a.stride_a + k0,
                     .b = a.transpose_b ? a.b + n0 * a.stride_b + k0 : a.b + k0 * a.stride_b + n0,
                     .bias = own || !a.bias ? nullptr : a.bias + n0,
                     .m = std::min(cut.m, a.m - m0),
                     .n = std::min(cut.n, a.n - n0),
                     .k = std::min(cut.k, a.k - k0),
                     .stride_c = stride,
                     .stride_a = a.stride_a,
                     .stride_b = a.stride_b,
                     .transpose_a = a.transpose_a,
                     .transpose_b = a.transpose_b,
                     .add = !own && a.add});
  if (!a.residual || cut.depth > 1) return;
  const i64 end = std::min(m0 + cut.m, a.m), width = std::min(cut.n, a.n - n0);
  for (i64 r = m0; r < end; ++r) {
    T* const to = a.c + r * a.stride_c + n0;
    const T* const residual = a.residual + r * a.stride_c + n0;
    DINO_IVDEP
    for (i64 j = 0; j < width; ++j) to[j] += residual[j];
  }
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const Gemm<T>& a) {
  require(!a.add || !a.residual, "gemm: add and a residual");
  if (a.m == 0 || a.n == 0) return;
  const detail::GemmPieces cut(a.m, a.n, a.k);
  T* partial = nullptr;
  if (cut.depth > 1) {
    partial = static_cast<T*>(ctx.pool().allocate(static_cast<size_t>((cut.depth - 1) * a.m * a.n) * sizeof(T)));
  }
  ctx.threads().run(cut.total(), [&](i64 piece) { detail::gemm_piece(a, cut, piece, partial); });
  if (!partial) return;
  parallel_rows(ctx, a.m, a.n * cut.depth, [&](i64 r) {
    T* const c = a.c + r * a.stride_c;
    for (i64 z = 1; z < cut.depth; ++z) {
      const T* const part = partial + (z - 1) * a.m * a.n + r * a.n;
      for (i64 j = 0; j < a.n; ++j) c[j] += part[j];
    }
    if (!a.residual) return;
    for (i64 j = 0; j < a.n; ++j) c[j] += a.residual[r * a.stride_c + j];
  });
  ctx.pool().release(partial);
}

}  // namespace dino::inline DINO_ABI::kernels
