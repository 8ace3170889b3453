#include <dino/kernels/optimizer.hpp>

#include "support/compare_devices.hpp"

#include <array>

using namespace dino;

namespace {

// Masters and moments: a few roundings of float, contracted to FMA or not. Copies: one rounding to bf16, 2^-8.
constexpr compare::Tolerance tolerance{.value = 4e-3, .acc = 2e-6};

constexpr i64 block = kernels::RangeTable<float>::block;
constexpr i64 total = block + 1024;  // holds all ranges, with gaps between them and behind

/// One value, a length that no pack divides, none, a block and a bit, one pack.
template <class T> std::vector<kernels::UpdateRange<acc_t<T>>> ranges(i64 offset) {
  using A = acc_t<T>;
  std::vector<kernels::UpdateRange<A>> list;
  for (const i64 n : {i64{1}, i64{77}, i64{0}, block + 13, i64{8}}) {
    const auto k = static_cast<A>(list.size() + 1);
    list.push_back({.offset = offset,
                    .n = n,
                    .count = static_cast<i64>(list.size()) * 9 + 1,
                    .lr = k / 8,
                    .decay = list.empty() ? A(0) : k / 4,
                    .adapt = list.size() != 1});
    offset += (n + 63) / 64 * 64 + 64;
  }
  return list;
}

/// One norm for each range, below and above a limit of 3.
const std::vector<double> some_norms{2.5, 0, 1, 300, 3.25}, other_norms{1, 2, 0, 70, 0};

/// Buffers of one run of a step: float ones of random content, and, on request, the rounded copy.
template <class Run> struct Buffers {
  using T = typename Run::Scalar;
  Run& run;
  i64 shift;  // 1: off the alignment of packs

  acc_t<T>* flat() { return run.acc_inout(total + 1) + shift; }
  const acc_t<T>* gradient() { return run.acc_in(total + 1) + shift; }
  /// A number that the kernel reads from its device.
  StepScalar number(double x) {
    const i64 words = __builtin_bit_cast(i64, x);
    return StepScalar::read(reinterpret_cast<const double*>(run.index({words})));
  }
  T* copy(bool wanted) { return wanted ? run.out(total + 1) + shift : nullptr; }
};

/// f(run, buffers, ranges, copies, clip) for aligned and unaligned ranges and buffers, with and without copies.
template <class Test, class F> void compare_steps(F f) {
  struct Layout {
    i64 shift, offset;
    bool copies;
    double clip;
  };
  for (const auto& layout : {Layout{0, 64, true, 3}, {0, 3, true, 0}, {1, 64, true, 3}, {0, 0, false, 3}}) {
    INFO("buffers " << layout.shift << " values off, first range at " << layout.offset);
    compare_devices<Test>(tolerance, [&](auto& run) {
      using Run = std::decay_t<decltype(run)>;
      using T = typename Run::Scalar;
      const kernels::PackedRanges<acc_t<T>> packed(ranges<T>(layout.offset));
      f(run, Buffers<Run>{run, layout.shift}, packed.at(run.index(packed.words)), layout.copies,
        static_cast<acc_t<T>>(layout.clip));
    });
  }
}

}  // namespace

TEMPLATE_TEST_CASE("optimizer: norms on CUDA are those of the CPU", "[cuda]", float, bf16) {
  for (const int terms : {1, 2, 3}) {  // gradients, masters, both
    INFO("terms " << terms);
    compare_steps<TestType>([&](auto& run, auto buffers, const auto& list, bool clipped, auto clip) {
      using T = typename std::decay_t<decltype(run)>::Scalar;
      launch(run.ctx, kernels::RangeNorms<T>{.norm = run.acc_out(list.range_count),
                                             .partial = run.acc_out(list.block_count),
                                             .g = terms & 1 ? buffers.gradient() : nullptr,
                                             .p = terms & 2 ? buffers.gradient() : nullptr,
                                             .ranges = list,
                                             .weight_decay = 0.25,
                                             .clip_norm = clipped ? run.acc_values(some_norms) : nullptr,
                                             .clip = clip});
    });
  }
}

