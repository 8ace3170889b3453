// SGD with momentum over a ParamStore.
#pragma once

#include <dino/optim/update.hpp>

namespace dino::inline DINO_ABI {

struct SgdSettings {
  double momentum = 0.9;
};

/// Coupled weight decay, no dampening, no Nesterov (kernels::Sgd has the formula). Source: torch.optim.SGD.
template <class T, class D> class Sgd {
 public:
  using Settings = SgdSettings;

  explicit Sgd(ParamStore<T, D>& params, const Settings& settings = {})
      : params_(&params), settings_(settings), buffer_(zeros<acc_t<T>>(params.ctx(), {params.total()})) {}

  void step(UpdatePlan<T, D>& plan, const UpdateSettings& update) {
    using A = acc_t<T>;
    for (const i64 i : plan.index) ++params_->segments()[static_cast<size_t>(i)].steps;
    launch(params_->ctx(), kernels::Sgd<T>{.p = params_->masters().data(),
                                           .copy = params_->rounded(),
                                           .buffer = buffer_.data(),
                                           .g = params_->grads().data(),
                                           .ranges = plan.table,
                                           .lr = update.lr,
                                           .weight_decay = update.weight_decay,
                                           .clip_norm = plan.norms.data(),
                                           .clip = static_cast<A>(update.clip),
                                           .momentum = static_cast<A>(settings_.momentum)});
  }
  std::vector<std::pair<std::string, Tensor<acc_t<T>, D>>> state() const { return {{"momentum", buffer_}}; }

 private:
  ParamStore<T, D>* params_;
  Settings settings_;
  Tensor<acc_t<T>, D> buffer_;
};

}  // namespace dino::inline DINO_ABI
