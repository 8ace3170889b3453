#include <dino/kernels/attention.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {

Segments one_group(i64 images, i64 tokens) {
  Segments s;
  s.add(images, tokens);
  return s;
}

/// Forward with all it can give, then backward.
template <class Test, class... Shift>
void check(const Segments& segments, i64 heads, i64 head_dim, bool backward, bool add, Shift... shift) {
  // value: probabilities and their gradients are rounded to bf16 before the products, the results once more.
  // acc: float sums over the tokens; exponentials of scores of order 5.
  compare_devices<Test>(
      {.value = 2e-2, .acc = 1e-5},
      [&](auto& run) {
        using T = typename std::decay_t<decltype(run)>::Scalar;
        using A = acc_t<T>;
        const i64 rows = segments.rows(), width = heads * head_dim;
        i64 map_size = 0;
        for (const auto& s : segments) map_size += s.images * heads * s.tokens;
        const T* const qkv = run.in(rows * 3 * width);
        const A scale = 1 / std::sqrt(static_cast<A>(head_dim));
        T* const out = run.out(rows * width);
        A* const lse = run.acc_out(rows * heads);
        launch(run.ctx, kernels::AttentionForward<T>{.out = out,
                                                     .lse = lse,
                                                     .class_map = run.acc_out(map_size),
                                                     .qkv = qkv,
                                                     .segments = &segments,
                                                     .heads = heads,
                                                     .head_dim = head_dim,
                                                     .scale = scale});
        if (!backward) return;
        T* const dqkv = add ? run.inout(rows * 3 * width) : run.out(rows * 3 * width);
        launch(run.ctx, kernels::AttentionBackward<T>{.dqkv = {dqkv, add},
                                                      .dout = run.in(rows * width),
                                                      .out = out,
                                                      .qkv = qkv,
                                                      .lse = lse,
                                                      .segments = &segments,
                                                      .heads = heads,
                                                      .head_dim = head_dim,
                                                      .scale = scale});
      },
      shift...);
}

}  // namespace

TEMPLATE_TEST_CASE("attention: CUDA equals CPU for every size of heads", "[cuda]", float, bf16) {
  const i64 head_dim = GENERATE(16, 32, 64);
  const i64 tokens = GENERATE(1, 5, 17, 37, 65);
  check<TestType>(one_group(2, tokens), 2, head_dim, true, tokens == 17);
}

TEMPLATE_TEST_CASE("attention: CUDA equals CPU for groups of crops, and for shifted pointers", "[cuda]", float, bf16) {
  Segments segments = one_group(2, 65);
  segments.add(3, 17);
  check<TestType>(segments, 3, 16, true, true);
  check<TestType>(one_group(1, 33), 1, 32, true, false, Shifted{});
}

TEMPLATE_TEST_CASE("attention: CUDA equals CPU for many tokens", "[cuda][slow]", float, bf16) {
  check<TestType>(one_group(1, 197), 1, 64, true, false);
  check<TestType>(one_group(1, 1374), 1, 16, true, false);
}

TEST_CASE("attention: CUDA equals CPU forward for 3601 tokens", "[cuda][slow]") {
  check<bf16>(one_group(1, 3601), 1, 16, false, false);
}

TEST_CASE("attention: CUDA equals CPU forward for 3601 tokens in float, half a minute", "[.slow]") {
  check<float>(one_group(1, 3601), 1, 16, false, false);
}

TEST_CASE("attention: what is not wanted is not written", "[cuda]") {
  const auto segments = one_group(1, 5);
  compare_devices<bf16>({.value = 2e-2, .acc = 1e-5}, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::AttentionForward<T>{.out = run.out(5 * 16),
                                                 .lse = nullptr,
                                                 .class_map = nullptr,
                                                 .qkv = run.in(5 * 48),
                                                 .segments = &segments,
                                                 .heads = 1,
                                                 .head_dim = 16,
                                                 .scale = acc_t<T>(0.25)});
  });
}

TEST_CASE("attention: scores far apart neither overflow nor lose the sum", "[cuda]") {
  const auto segments = one_group(1, 70);
  std::vector<double> qkv;
  for (i64 i = 0; i < 70 * 48; ++i) qkv.push_back(static_cast<double>((i * 37) % 101 - 50) / 4);
  compare_devices<float>({.value = 0, .acc = 2e-5}, [&](auto& run) {  // acc: scores of several hundred, to 1e-7 each
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::AttentionForward<T>{.out = run.out(70 * 16),
                                                 .lse = run.acc_out(70),
                                                 .class_map = nullptr,
                                                 .qkv = run.values(qkv),
                                                 .segments = &segments,
                                                 .heads = 1,
                                                 .head_dim = 16,
                                                 .scale = acc_t<T>(0.25)});
  });
}

TEST_CASE("attention: a size of heads without a kernel is a clear error", "[cuda]") {
  Context<Cuda> ctx;
  const auto segments = one_group(1, 5);
  const kernels::AttentionForward<float> args{.out = nullptr,
                                              .lse = nullptr,
                                              .class_map = nullptr,
                                              .qkv = nullptr,
                                              .segments = &segments,
                                              .heads = 1,
                                              .head_dim = 48,
                                              .scale = 1};
  CHECK_THROWS_WITH(launch(ctx, args), contains("heads of 48 values; there are kernels for 16, 32 and 64"));
}

TEST_CASE("attention: one tile under a race checker", "[cuda][tiny]") {
  check<bf16>(one_group(1, 5), 1, 16, true, false);
  check<float>(one_group(1, 5), 1, 16, true, false);
}
