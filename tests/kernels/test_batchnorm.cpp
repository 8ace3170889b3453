#include <dino/kernels/batchnorm.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {
template <class T> std::pair<HostTensor<T>, HostTensor<T>> statistics(HostContext& ctx, const HostTensor<T>& x) {
  using Args = kernels::BatchStatistics<T>;
  const HostTensor<T> mean(ctx, {x.cols()}), variance(ctx, {x.cols()}),
      partial(ctx, {Args::blocks(x.rows()), x.cols()});
  launch(ctx, Args{.mean = mean.data(),
                   .variance = variance.data(),
                   .partial = partial.data(),
                   .x = x.data(),
                   .rows = x.rows(),
                   .cols = x.cols()});
  return {mean, variance};
}
}  // namespace

TEST_CASE("batchnorm: mean and biased variance of every column, over full and partial blocks", "[kernels]") {
  HostContext ctx(2);
  for (const i64 rows : {1, 2, 127, 128, 129, 500}) {
    const auto x = generate<double>(ctx, {rows, 2}, [](i64 i) { return i % 2 == 0 ? i / 2 : 5; });
    const auto [mean, variance] = statistics(ctx, x);
    const auto n = static_cast<double>(rows);
    CHECK(mean[0] == Approx((n - 1) / 2));
    CHECK(variance[0] == Approx((n * n - 1) / 12).margin(1e-12));
    CHECK(mean[1] == 5);
    CHECK(variance[1] == 0);
  }
}

TEST_CASE("batchnorm: the variance is two-pass, a large mean does not spoil it", "[kernels]") {
  HostContext ctx(1);
  const auto x = generate<float>(ctx, {256, 1}, [](i64 i) { return 65536. + static_cast<double>(i % 2); });
  const auto [mean, variance] = statistics(ctx, x);
  CHECK(mean[0] == 65536.5f);
  CHECK(variance[0] == 0.25f);
}

TEST_CASE("batchnorm: running statistics move by the momentum, the variance unbiased", "[kernels]") {
  HostContext ctx(1);
  const auto running_mean = tensor<double>(ctx, {2}, {1, -1}), running_variance = tensor<double>(ctx, {2}, {2, 3});
  const auto mean = tensor<double>(ctx, {2}, {5, 0}), variance = tensor<double>(ctx, {2}, {4, 1});
  const auto step = [&](double momentum, i64 rows) {
    launch(ctx, kernels::RunningStatistics<double>{.running_mean = running_mean.data(),
                                                   .running_variance = running_variance.data(),
                                                   .mean = mean.data(),
                                                   .variance = variance.data(),
                                                   .rows = rows,
                                                   .cols = 2,
                                                   .momentum = momentum});
  };
  step(0.25, 5);  // unbiased: 5/4
  CHECK(running_mean[0] == Approx(0.75 * 1 + 0.25 * 5));
  CHECK(running_mean[1] == Approx(0.75 * -1));
  CHECK(running_variance[0] == Approx(0.75 * 2 + 0.25 * 5));
  CHECK(running_variance[1] == Approx(0.75 * 3 + 0.25 * 1.25));
  step(0, 5);
  CHECK(running_mean[0] == Approx(2));
  step(1, 2);
  CHECK(running_mean[0] == 5);
  CHECK(running_variance[0] == 8);
  step(1, 1);  // one row has no unbiased variance: the biased one
  CHECK(running_variance[0] == 4);
}

TEST_CASE("batchnorm: backward without wanted gradients of the input or the parameters", "[kernels]") {
  HostContext ctx(2);
  const auto x = randn<double>(ctx, {150, 3}, RngKey(1, 1)), dy = randn<double>(ctx, {150, 3}, RngKey(1, 2));
  const auto gamma = randn<double>(ctx, {3}, RngKey(1, 3));
  const auto stats = statistics(ctx, x);
  using Args = kernels::BatchNormBackward<double>;
  const HostTensor<double> sums(ctx, {2, 3}), partial(ctx, {2, Args::blocks(150), 3});
  const auto run = [&](const Target<double>& dx, const Target<double>& dgamma, const Target<double>& dbeta) {
    launch(ctx, Args{.dx = dx,
                     .dgamma = dgamma,
                     .dbeta = dbeta,
                     .sums = sums.data(),
                     .partial = partial.data(),
                     .dy = dy.data(),
                     .x = x.data(),
                     .gamma = gamma.data(),
                     .mean = stats.first.data(),
                     .variance = stats.second.data(),
                     .rows = 150,
                     .cols = 3,
                     .eps = 1e-5});
  };
  const HostTensor<double> dx(ctx, {150, 3}), dgamma(ctx, {3}), dbeta(ctx, {3});
  run({dx.data()}, {dgamma.data()}, {dbeta.data()});
  const HostTensor<double> dx2(ctx, {150, 3}), dgamma2(ctx, {3}), dbeta2(ctx, {3});
  run({dx2.data()}, {}, {});
  run({}, {dgamma2.data()}, {});
  run({}, {}, {dbeta2.data()});
  CHECK(to_vector(dx2) == to_vector(dx));
  CHECK(to_vector(dgamma2) == to_vector(dgamma));
  CHECK(to_vector(dbeta2) == to_vector(dbeta));
  run({}, {dgamma2.data(), true}, {});
  for (i64 c = 0; c < 3; ++c) CHECK(dgamma2[c] == Approx(2 * dgamma[c]));
}
