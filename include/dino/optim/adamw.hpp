// AdamW over a ParamStore.
#pragma once

#include <dino/optim/update.hpp>

namespace dino::inline DINO_ABI {

struct AdamWSettings {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
};

/// Decoupled weight decay, bias correction with each tensor's own count of updates (kernels::AdamW has the formula).
/// Source: torch.optim.AdamW; Loshchilov and Hutter 2019.
template <class T, class D> class AdamW {
 public:
  using Settings = AdamWSettings;

  explicit AdamW(ParamStore<T, D>& params, const Settings& settings = {})
      : params_(&params),
        settings_(settings),
        m_(zeros<acc_t<T>>(params.ctx(), {params.total()})),
        v_(zeros<acc_t<T>>(params.ctx(), {params.total()})) {}

  /// One update with the gradients in the store. Gradients stay; clear_grads() forgets them.
  void step(UpdatePlan<T, D>& plan, const UpdateSettings& update) {
    for (const i64 i : plan.index) ++params_->segments()[static_cast<size_t>(i)].steps;
    launch(params_->ctx(), kernels::AdamW<T>{.p = params_->masters().data(),
                                             .copy = params_->rounded(),
                                             .m = m_.data(),
                                             .v = v_.data(),
                                             .g = params_->grads().data(),
                                             .ranges = plan.table,
                                             .lr = update.lr,
                                             .weight_decay = update.weight_decay,
                                             .clip_norm = plan.norms.data(),
                                             .clip = static_cast<acc_t<T>>(update.clip),
                                             .beta1 = settings_.beta1,
                                             .beta2 = settings_.beta2,
                                             .eps = settings_.eps});
  }

  /// The state that a checkpoint holds, flat like the parameters.
  std::vector<std::pair<std::string, Tensor<acc_t<T>, D>>> state() const { return {{"m", m_}, {"v", v_}}; }

 private:
  ParamStore<T, D>* params_;
  Settings settings_;
  Tensor<acc_t<T>, D> m_, v_;
};

}  // namespace dino::inline DINO_ABI
