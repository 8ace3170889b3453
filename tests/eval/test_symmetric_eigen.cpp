#include <dino/eval/symmetric_eigen.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

/// B B^T or B + B^T, with entries that are normal.
std::vector<double> random_symmetric(HostContext& ctx, i64 n, u64 key, bool positive) {
  const auto b = to_vector(randn<double>(ctx, {n, n}, RngKey(key, 0)));
  std::vector<double> a(b.size());
  const auto at = [n](i64 i, i64 j) { return static_cast<size_t>(i * n + j); };
  for (i64 i = 0; i < n; ++i) {
    for (i64 j = 0; j < n; ++j) {
      if (!positive) a[at(i, j)] = b[at(i, j)] + b[at(j, i)];
      for (i64 c = 0; positive && c < n; ++c) a[at(i, j)] += b[at(i, c)] * b[at(j, c)];
    }
  }
  return a;
}

/// Largest of |A v - l v| and |v_i v_j - [i = j]|, relative to the largest eigenvalue.
double residual(const std::vector<double>& a, i64 n, const SymmetricEigen& e) {
  double worst = 0, scale = std::max(std::abs(e.values.front()), std::abs(e.values.back()));
  if (scale == 0) scale = 1;
  const auto k = static_cast<i64>(e.values.size());
  for (i64 i = 0; i < k; ++i) {
    const double* const v = e.vectors.data() + i * n;
    for (i64 r = 0; r < n; ++r) {
      double sum = 0;
      for (i64 c = 0; c < n; ++c) sum += a[static_cast<size_t>(r * n + c)] * v[c];
      worst = worse(worst, std::abs(sum - e.values[static_cast<size_t>(i)] * v[r]) / scale);
    }
    for (i64 j = 0; j < k; ++j) {
      double product = i == j ? -1 : 0;
      for (i64 c = 0; c < n; ++c) product += v[c] * e.vectors[static_cast<size_t>(j * n + c)];
      worst = worse(worst, std::abs(product));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("symmetric_eigen: a matrix whose eigenvalues are known", "[eval]") {
  HostContext ctx(1);
  const auto e = symmetric_eigen(ctx, {2, 1, 0, 1, 2, 0, 0, 0, -5}, 3, 3);
  REQUIRE(e.values.size() == 3);
  CHECK(e.values[0] == Approx(3).epsilon(1e-14));
  CHECK(e.values[1] == Approx(1).epsilon(1e-14));
  CHECK(e.values[2] == Approx(-5).epsilon(1e-14));
  CHECK(std::abs(e.vectors[0]) == Approx(std::sqrt(0.5)).epsilon(1e-14));
  CHECK(e.vectors[0] == Approx(e.vectors[1]).epsilon(1e-14));
  CHECK(std::abs(e.vectors[8]) == Approx(1).epsilon(1e-14));
}

TEST_CASE("symmetric_eigen: vectors are orthonormal and solve the equation, for odd sizes", "[eval]") {
  HostContext ctx(2);
  for (const i64 n : {1, 2, 3, 5, 16, 17, 64, 131, 200}) {
    for (const bool positive : {false, true}) {
      INFO("n = " << n << ", positive = " << positive);
      const auto a = random_symmetric(ctx, n, 7, positive);
      const auto e = symmetric_eigen(ctx, a, n, n);
      CHECK(residual(a, n, e) < 1e-14 * static_cast<double>(n + 10));  // a few roundings for each of n sweeps
      CHECK(std::is_sorted(e.values.rbegin(), e.values.rend()));
      double trace = 0, sum = 0;
      for (i64 i = 0; i < n; ++i) trace += a[static_cast<size_t>(i * n + i)];
      for (const double value : e.values) sum += value;
      CHECK(sum == Approx(trace).epsilon(1e-12));
    }
  }
}

TEST_CASE("symmetric_eigen: equal eigenvalues, diagonal matrices, zeros and very different scales", "[eval]") {
  HostContext ctx(1);
  const i64 n = 12;
  std::vector<double> zero(n * n, 0.0), ones(n * n, 1.0), identity = zero, scaled = zero;
  for (i64 i = 0; i < n; ++i) {
    identity[static_cast<size_t>(i * n + i)] = 1;
    for (i64 j = 0; j < n; ++j) scaled[static_cast<size_t>(i * n + j)] = std::pow(10.0, -static_cast<double>(i + j));
  }
  for (const auto& a : {zero, ones, identity, scaled}) CHECK(residual(a, n, symmetric_eigen(ctx, a, n, n)) < 1e-14);
  CHECK(symmetric_eigen(ctx, ones, n, 2).values[0] == Approx(12).epsilon(1e-14));
  CHECK(std::abs(symmetric_eigen(ctx, ones, n, 2).values[1]) < 1e-14);
}

TEST_CASE("symmetric_eigen: the first k are those of the whole, and threads change no bit", "[eval]") {
  HostContext one(1), two(2), three(3);
  const auto a = random_symmetric(one, 150, 3, true);
  const auto all = symmetric_eigen(one, a, 150, 150), some = symmetric_eigen(two, a, 150, 4);
  CHECK(std::equal(some.values.begin(), some.values.end(), all.values.begin()));
  CHECK(std::equal(some.vectors.begin(), some.vectors.end(), all.vectors.begin()));
  CHECK(symmetric_eigen(three, a, 150, 150).vectors == all.vectors);
}

TEST_CASE("symmetric_eigen: sizes that do not fit and values that are not finite are refused", "[eval]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(symmetric_eigen(ctx, {1, 2, 3}, 2, 1), "symmetric_eigen: 3 numbers for (2,2), 1 wanted");
  CHECK_THROWS_WITH(symmetric_eigen(ctx, {1, 2, 3, 4}, 2, 3), "symmetric_eigen: 4 numbers for (2,2), 3 wanted");
  CHECK_THROWS_WITH(symmetric_eigen(ctx, {1, NAN, NAN, 1}, 2, 1), "symmetric_eigen: a value is not finite");
}
