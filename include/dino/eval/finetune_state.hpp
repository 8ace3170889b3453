// Everything of a classifier in training that a checkpoint holds.
#pragma once

#include <dino/eval/finetune.hpp>
#include <dino/ssl/trainer_state.hpp>

namespace dino::inline DINO_ABI {

/// The tensors of a trainer under their names: model.*, optim.<moment>.*, optim.steps, all real ones in acc_t<T>. They
/// are views of the trainer's memory where that is the host, else of copies that they own; steps is the memory for the
/// counts, and must live as long as the views.
template <class T, class D>
std::vector<TensorView> finetune_views(FinetuneTrainer<T, D>& trainer, std::vector<i64>& steps) {
  auto views = parameter_views(trainer.params(), "", "model.");
  for (auto& view : optimizer_views(trainer.params(), trainer.optimizer(), steps)) views.push_back(std::move(view));
  return views;
}

/// Puts a trainer into the state of a checkpoint after `step` updates. Everything is read and checked before the first
/// change.
template <class T, class D>
void load_finetune(FinetuneTrainer<T, D>& trainer, const StateDict& state, i64 step, const std::string& where) {
  detail::check_parameters(trainer.params(), state, "model.", false, where);
  const auto optimizer = read_optimizer(trainer.params(), trainer.optimizer(), state, where);
  load_parameters(trainer.params(), state, "model.", where, false);
  optimizer.apply(trainer.params());
  trainer.set_steps_done(step);
}

}  // namespace dino::inline DINO_ABI
