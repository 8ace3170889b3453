// Matrix product where CUDA runs on the host: the CPU kernel stands in for cuBLASLt.
#pragma once

#include <dino/device/cuda_on_host.hpp>
#include <dino/kernels/gemm.hpp>

#include <vector>

namespace dino::inline DINO_ABI::kernels {

namespace detail {

template <class T> std::vector<float> widened(const T* from, i64 rows, i64 cols, i64 stride) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(rows * cols));
  for (i64 r = 0; r < rows; ++r) {
    for (i64 c = 0; c < cols; ++c) out.push_back(to_acc(from[r * stride + c]));
  }
  return out;
}

}  // namespace detail

/// Products in float; C is rounded once, as the library does.
template <class T, class Out> void launch(Context<Cuda>& ctx, const Gemm<T, Out>& a) {
  static_assert(std::is_same_v<acc_t<T>, float>, "gemm on CUDA: float and 16-bit numbers only");
  if (a.m == 0 || a.n == 0) return;
  const i64 a_rows = a.transpose_a ? a.k : a.m, a_cols = a.transpose_a ? a.m : a.k;
  const i64 b_rows = a.transpose_b ? a.n : a.k, b_cols = a.transpose_b ? a.k : a.n;
  const auto left = detail::widened(a.a, a_rows, a_cols, a.stride_a);
  const auto right = detail::widened(a.b, b_rows, b_cols, a.stride_b);
  const auto bias = a.bias ? detail::widened(a.bias, 1, a.n, a.n) : std::vector<float>();
  std::vector<float> c(static_cast<size_t>(a.m * a.n));
  if (a.add) c = detail::widened(a.c, a.m, a.n, a.stride_c);
  const auto residual = a.residual ? detail::widened(a.residual, a.m, a.n, a.stride_c) : std::vector<float>();
  launch(ctx.host(), Gemm<float>{.c = c.data(),
                                 .a = left.data(),
                                 .b = right.data(),
                                 .bias = a.bias ? bias.data() : nullptr,
                                 .m = a.m,
                                 .n = a.n,
                                 .k = a.k,
                                 .stride_c = a.n,
                                 .stride_a = a_cols,
                                 .stride_b = b_cols,
                                 .transpose_a = a.transpose_a,
                                 .transpose_b = a.transpose_b,
                                 .add = a.add,
                                 .residual = nullptr});
  for (size_t i = 0; i < residual.size(); ++i) c[i] += residual[i];
  for (i64 r = 0; r < a.m; ++r) {
    for (i64 j = 0; j < a.n; ++j) a.c[r * a.stride_c + j] = from_acc<Out>(c[static_cast<size_t>(r * a.n + j)]);
  }
}

}  // namespace dino::inline DINO_ABI::kernels
