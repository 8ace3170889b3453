#include <dino/kernels/layernorm.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>

using namespace dino;

namespace {
struct Fixture {
  HostContext ctx{2};
  i64 rows, cols;
  HostTensor<double> x, dy, gamma, beta, y, mean, rstd, partial, residual;

  Fixture(i64 r, i64 c)
      : rows(r),
        cols(c),
        x(randn<double>(ctx, {r, c}, RngKey(1, 1))),
        dy(randn<double>(ctx, {r, c}, RngKey(1, 2))),
        gamma(randn<double>(ctx, {c}, RngKey(1, 3))),
        beta(randn<double>(ctx, {c}, RngKey(1, 4))),
        y(ctx, {r, c}),
        mean(ctx, {r}),
        rstd(ctx, {r}),
        partial(ctx, {kernels::LayerNormBackward<double>::partial_values(r, c)}),
        residual(randn<double>(ctx, {r, c}, RngKey(1, 5))) {}

  void forward(bool keep) {
    launch(ctx, kernels::LayerNormForward<double>{.y = y.data(),
                                                  .mean = keep ? mean.data() : nullptr,
                                                  .rstd = keep ? rstd.data() : nullptr,
                                                  .x = x.data(),
                                                  .gamma = gamma.data(),
                                                  .beta = beta.data(),
                                                  .rows = rows,
                                                  .cols = cols,
                                                  .eps = 1e-6});
  }
  void backward(const Target<double>& dx, const Target<double>& dgamma, const Target<double>& dbeta,
                const double* plus = nullptr, const Target<double>& dbias = {}) {
    launch(ctx, kernels::LayerNormBackward<double>{.dx = dx,
                                                   .dgamma = dgamma,
                                                   .dbeta = dbeta,
                                                   .partial = dgamma || dbeta || dbias ? partial.data() : nullptr,
                                                   .dy = dy.data(),
                                                   .x = x.data(),
                                                   .gamma = gamma.data(),
                                                   .mean = mean.data(),
                                                   .rstd = rstd.data(),
                                                   .rows = rows,
                                                   .cols = cols,
                                                   .residual = plus,
                                                   .dbias = dbias});
  }
};
}  // namespace

TEST_CASE("layernorm: equals its formula for every length of the tail", "[kernels]") {
  for (i64 cols = 1; cols <= 70; ++cols) {
    Fixture f(2, cols);
    f.forward(true);
    for (i64 r = 0; r < 2; ++r) {
      double mean = 0, square = 0;
      for (i64 c = 0; c < cols; ++c) mean += f.x[r * cols + c] / static_cast<double>(cols);
      for (i64 c = 0; c < cols; ++c) square += std::pow(f.x[r * cols + c] - mean, 2) / static_cast<double>(cols);
      const double rstd = 1 / std::sqrt(square + 1e-6);
      CHECK(f.mean[r] == Approx(mean).epsilon(1e-12).margin(1e-13));
      CHECK(f.rstd[r] == Approx(rstd).epsilon(1e-12));
      for (i64 c = 0; c < cols; ++c) {
        const double expected = (f.x[r * cols + c] - mean) * rstd * f.gamma[c] + f.beta[c];
        if (!(std::abs(f.y[r * cols + c] - expected) <= 1e-12)) FAIL("cols = " << cols << ", c = " << c);
      }
    }
  }
}

TEST_CASE("layernorm: the same result whether statistics are kept or not", "[kernels]") {
  Fixture f(70, 33);
  f.forward(true);
  const auto kept = to_vector(f.y);
  f.forward(false);
  CHECK(to_vector(f.y) == kept);
}

TEST_CASE("layernorm: each gradient alone is the one of all together, and is added where asked", "[kernels]") {
  Fixture f(200, 33);  // four blocks of rows, the last one short
  f.forward(true);
  const auto target = [&](const Shape& shape) { return full<double>(f.ctx, shape, 100.0); };
  const auto dx = target({200, 33}), dgamma = target({33}), dbeta = target({33});
  f.backward({dx.data()}, {dgamma.data()}, {dbeta.data()});
  const auto dx2 = target({200, 33}), dgamma2 = target({33}), dbeta2 = target({33});
  f.backward({dx2.data()}, {}, {});
  f.backward({}, {dgamma2.data()}, {});
  f.backward({}, {}, {dbeta2.data()});
  CHECK(to_vector(dx2) == to_vector(dx));
  CHECK(to_vector(dgamma2) == to_vector(dgamma));
  CHECK(to_vector(dbeta2) == to_vector(dbeta));
  f.backward({dx2.data(), true}, {dgamma2.data(), true}, {dbeta2.data(), true});
  for (i64 i = 0; i < dx.numel(); ++i) {
    if (!(std::abs(dx2[i] - 2 * dx[i]) <= 1e-13)) FAIL("dx " << i);
  }
  for (i64 c = 0; c < 33; ++c) {
    CHECK(dgamma2[c] == Approx(2 * dgamma[c]));
    CHECK(dbeta2[c] == Approx(2 * dbeta[c]));
  }
}

TEST_CASE("layernorm: a residual gradient is added to dx, which may take its place, and summed", "[kernels]") {
  constexpr i64 rows = 200, cols = 33;
  Fixture f(rows, cols);
  f.forward(true);
  const HostTensor<double> alone(f.ctx, {rows, cols}), dx(f.ctx, {rows, cols}), dbias(f.ctx, {cols});
  f.backward({alone.data()}, {}, {});
  f.backward({dx.data()}, {}, {}, f.residual.data(), {dbias.data()});
  for (i64 i = 0; i < dx.numel(); ++i) {
    if (!(std::abs(dx[i] - (alone[i] + f.residual[i])) <= 1e-13)) FAIL("dx " << i);
  }
  for (i64 c = 0; c < cols; ++c) {
    double sum = 0;
    for (i64 r = 0; r < rows; ++r) sum += f.residual[r * cols + c];
    CHECK(dbias[c] == Approx(sum).epsilon(1e-12).margin(1e-12));
  }
  const auto written = full<double>(f.ctx, {rows, cols}, 1.0);
  f.backward({written.data(), true}, {}, {}, f.residual.data());
  for (i64 i = 0; i < dx.numel(); ++i) {
    if (!(std::abs(written[i] - (dx[i] + 1)) <= 1e-13)) FAIL("dx " << i << " added");
  }
  const auto expected = to_vector(dx), sums = to_vector(dbias);
  f.backward({f.residual.data()}, {}, {}, f.residual.data(), {dbias.data()});
  CHECK(to_vector(f.residual) == expected);
  CHECK(to_vector(dbias) == sums);
}

TEST_CASE("layernorm: the variance is two-pass, a large mean does not spoil it", "[kernels]") {
  HostContext ctx(1);
  const auto x = generate<float>(ctx, {1, 64}, [](i64 i) { return 65536. + static_cast<double>(i % 2); });
  const auto ones = full<float>(ctx, {64}, 1.f), zero = zeros<float>(ctx, {64});
  const HostTensor<float> y(ctx, {1, 64});
  launch(ctx, kernels::LayerNormForward<float>{.y = y.data(),
                                               .mean = nullptr,
                                               .rstd = nullptr,
                                               .x = x.data(),
                                               .gamma = ones.data(),
                                               .beta = zero.data(),
                                               .rows = 1,
                                               .cols = 64,
                                               .eps = 1e-6f});
  for (i64 i = 0; i < 64; ++i) CHECK(y[i] == Approx(i % 2 == 0 ? -1 : 1).epsilon(1e-5));
}
