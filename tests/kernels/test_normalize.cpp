#include <dino/kernels/normalize.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>

using namespace dino;

TEST_CASE("normalize: rows have length one, for every length of the tail", "[kernels]") {
  HostContext ctx(2);
  for (i64 cols = 1; cols <= 70; ++cols) {
    const auto x = randn<double>(ctx, {3, cols}, RngKey(1, static_cast<u64>(cols)));
    const HostTensor<double> y(ctx, {3, cols}), norm(ctx, {3});
    launch(ctx, kernels::NormalizeForward<double>{
                    .y = y.data(), .norm = norm.data(), .x = x.data(), .rows = 3, .cols = cols, .eps = 1e-12});
    for (i64 r = 0; r < 3; ++r) {
      double square = 0, expected = 0;
      for (i64 c = 0; c < cols; ++c) {
        square += y[r * cols + c] * y[r * cols + c];
        expected += x[r * cols + c] * x[r * cols + c];
      }
      CHECK(square == Approx(1).epsilon(1e-13));
      CHECK(norm[r] == Approx(std::sqrt(expected)).epsilon(1e-13));
    }
  }
}

TEST_CASE("normalize: norms need not be kept, and a row below eps is divided by eps", "[kernels]") {
  HostContext ctx(1);
  const auto x = tensor<double>(ctx, {2, 2}, {3, 4, 0.03, 0.04});
  const HostTensor<double> y(ctx, {2, 2});
  launch(ctx, kernels::NormalizeForward<double>{
                  .y = y.data(), .norm = nullptr, .x = x.data(), .rows = 2, .cols = 2, .eps = 0.1});
  CHECK(y[0] == Approx(0.6));
  CHECK(y[1] == Approx(0.8));
  CHECK(y[2] == Approx(0.3));
  CHECK(y[3] == Approx(0.4));
}

TEST_CASE("normalize: the factor of weight norm is gain over length", "[kernels]") {
  HostContext ctx(1);
  const auto v = tensor<double>(ctx, {2, 2}, {3, 4, 0, -2}), g = tensor<double>(ctx, {2}, {10, 1});
  const HostTensor<double> factor(ctx, {2}), inverse(ctx, {2});
  const auto run = [&](double* kept) {
    launch(ctx, kernels::WeightNormFactor<double>{
                    .factor = factor.data(), .inverse = kept, .v = v.data(), .g = g.data(), .rows = 2, .cols = 2});
    return to_vector(factor);
  };
  CHECK(run(nullptr) == std::vector<double>{2, 0.5});
  CHECK(run(inverse.data()) == std::vector<double>{2, 0.5});
  CHECK(to_vector(inverse) == std::vector<double>{0.2, 0.5});
}

TEST_CASE("normalize: the gradient of weight norm may be built in place", "[kernels]") {
  HostContext ctx(2);
  const i64 rows = 4, cols = 37;
  const auto v = randn<double>(ctx, {rows, cols}, RngKey(1, 1)), g = randn<double>(ctx, {rows}, RngKey(1, 2));
  const auto dw = randn<double>(ctx, {rows, cols}, RngKey(1, 3));
  const HostTensor<double> factor(ctx, {rows}), inverse(ctx, {rows}), dv(ctx, {rows, cols}), dg(ctx, {rows});
  launch(ctx, kernels::WeightNormFactor<double>{.factor = factor.data(),
                                                .inverse = inverse.data(),
                                                .v = v.data(),
                                                .g = g.data(),
                                                .rows = rows,
                                                .cols = cols});
  const auto run = [&](const Target<double>& into, const double* from) {
    launch(ctx, kernels::WeightNormBackward<double>{.dv = into,
                                                    .dg = {dg.data(), false},
                                                    .dw = from,
                                                    .v = v.data(),
                                                    .g = g.data(),
                                                    .inverse = inverse.data(),
                                                    .rows = rows,
                                                    .cols = cols});
  };
  run({dv.data(), false}, dw.data());
  for (i64 k = 0; k < rows; ++k) {  // dv is orthogonal to v: the length of v has no influence
    double along = 0, gain = 0;
    for (i64 c = 0; c < cols; ++c) {
      along += dv[k * cols + c] * v[k * cols + c];
      gain += dw[k * cols + c] * v[k * cols + c] * inverse[k];
    }
    CHECK(along == Approx(0).margin(1e-12));
    CHECK(dg[k] == Approx(gain));
  }
  const auto expected = to_vector(dv);
  run({dw.data(), false}, dw.data());
  CHECK(to_vector(dw) == expected);
}
