#include <dino/kernels/dino_loss.hpp>

#include "support/compare_devices.hpp"

using namespace dino;

namespace {
// Exponents reach 40: half a unit in the last place of log sum exp is 2e-6, which is the relative error of what is
// exponentiated with it. Temperatures keep the entropy of order 1: that of a one-hot row is all rounding. Gradients in
// 16 bits are rounded once; those of bf16 a second time where they are added to.
constexpr compare::Tolerance tolerance{.value = 8e-3, .acc = 1e-5};

/// views, images, outputs: widths that packs divide and do not, less and more than a stretch of 512 columns; more rows
/// than a block has warps.
struct Sizes {
  i64 views, images, outputs;
};
constexpr std::initializer_list<Sizes> shapes{{2, 1, 1}, {3, 2, 7}, {2, 1, 64}, {3, 1, 1029}, {8, 1, 520}};
}  // namespace

TEMPLATE_TEST_CASE("dino_loss: CUDA equals CPU", "[cuda]", float, bf16, f16) {
  const Sizes shape = GENERATE(values(shapes));
  const i64 views = shape.views, images = shape.images, outputs = shape.outputs;
  enum { nothing, mean_only, all };
  const int outputs_kept = GENERATE(+nothing, +mean_only, +all);
  const bool mean = outputs_kept != nothing, keep = outputs_kept == all;
  const auto f = [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    acc_t<T>* const lse_s = keep ? run.acc_out(views * images) : nullptr;
    // The CPU kernel needs lse_t for batch_mean; CUDA has a place of its own.
    acc_t<T>* const lse_t = keep                                ? run.acc_out(2 * images)
                            : mean && std::is_same_v<T, double> ? run.scratch(2 * images)
                                                                : nullptr;
    launch(run.ctx, kernels::DinoLossForward<T>{.loss = run.acc_out(1),
                                                .entropy = run.acc_out(1),
                                                .lse_s = lse_s,
                                                .lse_t = lse_t,
                                                .batch_mean = mean ? run.acc_out(outputs) : nullptr,
                                                .partial = run.acc_out(2 * images),
                                                .s = run.in(views * images * outputs),
                                                .t = run.in(2 * images * outputs),
                                                .center = run.acc_in(outputs),
                                                .views = views,
                                                .images = images,
                                                .outputs = outputs,
                                                .tau_s = acc_t<T>(0.1),
                                                .tau_t = 0.4});
  };
  compare_devices<TestType>(tolerance, f);
  if (keep) compare_devices<TestType>(tolerance, f, Shifted{});
}

TEMPLATE_TEST_CASE("dino_loss: the gradient on CUDA equals the CPU", "[cuda]", float, bf16, f16) {
  const Sizes shape = GENERATE(values(shapes));
  const i64 views = shape.views, images = shape.images, outputs = shape.outputs;
  enum { in_place, overwrite, add };
  const int mode = GENERATE(+in_place, +overwrite, +add);
  const auto f = [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    const i64 n = views * images * outputs;
    T* const logits = mode == in_place ? run.inout(n) : nullptr;
    const T* const s = logits ? logits : run.in(n);
    const T* const t = run.in(2 * images * outputs);
    const acc_t<T>* const center = run.acc_in(outputs);
    acc_t<T>*const lse_s = run.acc_out(views * images), *const lse_t = run.acc_out(2 * images);
    const auto tau_s = acc_t<T>(0.1);
    const auto tau_t = StepScalar::read(reinterpret_cast<const double*>(run.index({__builtin_bit_cast(i64, 0.4)})));
    launch(run.ctx, kernels::DinoLossForward<T>{.loss = run.acc_out(1),
                                                .entropy = run.acc_out(1),
                                                .lse_s = lse_s,
                                                .lse_t = lse_t,
                                                .batch_mean = nullptr,
                                                .partial = run.scratch(2 * images),
                                                .s = s,
                                                .t = t,
                                                .center = center,
                                                .views = views,
                                                .images = images,
                                                .outputs = outputs,
                                                .tau_s = tau_s,
                                                .tau_t = tau_t});
    T* const ds = mode == in_place ? logits : mode == add ? run.inout(n) : run.out(n);
    launch(run.ctx, kernels::DinoLossBackward<T>{.ds = {ds, mode == add},
                                                 .dloss = run.acc_values({0.7}),
                                                 .s = s,
                                                 .t = t,
                                                 .center = center,
                                                 .lse_s = lse_s,
                                                 .lse_t = lse_t,
                                                 .views = views,
                                                 .images = images,
                                                 .outputs = outputs,
                                                 .tau_s = tau_s,
                                                 .tau_t = tau_t});
  };
  compare_devices<TestType>(tolerance, f);
  if (mode == add && outputs % 8 == 0) compare_devices<TestType>(tolerance, f, Shifted{});
}

