#include <dino/kernels/gemm.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"
#include "support/worst.hpp"

#include <cmath>
#include <limits>

using namespace dino;

namespace {
struct Case {
  i64 m, n, k;
  bool transpose_a = false, transpose_b = false, add = false, bias = false;
  i64 gap = 0;  // columns between the rows of A, B and C that belong to nobody
  bool residual = false;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.m << " x " << c.n << " x " << c.k << (c.transpose_a ? " A^T" : "") << (c.transpose_b ? " B^T" : "")
               << (c.add ? " add" : "") << (c.residual ? " residual" : "") << (c.bias ? " bias" : "") << " gap " << c.gap;
  }
};

/// Random values; the columns from `cols` on are NaN, so that whoever reads them is found out.
template <class T> HostTensor<T> matrix(HostContext& ctx, i64 rows, i64 cols, i64 gap, u64 stream) {
  return generate<T>(ctx, {rows, cols + gap}, [&](i64 i) {
    return i % (cols + gap) < cols ? normal(RngKey(2, stream), i) : std::numeric_limits<double>::quiet_NaN();
  });
}

template <class T> struct Problem {
  Case c;
  HostTensor<T> a, b, bias, out, residual;

  Problem(HostContext& ctx, const Case& at)
      : c(at),
        a(at.transpose_a ? matrix<T>(ctx, at.k, at.m, at.gap, 1) : matrix<T>(ctx, at.m, at.k, at.gap, 1)),
        b(at.transpose_b ? matrix<T>(ctx, at.n, at.k, at.gap, 2) : matrix<T>(ctx, at.k, at.n, at.gap, 2)),
        bias(matrix<T>(ctx, 1, at.n, 0, 3)),
        out(matrix<T>(ctx, at.m, at.n, at.gap, 4)),
        residual(matrix<T>(ctx, at.m, at.n, at.gap, 5)) {
    if (!c.add) {  // what is overwritten may hold anything
      for (i64 i = 0; i < out.numel(); ++i) out[i] = std::numeric_limits<T>::quiet_NaN();
    }
  }

  void run(HostContext& ctx) const {
    launch(ctx, kernels::Gemm<T>{.c = out.data(),
                                 .a = a.data(),
                                 .b = b.data(),
                                 .bias = c.bias ? bias.data() : nullptr,
                                 .m = c.m,
                                 .n = c.n,
                                 .k = c.k,
                                 .stride_c = out.cols(),
                                 .stride_a = a.cols(),
                                 .stride_b = b.cols(),
                                 .transpose_a = c.transpose_a,
                                 .transpose_b = c.transpose_b,
                                 .add = c.add,
                                 .residual = c.residual ? residual.data() : nullptr});
  }
};

/// The largest error against a plain double product, relative to sum |a| |b| + |bias| + |c|; NaN if anything is NaN.
template <class T> double worst_error(const Case& c) {
  HostContext ctx(2);
  const Problem<T> p(ctx, c);
  const auto before = clone(p.out);
  p.run(ctx);
  double worst = 0;
  for (i64 i = 0; i < c.m; ++i) {
    for (i64 j = 0; j < c.n; ++j) {
      double sum = 0, size = std::numeric_limits<double>::min();
      for (i64 k = 0; k < c.k; ++k) {
        const double x = c.transpose_a ? p.a[k * p.a.cols() + i] : p.a[i * p.a.cols() + k];
        const double y = c.transpose_b ? p.b[j * p.b.cols() + k] : p.b[k * p.b.cols() + j];
        sum += x * y;
        size += std::abs(x * y);
      }
      const double extra = (c.bias ? static_cast<double>(p.bias[j]) : 0.0) +
                           (c.add ? static_cast<double>(before[i * before.cols() + j]) : 0.0) +
                           (c.residual ? static_cast<double>(p.residual[i * p.residual.cols() + j]) : 0.0);
      const double error = std::abs(sum + extra - static_cast<double>(p.out[i * p.out.cols() + j]));
      worst = worse(worst, error / (size + std::abs(extra)));
    }
    for (i64 j = c.n; j < p.out.cols(); ++j) {
      if (!std::isnan(p.out[i * p.out.cols() + j])) FAIL("wrote beyond row " << i);
    }
  }
  return worst;
}

void check(const Case& c) {
  INFO(c);
  CHECK(worst_error<float>(c) <= 5e-7);    // a few roundings of 6e-8: errors of long sums cancel
  CHECK(worst_error<double>(c) <= 1e-15);  // likewise of 1.1e-16
}
}  // namespace

TEST_CASE("gemm: all four forms equal a plain product, for sizes that nothing divides", "[kernels]") {
  const auto [m, n, k] = GENERATE(table<i64, i64, i64>({{1, 1, 1},
                                                        {3, 5, 7},
                                                        {12, 32, 16},
                                                        {13, 33, 1},
                                                        {17, 31, 65},
                                                        {1, 129, 31},
                                                        {129, 1, 31},
                                                        {6, 16, 300},
                                                        {100, 70, 90}}));
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) check({.m = m, .n = n, .k = k, .transpose_a = ta, .transpose_b = tb});
  }
}

TEST_CASE("gemm: add, bias and rows with gaps", "[kernels]") {
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (const bool add : {false, true}) {
        for (const bool bias : {false, true}) {
          check({.m = 29, .n = 35, .k = 19, .transpose_a = ta, .transpose_b = tb, .add = add, .bias = bias, .gap = 3});
        }
      }
    }
  }
}

