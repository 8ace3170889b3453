// What all optimizers share: which tensors a step touches, and their gradient norms for clipping.
#pragma once

#include <dino/kernels/optimizer.hpp>
#include <dino/nn/param.hpp>

#include <functional>
#include <vector>

namespace dino::inline DINO_ABI {

/// The settings of one update.
struct UpdateSettings {
  double lr = 0;
  double weight_decay = 0;                          // for tensors with the decay flag: rank 2 or more and not a bias
  double clip = 0;                                  // largest norm of each tensor's gradient; 0: no clipping
  std::function<bool(const ParamSegment&)> skip{};  // tensors to leave alone entirely: no decay, no moments, no count
};

/// The tensors that one step updates: not frozen, with a gradient, and not skipped.
template <class T, class D> struct UpdatePlan {
  using A = acc_t<T>;
  std::vector<kernels::UpdateRange<A>> ranges;
  std::vector<i64> index;  // position in ParamStore::segments() of each range
  Tensor<A, D> norms;      // gradient norm of each range, before clipping

  std::span<const kernels::UpdateRange<A>> span() const { return ranges; }
};

namespace detail {

template <class T, class D> i64 norm_blocks(const UpdatePlan<T, D>& plan) {
  i64 blocks = 0;
  for (const auto& range : plan.ranges)
    blocks += (range.n + kernels::RangeNorms<T>::block - 1) / kernels::RangeNorms<T>::block;
  return blocks;
}

/// || scale g + decay p || of every range of a plan; a null pointer leaves its term out.
template <class T, class D> Tensor<acc_t<T>, D> range_norms(Context<D>& ctx, const UpdatePlan<T, D>& plan,
                                                            const acc_t<T>* g, const acc_t<T>* p,
                                                            const acc_t<T>* clip_norm = nullptr, double clip = 0) {
  const Tensor<acc_t<T>, D> norms(ctx, {static_cast<i64>(plan.ranges.size())}), partial(ctx, {norm_blocks(plan)});
  launch(ctx, kernels::RangeNorms<T>{.norm = norms.data(),
                                     .partial = partial.data(),
                                     .g = g,
                                     .p = p,
                                     .ranges = plan.span(),
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
                           .lr = static_cast<A>(settings.lr),
                           .decay = segment.decay ? static_cast<A>(settings.weight_decay) : A(0),
                           .correction1 = 1,
                           .correction2 = 1,
                           .adapt = segment.shape.rank() != 1});
    plan.index.push_back(static_cast<i64>(i));
  }
  if (!plan.ranges.empty()) plan.norms = detail::range_norms<T, D>(params.ctx(), plan, params.grads().data(), nullptr);
  return plan;
}

}  // namespace dino::inline DINO_ABI
