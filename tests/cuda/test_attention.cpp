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

namespace {

/// One image, head_dim 16, scale 1/4: scores of +-10140 and a small part in -3..3, every one of them exact in float and
/// bf16. Queries are of both signs; above(j) is the sign of key j.
template <class Above> std::vector<double> far_apart(i64 tokens, Above above) {
  std::vector<double> qkv;
  for (i64 i = 0; i < tokens; ++i) {
    const double query = i % 3 == 0 ? -52 : 52, key = above(i) ? 52 : -52;
    for (i64 c = 0; c < 48; ++c) {
      const bool last = c % 16 == 15;  // query 4, key -3..3
      if (c < 16) qkv.push_back(last ? 4 : query);
      if (c >= 16 && c < 32) qkv.push_back(last ? static_cast<double>((i * 5) % 7 - 3) : key);
      if (c >= 32) qkv.push_back(static_cast<double>(((48 * i + c) * 37) % 101 - 50) / 32);
    }
  }
  return qkv;
}

template <class Test, class Above> void check_far_apart(Above above) {
  const i64 tokens = 70;  // a tile of keys, and six more
  const auto segments = one_group(1, tokens);
  const auto qkv = far_apart(tokens, above);
  // value: as in check. acc, forward: differences of scores are exact, so only exp and sums of 70 round.
  // acc, backward: P = exp(score - lse), and the rounding of an lse of 10140 is 5e-4; twice that with log2(e) in it.
  for (const bool backward : {false, true}) {
    compare_devices<Test>({.value = 2e-2, .acc = backward ? 2e-3 : 2e-6}, [&](auto& run) {
      using T = typename std::decay_t<decltype(run)>::Scalar;
      using A = acc_t<T>;
      const T* const in = run.values(qkv);
      T* const out = run.out(tokens * 16);
      A* const lse = run.acc_out(tokens);
      launch(run.ctx, kernels::AttentionForward<T>{.out = out,
                                                   .lse = lse,
                                                   .class_map = run.acc_out(tokens),
                                                   .qkv = in,
                                                   .segments = &segments,
                                                   .heads = 1,
                                                   .head_dim = 16,
                                                   .scale = A(0.25)});
      if (!backward) return;
      launch(run.ctx, kernels::AttentionBackward<T>{.dqkv = {run.out(tokens * 48), false},
                                                    .dout = run.in(tokens * 16),
                                                    .out = out,
                                                    .qkv = in,
                                                    .lse = lse,
                                                    .segments = &segments,
                                                    .heads = 1,
                                                    .head_dim = 16,
                                                    .scale = A(0.25)});
    });
  }
}

}  // namespace

TEMPLATE_TEST_CASE("attention: scores of +-1e4, where exp of a score is infinity or zero", "[cuda]", float, bf16) {
  SECTION("every key on one side: rows of +1e4, and rows of -1e4") {
    check_far_apart<TestType>([](i64) { return true; });
  }
  SECTION("both sides in every row") {
    check_far_apart<TestType>([](i64 j) { return j % 2 == 0; });
  }
  SECTION("the largest score comes with the last tile, or with the first") {
    check_far_apart<TestType>([](i64 j) { return j >= 64; });
  }
}

TEST_CASE("attention: a size of heads without a kernel is an error that names it, and what to do", "[cuda]") {
  Context<Cuda> ctx;
  const auto segments = one_group(1, 5);
  const i64 head_dim = GENERATE(0, 8, 48, 128);
  float number = 0;  // never read: the size is looked at first
  const kernels::AttentionForward<float> forward{.out = &number,
                                                 .lse = nullptr,
                                                 .class_map = nullptr,
                                                 .qkv = &number,
                                                 .segments = &segments,
                                                 .heads = 1,
                                                 .head_dim = head_dim,
                                                 .scale = 1};
  const kernels::AttentionBackward<float> backward{.dqkv = {&number, false},
                                                   .dout = &number,
                                                   .out = &number,
                                                   .qkv = &number,
                                                   .lse = &number,
                                                   .segments = &segments,
                                                   .heads = 1,
                                                   .head_dim = head_dim,
                                                   .scale = 1};
  const std::string size = std::to_string(head_dim);
  const auto message = contains("head_dim is " + size + "; there are kernels for 64, 32 and 16. Choose the number of " +
                                "heads so that width / heads is one of them, or compute on the CPU");
  CHECK_THROWS_WITH(launch(ctx, forward), message);
  CHECK_THROWS_WITH(launch(ctx, backward), message);
}

TEMPLATE_TEST_CASE("attention: backward without a target is no work", "[cuda]", float, bf16) {
  Context<Cuda> ctx;
  const auto segments = one_group(1, 5);
  CHECK_NOTHROW(launch(ctx, kernels::AttentionBackward<TestType>{.dqkv = {},  // nothing may be read: all is null
                                                                 .dout = nullptr,
                                                                 .out = nullptr,
                                                                 .qkv = nullptr,
                                                                 .lse = nullptr,
                                                                 .segments = &segments,
                                                                 .heads = 1,
                                                                 .head_dim = 16,
                                                                 .scale = 1}));
}

TEST_CASE("attention: one tile under a race checker", "[cuda][tiny]") {
  check<bf16>(one_group(1, 5), 1, 16, true, false);
  check<float>(one_group(1, 5), 1, 16, true, false);
}
