// Everything of linear classifiers in training that a checkpoint holds.
#pragma once

#include <dino/eval/linear_probe.hpp>
#include <dino/ssl/trainer_state.hpp>

namespace dino::inline DINO_ABI {

/// The tensors of all heads under their names: model.heads.*, optim.<moment>.*, optim.steps. steps is the memory for
/// the counts of updates, and must live as long as the views.
template <class T, class D> std::vector<TensorView> probe_views(LinearProbe<T, D>& probe, std::vector<i64>& steps) {
  auto views = parameter_views(probe.params(), "", "model.");
  for (auto& view : optimizer_views(probe.params(), probe.optimizer(), steps)) views.push_back(std::move(view));
  return views;
}

/// Puts the heads into the state of a checkpoint after `step` updates. Everything is read and checked before the first
/// change.
template <class T, class D>
void load_probe(LinearProbe<T, D>& probe, const StateDict& state, i64 step, const std::string& where) {
  detail::check_parameters(probe.params(), state, "model.", false, where);
  const auto optimizer = read_optimizer(probe.params(), probe.optimizer(), state, where);
  load_parameters(probe.params(), state, "model.", where, false);
  optimizer.apply(probe.params());
  probe.set_steps_done(step);
}

}  // namespace dino::inline DINO_ABI