TEST_CASE("gemm: a residual is added beside the bias, not beside `add`", "[kernels]") {
  for (const bool bias : {false, true}) {
    check({.m = 29, .n = 35, .k = 19, .bias = bias, .gap = 3, .residual = true});
    check({.m = 29, .n = 35, .k = 19, .transpose_b = true, .bias = bias, .residual = true});
  }
  HostContext ctx(1);
  const Problem<float> both(ctx, {.m = 2, .n = 2, .k = 2, .add = true, .residual = true});
  CHECK_THROWS_WITH(both.run(ctx), "gemm: add and a residual");
}

TEST_CASE("gemm: large products, which are cut along rows, columns or the sum", "[kernels]") {
  const auto [m, n, k] = GENERATE(
      table<i64, i64, i64>({{1000, 40, 130}, {21, 1000, 130}, {50, 70, 3001}, {197, 384, 96}, {384, 96, 2100}}));
  const bool plain = GENERATE(true, false);
  if (plain) {
    check({.m = m, .n = n, .k = k, .transpose_b = true, .bias = true});
    check({.m = m, .n = n, .k = k});
    check({.m = m, .n = n, .k = k, .transpose_b = true, .bias = true, .gap = 2, .residual = true});
  } else {
    check({.m = m, .n = n, .k = k, .transpose_a = true, .add = true, .bias = true, .gap = 5});
  }
}

TEST_CASE("gemm: the same bits for any number of threads", "[kernels]") {
  const Case c = GENERATE(Case{.m = 1000, .n = 40, .k = 130}, Case{.m = 21, .n = 1000, .k = 130, .transpose_b = true},
                          Case{.m = 50, .n = 70, .k = 3001, .transpose_a = true},
                          Case{.m = 50, .n = 70, .k = 3001, .transpose_a = true, .add = true, .bias = true},
                          Case{.m = 50, .n = 70, .k = 3001, .transpose_a = true, .residual = true},
                          Case{.m = 7, .n = 2000, .k = 200}, Case{.m = 1001, .n = 385, .k = 97});
  INFO(c);
  const auto run = [&](i64 threads) {
    HostContext ctx(threads);
    const Problem<float> p(ctx, c);
    p.run(ctx);
    return to_vector(p.out);
  };
  const auto one = run(1);
  CHECK(one == run(2));
  CHECK(one == run(7));
  CHECK(one == run(7));
}

TEST_CASE("gemm: an empty sum is the bias or zero", "[kernels]") {
  HostContext ctx(2);
  for (const bool add : {false, true}) {
    for (const bool bias : {false, true}) {
      const auto c = full<float>(ctx, {2, 3}, 10.f), b = tensor<float>(ctx, {3}, {1, 2, 3});
      launch(ctx, kernels::Gemm<float>{.c = c.data(),
                                       .a = nullptr,
                                       .b = nullptr,
                                       .bias = bias ? b.data() : nullptr,
                                       .m = 2,
                                       .n = 3,
                                       .k = 0,
                                       .stride_c = 3,
                                       .stride_a = 0,
                                       .stride_b = 3,
                                       .transpose_a = false,
                                       .transpose_b = false,
                                       .add = add});
      for (i64 i = 0; i < 6; ++i) CHECK(c[i] == (add ? 10.f : 0.f) + (bias ? b[i % 3] : 0.f));
    }
  }
}

TEST_CASE("gemm: an empty result is no work", "[kernels]") {
  HostContext ctx(2);
  const auto a = full<float>(ctx, {4, 5}, 1.f);
  launch(ctx, kernels::Gemm<float>{.c = nullptr,
                                   .a = a.data(),
                                   .b = a.data(),
                                   .bias = nullptr,
                                   .m = 0,
                                   .n = 4,
                                   .k = 5,
                                   .stride_c = 4,
                                   .stride_a = 5,
                                   .stride_b = 5,
                                   .transpose_a = false,
                                   .transpose_b = true,
                                   .add = false});
  launch(ctx, kernels::Gemm<float>{.c = nullptr,
                                   .a = a.data(),
                                   .b = a.data(),
                                   .bias = nullptr,
                                   .m = 4,
                                   .n = 0,
                                   .k = 5,
                                   .stride_c = 0,
                                   .stride_a = 5,
                                   .stride_b = 5,
                                   .transpose_a = false,
                                   .transpose_b = true,
                                   .add = false});
  CHECK(to_vector(a) == std::vector<float>(20, 1.f));
}

TEST_CASE("gemm: what is not a number stays in its row and column", "[kernels]") {
  HostContext ctx(1);
  Problem<float> p(ctx, {.m = 40, .n = 50, .k = 20});
  p.a[7 * 20 + 3] = std::numeric_limits<float>::quiet_NaN();
  p.b[5 * 50 + 11] = std::numeric_limits<float>::infinity();
  p.run(ctx);
  for (i64 i = 0; i < 40; ++i) {
    for (i64 j = 0; j < 50; ++j) {
      const float y = p.out[i * 50 + j];
      if (std::isfinite(y) != (i != 7 && j != 11)) FAIL("row " << i << ", column " << j << ": " << y);
    }
  }
  CHECK(std::isnan(p.out[7 * 50]));
}