TEST_CASE("dino_loss: both passes on CUDA are free of races", "[cuda][tiny]") {
  const i64 views = 2, outputs = 9;
  compare_devices<f16>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    T* const s = run.inout(views * outputs);
    const T* const t = run.in(2 * outputs);
    const acc_t<T>* const center = run.acc_in(outputs);
    acc_t<T>*const lse_s = run.acc_out(views), *const lse_t = run.acc_out(2);
    launch(run.ctx, kernels::DinoLossForward<T>{.loss = run.acc_out(1),
                                                .entropy = run.acc_out(1),
                                                .lse_s = lse_s,
                                                .lse_t = lse_t,
                                                .batch_mean = run.acc_out(outputs),
                                                .partial = run.acc_out(2),
                                                .s = s,
                                                .t = t,
                                                .center = center,
                                                .views = views,
                                                .images = 1,
                                                .outputs = outputs,
                                                .tau_s = acc_t<T>(0.1),
                                                .tau_t = 0.4});
    launch(run.ctx, kernels::DinoLossBackward<T>{.ds = {s, false},
                                                 .dloss = run.acc_values({1}),
                                                 .s = s,
                                                 .t = t,
                                                 .center = center,
                                                 .lse_s = lse_s,
                                                 .lse_t = lse_t,
                                                 .views = views,
                                                 .images = 1,
                                                 .outputs = outputs,
                                                 .tau_s = acc_t<T>(0.1),
                                                 .tau_t = 0.4});
  });
}

TEST_CASE("dino_loss: many images are added in one order on CUDA", "[cuda]") {
  const i64 images = 66;  // more than the threads of the block that adds them
  compare_devices<float>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::DinoLossForward<T>{.loss = run.acc_out(1),
                                                .entropy = run.acc_out(1),
                                                .lse_s = nullptr,
                                                .lse_t = nullptr,
                                                .batch_mean = nullptr,
                                                .partial = run.acc_out(2 * images),
                                                .s = run.in(2 * images * 3),
                                                .t = run.in(2 * images * 3),
                                                .center = run.acc_in(3),
                                                .views = 2,
                                                .images = images,
                                                .outputs = 3,
                                                .tau_s = acc_t<T>(0.1),
                                                .tau_t = 0.4});
  });
}

TEST_CASE("dino_loss: rows of more stretches than a warp has lanes on CUDA", "[cuda]") {
  const i64 outputs = 32 * 512 + 3;
  compare_devices<float>(tolerance, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::DinoLossForward<T>{.loss = run.acc_out(1),
                                                .entropy = run.acc_out(1),
                                                .lse_s = run.acc_out(2),
                                                .lse_t = run.acc_out(2),
                                                .batch_mean = nullptr,
                                                .partial = run.acc_out(2),
                                                .s = run.in(2 * outputs),
                                                .t = run.in(2 * outputs),
                                                .center = run.acc_in(outputs),
                                                .views = 2,
                                                .images = 1,
                                                .outputs = outputs,
                                                .tau_s = acc_t<T>(0.1),
                                                .tau_t = 0.4});
  });
}

TEST_CASE("dino_loss: logits far from zero neither overflow nor lose the loss on CUDA", "[cuda]") {
  const i64 views = 3, images = 2, outputs = 600;
  // The values are 1e4 + k / 512, exact in float; log sum exp, 1e5 in float, is off by 4e-3 of a loss of order 1.
  const compare::Tolerance coarse{.value = 1e-2, .acc = 1e-2};
  const auto far = [](i64 n, u64 key) {
    std::vector<double> list;
    for (i64 i = 0; i < n; ++i)
      list.push_back(1e4 + static_cast<double>(RngKey(1, key).block(static_cast<u64>(i)).x[0] % 64) / 512);
    return list;
  };
  compare_devices<float>(coarse, [&](auto& run) {
    using T = typename std::decay_t<decltype(run)>::Scalar;
    launch(run.ctx, kernels::DinoLossForward<T>{.loss = run.acc_out(1),
                                                .entropy = run.acc_out(1),
                                                .lse_s = nullptr,
                                                .lse_t = nullptr,
                                                .batch_mean = nullptr,
                                                .partial = run.acc_out(2 * images),
                                                .s = run.values(far(views * images * outputs, 1)),
                                                .t = run.values(far(2 * images * outputs, 2)),
                                                .center = run.acc_in(outputs),
                                                .views = views,
                                                .images = images,
                                                .outputs = outputs,
                                                .tau_s = acc_t<T>(0.125),
                                                .tau_t = 0.0625});
  });
}