TEMPLATE_TEST_CASE("optimizer: AdamW on CUDA takes the step of the CPU", "[cuda]", float, bf16) {
  compare_steps<TestType>([&](auto& run, auto buffers, const auto& list, bool copies, auto clip) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    using A = acc_t<T>;
    A *const p = buffers.flat(), *const m = buffers.flat(), *const v = buffers.flat();
    std::vector<double> positive(static_cast<size_t>(total));
    for (size_t i = 0; i < positive.size(); ++i) positive[i] = static_cast<double>(i % 64 + 32) / 64;
    launch(run.ctx,
           kernels::Ema<A>{.average = v, .copy = nullptr, .p = run.acc_values(positive), .n = total, .momentum = 0});
    launch(run.ctx, kernels::AdamW<T>{.p = p,
                                      .copy = buffers.copy(copies),
                                      .m = m,
                                      .v = v,
                                      .g = buffers.gradient(),
                                      .ranges = list,
                                      .lr = buffers.number(0.5),
                                      .weight_decay = buffers.number(0.25),
                                      .clip_norm = copies ? run.acc_values(some_norms) : nullptr,
                                      .clip = clip,
                                      .beta1 = 0.875,
                                      .beta2 = 0.9375,
                                      .eps = 1e-3});
  });
}

TEMPLATE_TEST_CASE("optimizer: SGD on CUDA takes the step of the CPU", "[cuda]", float, bf16) {
  compare_steps<TestType>([&](auto& run, auto buffers, const auto& list, bool copies, auto clip) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::Sgd<T>{.p = buffers.flat(),
                                    .copy = buffers.copy(copies),
                                    .buffer = buffers.flat(),
                                    .g = buffers.gradient(),
                                    .ranges = list,
                                    .lr = buffers.number(0.5),
                                    .weight_decay = buffers.number(0.25),
                                    .clip_norm = copies ? run.acc_values(some_norms) : nullptr,
                                    .clip = clip,
                                    .momentum = acc_t<T>(0.875)});
  });
}

TEMPLATE_TEST_CASE("optimizer: LARS on CUDA takes the step of the CPU", "[cuda]", float, bf16) {
  compare_steps<TestType>([&](auto& run, auto buffers, const auto& list, bool copies, auto clip) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::Lars<T>{.p = buffers.flat(),
                                     .copy = buffers.copy(copies),
                                     .buffer = buffers.flat(),
                                     .g = buffers.gradient(),
                                     .ranges = list,
                                     .lr = buffers.number(0.5),
                                     .weight_decay = buffers.number(0.25),
                                     .clip_norm = copies ? run.acc_values(some_norms) : nullptr,
                                     .p_norm = run.acc_values(some_norms),
                                     .d_norm = run.acc_values(other_norms),
                                     .clip = clip,
                                     .momentum = acc_t<T>(0.875),
                                     .eta = acc_t<T>(0.125)});
  });
}

TEMPLATE_TEST_CASE("optimizer: averages on CUDA are those of the CPU", "[cuda]", float, bf16) {
  const i64 n = GENERATE(1, 7, 8, 77, block + 13);
  for (const i64 shift : {0, 1}) {
    for (const bool copies : {false, true}) {
      INFO("shift " << shift << ", copies " << copies);
      compare_devices<TestType>(tolerance, [&](auto& run) {
        using T = typename std::decay_t<decltype(run)>::Scalar;
        launch(run.ctx, kernels::Ema<T>{.average = run.acc_inout(n + shift) + shift,
                                        .copy = copies ? run.out(n + shift) + shift : nullptr,
                                        .p = run.acc_in(n + shift) + shift,
                                        .n = n,
                                        .momentum = 0.75});
      });
    }
  }
}

TEST_CASE("optimizer: one misaligned buffer among aligned ones", "[cuda]") {
  compare_devices<bf16>(
      tolerance,
      [](auto& run) {
        using T = typename std::decay_t<decltype(run)>::Scalar;
        launch(run.ctx, kernels::Ema<T>{.average = run.acc_inout(64),
                                        .copy = run.out(64),
                                        .p = run.acc_in(64),
                                        .n = 64,
                                        .momentum = 0.75});
      },
      Shifted{});
}

TEST_CASE("optimizer: no ranges and no values are no work", "[cuda]") {
  Context<Cuda> ctx;
  launch(ctx, kernels::RangeNorms<bf16>{});
  launch(ctx, kernels::AdamW<bf16>{});
  launch(ctx, kernels::Sgd<float>{});
  launch(ctx, kernels::Lars<float>{});
  launch(ctx, kernels::Ema<bf16>{});
  ctx.synchronize();
  CHECK(ctx.pool().live_bytes() == 0);
}
