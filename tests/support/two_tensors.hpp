// The problem on which the reference optimizers were measured: one matrix with decay, one bias without, three steps.
#pragma once

#include <dino/optim/update.hpp>
#include <dino/tensor/create.hpp>

#include "support/golden.hpp"

#include <algorithm>

template <class T> struct TwoTensors {
  using Store = dino::ParamStore<T, dino::HostDevice>;
  using A = dino::acc_t<T>;

  dino::HostContext ctx{1};
  Store params{ctx};

  TwoTensors() {
    params.add("p.weight", {2, 2}, dino::zeros_init);
    params.add("b.bias", {2}, dino::zeros_init);
    params.finalize(0);
    set({A(0.5), A(-1), A(2), A(0.25)}, {A(0.3), A(-0.2)});
  }
  void set(const std::vector<A>& p, const std::vector<A>& b) {
    params.assign(0, p);
    params.assign(1, b);
  }
  void set_grads(const std::vector<A>& p, const std::vector<A>& b) {
    params.clear_grads();
    if (!p.empty()) dino::Grad<A, dino::HostDevice>(params.sink(0)).accept(dino::tensor(ctx, {2, 2}, p));
    if (!b.empty()) dino::Grad<A, dino::HostDevice>(params.sink(1)).accept(dino::tensor(ctx, {2}, b));
  }
  /// The gradients of step t = 0, 1, 2.
  void set_golden_grads(int t) {
    const auto k = static_cast<A>(t + 1);
    const auto times = [&](double x) { return k * static_cast<A>(x); };
    set_grads({times(0.1), times(-0.2), times(0.3), times(-0.4)}, {times(0.05), times(-0.6)});
  }
  std::vector<A> p() { return dino::to_vector(params.master(0)); }
  std::vector<A> b() { return dino::to_vector(params.master(1)); }
  /// The values are the masters, rounded where T holds less.
  bool in_step() {
    const auto masters = dino::to_vector(params.masters());
    const auto values = dino::to_vector(params.values());
    return std::equal(masters.begin(), masters.end(), values.begin(), values.end(),
                      [](A master, T value) { return dino::to_acc(dino::from_acc<T>(master)) == dino::to_acc(value); });
  }

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
      CHECK(in_step());
      CHECK(params.segments()[0].steps == t + 1);
    }
  }
};
