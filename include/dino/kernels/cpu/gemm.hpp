// Matrix product on the CPU: Eigen inside, our own partition over threads.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/kernels/gemm.hpp>

#include <Eigen/Core>

#include <vector>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

/// How a product is cut. It depends on the sizes alone, so the sums are the same for every number of threads.
struct GemmPieces {
  i64 m, n, k;            // extents of a piece
  i64 rows, cols, depth;  // number of pieces along each

  GemmPieces(i64 full_m, i64 full_n, i64 full_k) : m(full_m), n(full_n), k(full_k) {
    constexpr double worth_cutting = 2e6;  // multiply-adds; below, waking a thread costs more than it brings
    if (static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) > worth_cutting) {
      i64& longer = full_m >= full_n ? m : n;
      longer = std::min(longer, std::max<i64>(192, (longer / 16 + 47) / 48 * 48));
      const i64 pieces = count(full_m, m) * count(full_n, n);
      // Weight gradients: a small result, a long sum. Its parts are added in order afterwards.
      if (pieces < 8 && full_k >= 2048 && full_m * full_n <= (1 << 18))
        k = std::max<i64>(512, (full_k / 8 + 63) / 64 * 64);
    }
    rows = count(full_m, m);
    cols = count(full_n, n);
    depth = count(full_k, k);
  }
  i64 total() const { return rows * cols * depth; }

 private:
  static i64 count(i64 full, i64 piece) { return piece == 0 ? 1 : (full + piece - 1) / piece; }
};

template <class T> using GemmMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T> using GemmMap = Eigen::Map<GemmMatrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

/// C += op(A) op(B) for one piece.
template <class T> void multiply_add(GemmMap<T> c, const T* a, i64 stride_a, bool transpose_a, const T* b, i64 stride_b,
                                     bool transpose_b, i64 k) {
  using Map = Eigen::Map<const GemmMatrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
  const i64 m = c.rows(), n = c.cols();
  const Map left(a, transpose_a ? k : m, transpose_a ? m : k, Eigen::OuterStride<>(stride_a));
  const Map right(b, transpose_b ? n : k, transpose_b ? k : n, Eigen::OuterStride<>(stride_b));
  if (transpose_a) {
    if (transpose_b) {
      c.noalias() += left.transpose() * right.transpose();
    } else {
      c.noalias() += left.transpose() * right;
    }
  } else if (transpose_b) {
    c.noalias() += left * right.transpose();
  } else {
    c.noalias() += left * right;
  }
}

/// What C holds before the product is added: itself or zero, plus the bias.
template <class T> void prepare_rows(const Gemm<T>& a, i64 m0, i64 m1, i64 n0, i64 n1) {
  for (i64 r = m0; r < m1; ++r) {
    T* const c = a.c + r * a.stride_c;
    if (!a.add) {
      if (a.bias) {
        std::copy(a.bias + n0, a.bias + n1, c + n0);
      } else {
        std::fill(c + n0, c + n1, T(0));
      }
    } else if (a.bias) {
      for (i64 j = n0; j < n1; ++j) c[j] += a.bias[j];
    }
  }
}

template <class T> void gemm_piece(const Gemm<T>& a, const GemmPieces& cut, i64 piece, T* partial) {
  const i64 z = piece % cut.depth, x = piece / cut.depth % cut.cols, y = piece / cut.depth / cut.cols;
  const i64 m0 = y * cut.m, m1 = std::min(a.m, m0 + cut.m);
  const i64 n0 = x * cut.n, n1 = std::min(a.n, n0 + cut.n);
  const i64 k0 = z * cut.k, k1 = std::min(a.k, k0 + cut.k);
  T* c = a.c + m0 * a.stride_c + n0;
  i64 stride = a.stride_c;
  if (z == 0) {
    prepare_rows(a, m0, m1, n0, n1);
  } else {  // a part of the sum of its own
    stride = a.n;
    c = partial + (z - 1) * a.m * a.n + m0 * stride + n0;
    for (i64 r = 0; r < m1 - m0; ++r) std::fill_n(c + r * stride, n1 - n0, T(0));
  }
  const T* const left = a.transpose_a ? a.a + k0 * a.stride_a + m0 : a.a + m0 * a.stride_a + k0;
  const T* const right = a.transpose_b ? a.b + n0 * a.stride_b + k0 : a.b + k0 * a.stride_b + n0;
  multiply_add<T>(GemmMap<T>(c, m1 - m0, n1 - n0, Eigen::OuterStride<>(stride)), left, a.stride_a, a.transpose_a, right,
                  a.stride_b, a.transpose_b, k1 - k0);
}

}  // namespace detail

template <class T> void launch(Context<Cpu>& ctx, const Gemm<T>& a) {
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
  });
  ctx.pool().release(partial);
}

}  // namespace dino::inline DINO_ABI::kernels
