// What all optimizers share: which tensors a step touches, and their gradient norms for clipping.
#pragma once

#include <dino/kernels/optimizer.hpp>
#include <dino/nn/param.hpp>
#include <dino/tensor/create.hpp>

#include <functional>
#include <vector>

namespace dino::inline DINO_ABI {

/// The settings of one update.
struct UpdateSettings {
  StepScalar lr{};
  StepScalar weight_decay{};                        // for tensors with the decay flag: rank 2 or more and not a bias
  double clip = 0;                                  // largest norm of each tensor's gradient; 0: no clipping
  std::function<bool(const ParamSegment&)> skip{};  // tensors to leave alone entirely: no decay, no moments, no count
};

/// The tensors that one step updates: not frozen, with a gradient, and not skipped.
template <class T, class D> struct UpdatePlan {
  using A = acc_t<T>;
  std::vector<kernels::UpdateRange<A>> ranges;
  std::vector<i64> index;        // position in ParamStore::segments() of each range
  Tensor<A, D> norms;            // gradient norm of each range, before clipping
  Tensor<i64, D> memory;         // of the table
  kernels::RangeTable<A> table;  // the ranges on the device
};

namespace detail {

/// || scale g + wd p || of every range of a plan; a null pointer leaves its term out.
template <class T, class D> Tensor<acc_t<T>, D> range_norms(Context<D>& ctx, const UpdatePlan<T, D>& plan,
                                                            const acc_t<T>* g, const acc_t<T>* p,
                                                            const StepScalar& weight_decay = {},
                                                            const acc_t<T>* clip_norm = nullptr, double clip = 0) {
  const Tensor<acc_t<T>, D> norms(ctx, {plan.table.range_count}), partial(ctx, {plan.table.block_count});
  launch(ctx, kernels::RangeNorms<T>{.norm = norms.data(),
                                     .partial = partial.data(),
                                     .g = g,
                                     .p = p,
                                     .ranges = plan.table,
                                     .weight_decay = weight_decay,
                                     .clip_norm = clip_norm,
                                     .clip = static_cast<acc_t<T>>(clip)});
  return norms;
}

}  // namespace detail

/// Decides what one step updates and measures the gradients. It changes nothing: a caller that finds a norm that is not
/// finite drops the plan, and the step has not happened.
template <class T, class D> UpdatePlan<T, D> plan_update(ParamStore<T, D>& params, const UpdateSettings& settings) {
  using A = acc_t<T>;
  UpdatePlan<T, D> plan;
  for (size_t i = 0; i < params.segments().size(); ++i) {
    const auto& segment = params.segments()[i];
    if (segment.frozen || !params.has_grad(static_cast<i64>(i))) continue;
    if (settings.skip && settings.skip(segment)) continue;
    plan.ranges.push_back({.offset = segment.offset,
                           .n = segment.shape.numel(),
                           .count = segment.steps + 1,
                           .lr = static_cast<A>(segment.rate),
                           .decay = segment.decay ? A(1) : A(0),
                           .adapt = segment.shape.rank() != 1});
    plan.index.push_back(static_cast<i64>(i));
  }
  if (plan.ranges.empty()) return plan;
  const kernels::PackedRanges<A> packed(plan.ranges);
  plan.memory = tensor(params.ctx(), {static_cast<i64>(packed.words.size())}, packed.words);
  plan.table = packed.at(plan.memory.data());
  plan.norms = detail::range_norms<T, D>(params.ctx(), plan, params.grads().data(), nullptr);
  return plan;
}

}  // namespace dino::inline DINO_ABI
