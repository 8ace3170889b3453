// Eigenvalues and eigenvectors of a symmetric matrix in double precision.
#pragma once

#include <dino/tensor/copy.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace dino::inline DINO_ABI {

/// The largest eigenvalues, falling, and their eigenvectors, one a row.
struct SymmetricEigen {
  std::vector<double> values;   // (k)
  std::vector<double> vectors;  // (k,n), orthonormal
};

namespace detail {

inline double dot(const double* a, const double* b, i64 n) {
  constexpr i64 lanes = 16;  // sums side by side: no chain of additions to wait for
  double sum[lanes] = {};
  i64 i = 0;
  for (; i + lanes <= n; i += lanes)
    for (i64 j = 0; j < lanes; ++j) sum[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sum[i % lanes] += a[i] * b[i];
  double total = 0;
  for (const double s : sum) total += s;
  return total;
}

/// A symmetric matrix as Q T Q^T with T tridiagonal, Q = H_0 H_1 .., H_k = I - 2 v_k v_k^T.
struct Tridiagonal {
  i64 n = 0;
  std::vector<double> diagonal, beside;  // (n); beside[i] stands between i and i + 1, the last one is 0
  std::vector<double> reflections;       // (n,n): v_k, of unit length or zero, in row k from column k + 1

  Tridiagonal(HostContext& ctx, std::vector<double> a, i64 size)
      : n(size), diagonal(static_cast<size_t>(n)), beside(static_cast<size_t>(n)), reflections(std::move(a)) {
    std::vector<double> w(static_cast<size_t>(n));
    for (i64 k = 0; k < n; ++k) {
      diagonal[static_cast<size_t>(k)] = row(k)[k];
      if (k + 1 == n) break;
      double* const v = row(k) + k + 1;
      const i64 m = n - k - 1;
      const double length = std::sqrt(dot(v, v, m)), image = v[0] > 0 ? -length : length;  // no cancellation
      beside[static_cast<size_t>(k)] = image;
      v[0] -= image;
      const double norm = std::sqrt(dot(v, v, m));
      if (norm == 0) continue;
      for (i64 i = 0; i < m; ++i) v[i] /= norm;
      reflect(ctx, k, v, w.data());
    }
  }

  double* row(i64 i) { return reflections.data() + i * n; }
  const double* row(i64 i) const { return reflections.data() + i * n; }

  /// z = Q z
  void turn_back(double* z) const {
    for (i64 k = n - 2; k >= 0; --k) {
      const double* const v = row(k) + k + 1;
      const double factor = 2 * dot(v, z + k + 1, n - k - 1);
      for (i64 i = 0; i < n - k - 1; ++i) z[k + 1 + i] -= factor * v[i];
    }
  }

 private:
  /// A = H A H = A - v w^T - w v^T,  w = 2 A v - 2 (v^T A v) v, on the rows and columns after k.
  void reflect(HostContext& ctx, i64 k, const double* v, double* w) {
    const i64 m = n - k - 1;
    parallel_rows(ctx, m, m, [&](i64 i) { w[i] = 2 * dot(row(k + 1 + i) + k + 1, v, m); });
    const double along = dot(v, w, m);
    for (i64 i = 0; i < m; ++i) w[i] -= along * v[i];
    parallel_rows(ctx, m, 2 * m, [&](i64 i) {
      double* const a = row(k + 1 + i) + k + 1;
      const double vi = v[i], wi = w[i];
      for (i64 j = 0; j < m; ++j) a[j] -= vi * w[j] + wi * v[j];
    });
  }
};

/// Implicit QL with Wilkinson's shift: diagonal becomes the eigenvalues, the rows of z their vectors in the basis of T.
inline void diagonalise(HostContext& ctx, std::vector<double>& d, std::vector<double>& e, std::vector<double>& z) {
  const i64 n = static_cast<i64>(d.size());
  std::vector<std::array<double, 2>> turns;  // cosine and sine of a sweep, from the lower end upwards
  for (i64 low = 0; low < n; ++low) {
    for (i64 sweep = 0;; ++sweep) {
      i64 high = low;
      for (; high + 1 < n; ++high) {
        const auto at = static_cast<size_t>(high);
        if (std::abs(e[at]) <= std::numeric_limits<double>::epsilon() * (std::abs(d[at]) + std::abs(d[at + 1]))) break;
      }
      if (high == low) break;
      require(sweep < 60, "symmetric_eigen: eigenvalue {} of {} does not converge", low, n);
      const auto first = static_cast<size_t>(low);
      const double half = (d[first + 1] - d[first]) / (2 * e[first]), root = std::hypot(half, 1.0);
      double g = d[static_cast<size_t>(high)] - d[first] + e[first] / (half + std::copysign(root, half));
      double s = 1, c = 1, p = 0;
      turns.clear();
      for (i64 i = high - 1; i >= low; --i) {
        const auto at = static_cast<size_t>(i);
        const double f = s * e[at], b = c * e[at], r = std::hypot(f, g);
        e[at + 1] = r;
        s = r == 0 ? 0 : f / r;
        c = r == 0 ? 1 : g / r;
        g = d[at + 1] - p;
        const double q = (d[at] - g) * s + 2 * c * b;
        p = s * q;
        d[at + 1] = g + p;
        g = c * q - b;
        turns.push_back({c, s});
      }
      d[first] -= p;
      e[first] = g;
      e[static_cast<size_t>(high)] = 0;
      parallel_ranges(ctx, n, 128, [&](i64 begin, i64 end) {  // columns whose rows stay in cache
        for (size_t t = 0; t < turns.size(); ++t) {
          double* const x = z.data() + (high - 1 - static_cast<i64>(t)) * n;
          double* const y = x + n;
          const auto [cosine, sine] = turns[t];
          DINO_IVDEP
          for (i64 j = begin; j < end; ++j) {
            const double f = y[j];
            y[j] = sine * x[j] + cosine * f;
            x[j] = cosine * x[j] - sine * f;
          }
        }
      });
    }
  }
}

}  // namespace detail

/// The k largest eigenvalues of the symmetric a (n,n) with their vectors, k <= n: Householder reflections to a
/// tridiagonal matrix, then QL (Golub and Van Loan, Matrix Computations, 8.3). Both triangles are read. About
/// 8 n^3 operations and 2 n^2 numbers. The sign of a vector is arbitrary; the bits do not depend on the threads.
inline SymmetricEigen symmetric_eigen(HostContext& ctx, std::vector<double> a, i64 n, i64 k) {
  require(n >= 1 && k >= 1 && k <= n && static_cast<i64>(a.size()) == n * n,
          "symmetric_eigen: {} numbers for ({},{}), {} wanted", a.size(), n, n, k);
  for (const double x : a) require(std::isfinite(x), ErrorKind::data, "symmetric_eigen: a value is not finite");
  detail::Tridiagonal t(ctx, std::move(a), n);
  std::vector<double> z(static_cast<size_t>(n * n), 0.0);
  for (i64 i = 0; i < n; ++i) z[static_cast<size_t>(i * n + i)] = 1;
  detail::diagonalise(ctx, t.diagonal, t.beside, z);
  std::vector<i64> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), i64{0});
  std::stable_sort(order.begin(), order.end(), [&](i64 i, i64 j) {
    return t.diagonal[static_cast<size_t>(i)] > t.diagonal[static_cast<size_t>(j)];
  });
  SymmetricEigen out;
  for (i64 i = 0; i < k; ++i) {
    const i64 from = order[static_cast<size_t>(i)];
    out.values.push_back(t.diagonal[static_cast<size_t>(from)]);
    t.turn_back(z.data() + from * n);
    out.vectors.insert(out.vectors.end(), z.begin() + from * n, z.begin() + (from + 1) * n);
  }
  return out;
}

}  // namespace dino::inline DINO_ABI
