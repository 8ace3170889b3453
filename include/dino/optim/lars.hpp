// LARS over a ParamStore.
#pragma once

#include <dino/optim/update.hpp>

namespace dino::inline DINO_ABI {

struct LarsSettings {
  double momentum = 0.9, eta = 0.001;
};

/// Layer-wise trust ratio for tensors of rank other than 1; the others take a plain momentum step (kernels::Lars has
/// the formula). Source: utils.py, LARS; You et al. 2017.
template <class T, class D> class Lars {
 public:
  using Settings = LarsSettings;

  explicit Lars(ParamStore<T, D>& params, const Settings& settings = {})
      : params_(&params), settings_(settings), buffer_(zeros<acc_t<T>>(params.ctx(), {params.total()})) {}

  void step(UpdatePlan<T, D>& plan, const UpdateSettings& update) {
    using A = acc_t<T>;
    auto& ctx = params_->ctx();
    for (const i64 i : plan.index) ++params_->segments()[static_cast<size_t>(i)].steps;
    const A *const g = params_->grads().data(), *const clip_norm = plan.norms.data();
    A* const p = params_->masters().data();
    const auto p_norm = detail::range_norms<T, D>(ctx, plan, nullptr, p);
    const auto d_norm = detail::range_norms<T, D>(ctx, plan, g, p, update.weight_decay, clip_norm, update.clip);
    launch(ctx, kernels::Lars<T>{.p = p,
                                 .copy = params_->rounded(),
                                 .buffer = buffer_.data(),
                                 .g = g,
                                 .ranges = plan.table,
                                 .lr = update.lr,
                                 .weight_decay = update.weight_decay,
                                 .clip_norm = clip_norm,
                                 .p_norm = p_norm.data(),
                                 .d_norm = d_norm.data(),
                                 .clip = static_cast<A>(update.clip),
                                 .momentum = static_cast<A>(settings_.momentum),
                                 .eta = static_cast<A>(settings_.eta)});
  }
  std::vector<std::pair<std::string, Tensor<acc_t<T>, D>>> state() const { return {{"momentum", buffer_}}; }

 private:
  ParamStore<T, D>* params_;
  Settings settings_;
  Tensor<acc_t<T>, D> buffer_;
};

}  // namespace dino::inline DINO_ABI
