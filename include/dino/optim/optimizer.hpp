// One of the optimizers, chosen by name at run time.
#pragma once

#include <dino/optim/adamw.hpp>
#include <dino/optim/lars.hpp>
#include <dino/optim/sgd.hpp>

#include <variant>

namespace dino::inline DINO_ABI {

template <class T, class D> class Optimizer {
 public:
  /// name: "adamw", "sgd" or "lars", each with the settings of the reference.
  Optimizer(const std::string& name, ParamStore<T, D>& params) : which_(make(name, params)) {}

  void step(UpdatePlan<T, D>& plan, const UpdateSettings& update) {
    if (plan.ranges.empty()) return;
    std::visit([&](auto& optimizer) { optimizer.step(plan, update); }, which_);
  }
  std::vector<std::pair<std::string, Tensor<acc_t<T>, D>>> state() const {
    return std::visit([](const auto& optimizer) { return optimizer.state(); }, which_);
  }

 private:
  using Which = std::variant<AdamW<T, D>, Sgd<T, D>, Lars<T, D>>;

  static Which make(const std::string& name, ParamStore<T, D>& params) {
    if (name == "adamw") return Which(AdamW<T, D>(params));
    if (name == "sgd") return Which(Sgd<T, D>(params));
    if (name == "lars") return Which(Lars<T, D>(params));
    fail(ErrorKind::usage, "optimizer \"{}\": expected adamw, sgd or lars", name);
  }

  Which which_;
};

}  // namespace dino::inline DINO_ABI
