// Principal components of rows.
#pragma once

#include <dino/eval/symmetric_eigen.hpp>
#include <dino/kernels/gemm.hpp>

#include <span>

namespace dino::inline DINO_ABI {

/// Directions of the largest variance. Of components that the rows do not have (k above their rank), direction and
/// variance are 0, and so is what is projected on them.
struct Pca {
  i64 dim = 0, count = 0;
  std::vector<float> mean;        // (dim)
  std::vector<float> components;  // (count,dim), orthonormal; the entry of largest modulus is positive
  std::vector<double> variance;   // (count), falling: of the rows along a component, divided by n - 1
  double total_variance = 0;      // along all of them
};

namespace detail {

inline constexpr i64 pca_rows = 4096;  // rows that are centred at a time

/// x - mean in double, rows [first, first + rows).
inline void centre_rows(HostContext& ctx, std::span<const float> x, i64 dim, i64 first, i64 rows,
                        const std::vector<double>& mean, std::vector<double>& out) {
  out.resize(static_cast<size_t>(rows * dim));
  parallel_rows(ctx, rows, dim, [&](i64 r) {
    const float* const from = x.data() + (first + r) * dim;
    double* const to = out.data() + r * dim;
    for (i64 c = 0; c < dim; ++c) to[c] = static_cast<double>(from[c]) - mean[static_cast<size_t>(c)];
  });
}

inline std::vector<double> mean_row(std::span<const float> x, i64 n, i64 dim) {
  std::vector<double> mean(static_cast<size_t>(dim), 0.0);
  for (i64 r = 0; r < n; ++r)
    for (i64 c = 0; c < dim; ++c)
      mean[static_cast<size_t>(c)] += static_cast<double>(x[static_cast<size_t>(r * dim + c)]);
  for (double& m : mean) m /= static_cast<double>(n);
  return mean;
}

/// c (m,n) = or += op(a) op(b)
inline void multiply(HostContext& ctx, double* c, const double* a, const double* b, i64 m, i64 n, i64 k,
                     bool transpose_a, bool transpose_b, bool add) {
  launch(ctx, kernels::Gemm<double>{.c = c,
                                    .a = a,
                                    .b = b,
                                    .bias = nullptr,
                                    .m = m,
                                    .n = n,
                                    .k = k,
                                    .stride_c = n,
                                    .stride_a = transpose_a ? m : k,
                                    .stride_b = transpose_b ? k : n,
                                    .transpose_a = transpose_a,
                                    .transpose_b = transpose_b,
                                    .add = add});
}

/// Eigenvalues and directions (k,dim) of X^T X; X: (n,dim), centred. Where n < dim from the smaller X X^T: with
/// X X^T u = l u the direction is X^T u / sqrt(l).
inline SymmetricEigen scatter_eigen(HostContext& ctx, std::span<const float> x, i64 n, i64 dim, i64 k,
                                    const std::vector<double>& mean, double& trace) {
  const i64 side = std::min(n, dim);
  std::vector<double> square(static_cast<size_t>(side * side), 0.0), rows;
  if (n < dim) {
    centre_rows(ctx, x, dim, 0, n, mean, rows);
    multiply(ctx, square.data(), rows.data(), rows.data(), n, n, dim, false, true, false);
  } else {
    for (i64 first = 0; first < n; first += pca_rows) {
      const i64 count = std::min(pca_rows, n - first);
      centre_rows(ctx, x, dim, first, count, mean, rows);
      multiply(ctx, square.data(), rows.data(), rows.data(), dim, dim, count, true, false, true);
    }
  }
  for (i64 i = 0; i < side; ++i) trace += square[static_cast<size_t>(i * side + i)];
  require(std::isfinite(trace), ErrorKind::data, "pca: a value of the {} rows is not finite", n);
  auto eigen = symmetric_eigen(ctx, std::move(square), side, std::min(k, side));
  if (n < dim) {
    std::vector<double> directions(eigen.values.size() * static_cast<size_t>(dim));
    multiply(ctx, directions.data(), eigen.vectors.data(), rows.data(), static_cast<i64>(eigen.values.size()), dim, n,
             false, false, false);
    eigen.vectors = std::move(directions);  // of length sqrt(l)
  }
  return eigen;
}

/// Unit length, and positive where the modulus is largest (the first of equal ones).
inline void orient(double* v, i64 dim) {
  i64 largest = 0;
  for (i64 c = 1; c < dim; ++c)
    if (std::abs(v[c]) > std::abs(v[largest])) largest = c;
  const double scale = std::copysign(std::sqrt(dot(v, v, dim)), v[largest]);
  for (i64 c = 0; c < dim; ++c) v[c] /= scale;
}

}  // namespace detail

/// The first k components of x (n,dim), n >= 1: eigenvectors of the covariance 1/(n - 1) sum (x_i - mean)(x_i - mean)^T
/// in double, or of the matrix of scalar products where n < dim. What a singular value decomposition of the centred
/// rows gives (directions to 1e-5 as long as neighbouring variances are apart); signs as sklearn.decomposition.PCA
/// chooses them (svd_flip by v): the entry of largest modulus is positive. Variances below min(n,dim) rounding errors
/// of the largest count as 0. Throws Error{data} for values that are not finite, and when there is no row.
/// Costs 2 n dim min(n,dim) + 8 min(n,dim)^3 operations; the bits do not depend on the threads.
inline Pca principal_components(HostContext& ctx, std::span<const float> x, i64 dim, i64 k) {
  require(dim >= 1 && k >= 1 && static_cast<i64>(x.size()) % dim == 0, "pca: {} numbers in rows of {}, {} components",
          x.size(), dim, k);
  const i64 n = static_cast<i64>(x.size()) / dim;
  require(n >= 1, ErrorKind::data, "pca: there are no rows");
  const auto mean = detail::mean_row(x, n, dim);
  double trace = 0;
  auto eigen = detail::scatter_eigen(ctx, x, n, dim, k, mean, trace);
  Pca out{.dim = dim,
          .count = k,
          .mean = {mean.begin(), mean.end()},
          .components = std::vector<float>(static_cast<size_t>(k * dim), 0.0f),
          .variance = std::vector<double>(static_cast<size_t>(k), 0.0)};
  const double divisor = static_cast<double>(std::max<i64>(1, n - 1)), epsilon = std::numeric_limits<double>::epsilon();
  const double rounding_of_mean =
      16 * epsilon * epsilon * static_cast<double>(n) * detail::dot(mean.data(), mean.data(), dim);
  const double least = std::max(rounding_of_mean, static_cast<double>(std::min(n, dim)) * epsilon * eigen.values[0]);
  if (trace > rounding_of_mean) out.total_variance = trace / divisor;
  for (size_t i = 0; i < eigen.values.size() && eigen.values[i] > least; ++i) {
    double* const v = eigen.vectors.data() + static_cast<i64>(i) * dim;
    detail::orient(v, dim);
    std::copy(v, v + dim, out.components.begin() + static_cast<i64>(i) * dim);
    out.variance[i] = eigen.values[i] / divisor;
  }
  return out;
}

/// Coordinates of rows x (n,dim) along the components: (x_i - mean) components^T, (n,count), summed in double.
inline std::vector<float> project(HostContext& ctx, const Pca& pca, std::span<const float> x) {
  require(pca.dim >= 1 && static_cast<i64>(x.size()) % pca.dim == 0, "pca: {} numbers, components of {}", x.size(),
          pca.dim);
  const i64 n = static_cast<i64>(x.size()) / pca.dim;
  const std::vector<double> mean(pca.mean.begin(), pca.mean.end());
  const std::vector<double> directions(pca.components.begin(), pca.components.end());
  std::vector<double> rows, block;
  std::vector<float> out;
  out.reserve(static_cast<size_t>(n * pca.count));
  for (i64 first = 0; first < n; first += detail::pca_rows) {
    const i64 count = std::min(detail::pca_rows, n - first);
    detail::centre_rows(ctx, x, pca.dim, first, count, mean, rows);
    block.resize(static_cast<size_t>(count * pca.count));
    detail::multiply(ctx, block.data(), rows.data(), directions.data(), count, pca.count, pca.dim, false, true, false);
    for (const double value : block) out.push_back(static_cast<float>(value));
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
