#include <dino/kernels/tokens.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {
// Sums of a few values of order 1, added in another order than in the double reference; bf16 outputs are rounded once.
constexpr compare::Tolerance tolerance{.value = 4e-3, .acc = 2e-6};
/// Widths that packs divide, that only a scalar path takes, and that pass one round of a warp.
constexpr std::initializer_list<i64> widths{1, 24, 37, 296};

template <class Test, class F> void compare_both(const F& f) {
  compare_devices<Test>(tolerance, f);
  compare_devices<Test>(tolerance, f, Shifted{});
}
}  // namespace

TEMPLATE_TEST_CASE("tokens: assembling on CUDA equals the CPU", "[cuda]", float, bf16) {
  const i64 cols = GENERATE(values(widths)), images = GENERATE(1, 3), n = GENERATE(1, 6), registers = GENERATE(0, 2);
  compare_both<TestType>([&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::AssembleTokens<T>{.out = run.out(images * (n + 1 + registers) * cols),
                                               .patches = run.in(images * n * cols),
                                               .cls = run.in(cols),
                                               .first = run.in(cols),
                                               .positions = run.in(n * cols),
                                               .images = images,
                                               .n = n,
                                               .cols = cols,
                                               .registers = registers > 0 ? run.in(registers * cols) : nullptr,
                                               .register_count = registers});
  });
}

TEMPLATE_TEST_CASE("tokens: the gradient of assembling on CUDA equals the CPU", "[cuda]", float, bf16) {
  const i64 cols = GENERATE(values(widths)), images = GENERATE(1, 18), n = 2;  // 18: a second round of 16 warps
  const bool add = GENERATE(false, true), patches = GENERATE(false, true), sums = GENERATE(false, true);
  const i64 registers = GENERATE(0, 3), tokens = 1 + registers + n;
  if (!patches && (add || !sums)) return;
  compare_both<TestType>([&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    T* const dpatches = add ? run.inout(images * n * cols) : run.out(images * n * cols);
    acc_t<T>* const dsum = run.acc_out(tokens * cols);
    launch(run.ctx, kernels::AssembleTokensBackward<T>{.dpatches = {patches ? dpatches : nullptr, add},
                                                       .dsum = sums ? dsum : nullptr,
                                                       .dout = run.in(images * tokens * cols),
                                                       .images = images,
                                                       .n = n,
                                                       .cols = cols,
                                                       .register_count = registers});
  });
}

TEMPLATE_TEST_CASE("tokens: drop path on CUDA keeps what the CPU keeps", "[cuda]", float, bf16) {
  const i64 cols = GENERATE(values(widths));
  const bool add = GENERATE(false, true), window = GENERATE(false, true), residual = GENERATE(false, true);
  Segments segments;
  segments.add(6, 3);
  segments.add(9, 2);
  compare_both<TestType>([&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const i64 n = segments.rows() * cols;
    const u64* const step = reinterpret_cast<const u64*>(run.index({41}));  // read where the kernel runs
    launch(run.ctx, kernels::DropPath<T>{.out = {add ? run.inout(n) : run.out(n), add},
                                         .x = run.in(n),
                                         .segments = &segments,
                                         .cols = cols,
                                         .key = StepKey(3, 4, step),
                                         .window = window ? BatchWindow{3, 8, 2} : BatchWindow{},
                                         .rate = 0.3,
                                         .residual = residual ? run.in(n) : nullptr});
  });
}

TEST_CASE("tokens: drop path on CUDA draws once for an image of many blocks", "[cuda]") {
  Segments segments;
  segments.add(4, 37);
  compare_devices<bf16>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const i64 n = segments.rows() * 256;
    launch(run.ctx, kernels::DropPath<T>{.out = {run.out(n), false},
                                         .x = run.in(n),
                                         .segments = &segments,
                                         .cols = 256,
                                         .key = RngKey(3, 4),
                                         .window = {},
                                         .rate = 0.5});
  });
}

TEMPLATE_TEST_CASE("tokens: picking rows on CUDA equals the CPU", "[cuda]", float, bf16) {
  const i64 cols = GENERATE(values(widths));
  const std::vector<i64> index = GENERATE(values<std::vector<i64>>({{4}, {0, 6, 3, 3, 0, 5, 6, 1, 2}}));
  compare_both<TestType>([&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const auto n = static_cast<i64>(index.size());
    launch(run.ctx,
           kernels::GatherRows<T>{
               .y = run.out(n * cols), .x = run.in(7 * cols), .index = run.index(index), .n = n, .cols = cols});
  });
}

TEMPLATE_TEST_CASE("tokens: the gradient of picked rows on CUDA equals the CPU", "[cuda]", float, bf16) {
  const i64 cols = GENERATE(values(widths)), rows = 17;
  const i64 n = GENERATE(0, 1, 9, 70);  // 70: rows repeat within and between the blocks of 32 that a warp looks through
  const bool add = GENERATE(false, true);
  std::vector<i64> index;
  for (i64 i = 0; i <= n; ++i) index.push_back(i % 32 == 5 ? 3 : (i * i + 7 * (i / 11)) % 13);  // 13 to 16: never
  compare_both<TestType>([&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::GatherRowsBackward<T>{.dx = {add ? run.inout(rows * cols) : run.out(rows * cols), add},
                                                   .dy = run.in((n + 1) * cols),  // the last row is not read
                                                   .index = run.index(index),
                                                   .n = n,
                                                   .rows = rows,
                                                   .cols = cols});
  });
}

TEST_CASE("tokens: sums over images on CUDA are free of races", "[cuda][tiny]") {
  compare_devices<bf16>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::AssembleTokensBackward<T>{.dpatches = {run.out(17 * 8), false},
                                                       .dsum = run.acc_out(2 * 8),
                                                       .dout = run.in(17 * 2 * 8),
                                                       .images = 17,
                                                       .n = 1,
                                                       .cols = 8});
  });
}

TEST_CASE("tokens: the gradient of picked rows on CUDA is free of races", "[cuda][tiny]") {
  compare_devices<float>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::GatherRowsBackward<T>{.dx = {run.out(4 * 5), false},
                                                   .dy = run.in(6 * 5),
                                                   .index = run.index({1, 3, 1, 1, 0, 3}),
                                                   .n = 6,
                                                   .rows = 4,
                                                   .cols = 5});
  });
}
