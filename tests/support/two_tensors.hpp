// The problem on which the reference optimizers were measured: one matrix with decay, one bias without, three steps.
#pragma once

#include <dino/optim/update.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

template <class T> struct TwoTensors {
  using Store = dino::ParamStore<T, dino::HostDevice>;

  dino::HostContext ctx{1};
  Store params{ctx};

  TwoTensors() {
    params.add("p.weight", {2, 2}, dino::zeros_init);
    params.add("b.bias", {2}, dino::zeros_init);
    params.finalize(0);
    set({T(0.5), T(-1), T(2), T(0.25)}, {T(0.3), T(-0.2)});
  }
  void set(const std::vector<T>& p, const std::vector<T>& b) {
    dino::copy_from_host(params.value(0), std::span<const T>(p));
    dino::copy_from_host(params.value(1), std::span<const T>(b));
  }
  void set_grads(const std::vector<dino::acc_t<T>>& p, const std::vector<dino::acc_t<T>>& b) {
    params.clear_grads();
    if (!p.empty()) dino::Grad<dino::acc_t<T>, dino::HostDevice>(params.sink(0)).accept(dino::tensor(ctx, {2, 2}, p));
    if (!b.empty()) dino::Grad<dino::acc_t<T>, dino::HostDevice>(params.sink(1)).accept(dino::tensor(ctx, {2}, b));
  }
  /// The gradients of step t = 0, 1, 2.
  void set_golden_grads(int t) {
    const auto k = static_cast<dino::acc_t<T>>(t + 1);
    const auto times = [&](double x) { return k * static_cast<dino::acc_t<T>>(x); };
    set_grads({times(0.1), times(-0.2), times(0.3), times(-0.4)}, {times(0.05), times(-0.6)});
  }
  std::vector<T> p() { return dino::to_vector(params.value(0)); }
  std::vector<T> b() { return dino::to_vector(params.value(1)); }

  /// Three steps against values printed with nine digits; an empty list is not checked.
  template <class Optimizer> void check(Optimizer& optimizer, const dino::UpdateSettings& settings,
                                        const std::vector<std::vector<double>>& p_after,
                                        const std::vector<std::vector<double>>& b_after) {
    const double tolerance = sizeof(T) == 8 ? 3e-9 : 1e-6;
    for (int t = 0; t < 3; ++t) {
      INFO("step " << t + 1);
      set_golden_grads(t);
      auto plan = dino::plan_update(params, settings);
      optimizer.step(plan, settings);
      const auto at = static_cast<size_t>(t);
      if (!p_after[at].empty()) CHECK(golden::relative_error(p(), p_after[at]) <= tolerance);
      if (!b_after[at].empty()) CHECK(golden::relative_error(b(), b_after[at]) <= tolerance);
      CHECK(params.segments()[0].steps == t + 1);
    }
  }
};
