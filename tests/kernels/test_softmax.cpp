#include <dino/kernels/softmax.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>

using namespace dino;

namespace {
template <class T> std::vector<T> softmax(const std::vector<T>& x, i64 rows, T temperature) {
  HostContext ctx(2);
  const i64 cols = static_cast<i64>(x.size()) / rows;
  const auto in = tensor<T>(ctx, {rows, cols}, x);
  const HostTensor<T> y(ctx, {rows, cols});
  launch(ctx, kernels::SoftmaxForward<T>{
                  .y = y.data(), .x = in.data(), .rows = rows, .cols = cols, .temperature = temperature});
  return to_vector(y);
}
constexpr float inf = std::numeric_limits<float>::infinity();
}  // namespace

TEMPLATE_TEST_CASE("softmax: equals its formula for every length of the tail", "[kernels]", float, double) {
  for (i64 n = 1; n <= 70; ++n) {
    std::vector<TestType> x;
    for (i64 i = 0; i < n; ++i) x.push_back(static_cast<TestType>(3 * std::sin(static_cast<double>(i * i))));
    long double total = 0;
    for (const auto v : x) total += std::exp(static_cast<long double>(v) / 0.7L);
    const auto y = softmax<TestType>(x, 1, TestType(0.7));
    for (size_t i = 0; i < x.size(); ++i) {
      const auto expected = static_cast<double>(std::exp(static_cast<long double>(x[i]) / 0.7L) / total);
      if (!(std::abs(y[i] - expected) <= (sizeof(TestType) == 4 ? 2e-6 : 1e-14) * expected)) FAIL("n = " << n);
    }
  }
}

TEST_CASE("softmax: extreme values give probabilities, never NaN", "[kernels]") {
  CHECK(softmax<float>({5}, 1, 0.04f) == std::vector<float>{1});
  CHECK(softmax<float>({1e30f, 0, -1e30f}, 1, 1.f) == std::vector<float>{1, 0, 0});
  CHECK(softmax<float>({-1e30f, -1e30f}, 1, 1.f) == std::vector<float>{0.5f, 0.5f});
  CHECK(softmax<float>({-inf, 2, -inf}, 1, 0.5f) == std::vector<float>{0, 1, 0});
  CHECK(softmax<float>({88.7f, 88.7f, 88.7f, 88.7f}, 1, 0.01f) == std::vector<float>(4, 0.25f));
  CHECK(softmax<float>({1e-42f, 0, 0, 0}, 1, 1.f) == std::vector<float>(4, 0.25f));
}

TEST_CASE("softmax: large scores are as good as small ones at any temperature", "[kernels]") {
  for (const float temperature : {0.03f, 0.04f, 0.07f, 0.1f, 0.3f, 3.f}) {
    for (const float x : {1e3f, 123456.7f, 1.1e7f, 3.3e9f, 7.7e20f, -1.1e7f, -3.3e9f}) {
      INFO("x = " << x << ", temperature = " << temperature);
      CHECK(softmax<float>({x, x, x - std::abs(x), x}, 1, temperature) == softmax<float>({1, 1, -1e6f, 1}, 1, 1.f));
    }
  }
}

TEST_CASE("softmax: rows are independent and the same for any number of threads", "[kernels]") {
  HostContext one(1), seven(7);
  const auto run = [](HostContext& ctx) {
    const auto x = randn<float>(ctx, {300, 97}, RngKey(1, 1));
    const HostTensor<float> y(ctx, x.shape());
    launch(ctx,
           kernels::SoftmaxForward<float>{.y = y.data(), .x = x.data(), .rows = 300, .cols = 97, .temperature = 0.1f});
    return to_vector(y);
  };
  const auto all = run(one);
  CHECK(all == run(seven));
  const auto x = to_vector(randn<float>(one, {300, 97}, RngKey(1, 1)));
  const auto row = softmax<float>(std::vector<float>(x.begin() + 97 * 5, x.begin() + 97 * 6), 1, 0.1f);
  CHECK(std::equal(row.begin(), row.end(), all.begin() + 97 * 5));
}

TEST_CASE("softmax: backward overwrites or adds", "[kernels]") {
  HostContext ctx(1);
  const auto y = tensor<double>(ctx, {1, 2}, {0.25, 0.75}), dy = tensor<double>(ctx, {1, 2}, {1, 3});
  const auto dx = full<double>(ctx, {1, 2}, 100.0);
  const auto run = [&](bool add) {
    launch(ctx, kernels::SoftmaxBackward<double>{
                    .dx = {dx.data(), add}, .dy = dy.data(), .y = y.data(), .rows = 1, .cols = 2, .temperature = 0.5});
    return to_vector(dx);
  };
  CHECK(run(false) == std::vector<double>{-0.75, 0.75});  // 2 y (dy - 2.5)
  CHECK(run(true) == std::vector<double>{-1.5, 1.5});
}
