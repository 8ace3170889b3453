// Everything of a trainer that a checkpoint holds.
#pragma once

#include <dino/io/weights.hpp>
#include <dino/ssl/trainer.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

/// A tensor of the checkpoint as numbers, its shape checked.
template <class A> std::vector<A> checked_values(const StateDict& state, const std::string& name, const Shape& shape,
                                                 const std::string& where) {
  const auto* tensor = state.find(name);
  require(tensor != nullptr, ErrorKind::weights,
          "{}: there is no tensor {}. The checkpoint belongs to another optimizer or model", where, name);
  require(tensor->shape == shape, ErrorKind::weights,
          "{}: {} is {}, the run needs {}. The checkpoint belongs to another model", where, name, tensor->shape, shape);
  return tensor->template to<A>();
}

}  // namespace detail

/// The state of an optimizer: optim.<moment>.* for each parameter, and optim.steps, its counts of updates, for which
/// `steps` is the memory.
template <class T, class D> std::vector<TensorView> optimizer_views(const ParamStore<T, D>& params,
                                                                    const Optimizer<T, D>& optimizer,
                                                                    std::vector<i64>& steps) {
  std::vector<TensorView> views;
  for (const auto& [name, flat] : optimizer.state()) {
    const detail::HostElements<acc_t<T>> elements(flat);
    for (const auto& segment : params.segments()) {
      views.push_back(elements.view(str("optim.{}.{}", name, segment.name), segment.shape, segment.offset));
    }
  }
  steps.clear();
  for (const auto& segment : params.segments()) steps.push_back(segment.steps);
  views.push_back(tensor_view("optim.steps", {static_cast<i64>(steps.size())}, steps));
  return views;
}

/// What optimizer_views wrote, read and checked, not yet in place.
template <class T, class D> struct OptimizerState {
  using A = acc_t<T>;
  std::vector<std::pair<Tensor<A, D>, std::vector<A>>> moments;
  std::vector<i64> steps;

  void apply(ParamStore<T, D>& params) const {
    for (const auto& [tensor, values] : moments) copy_from_host(tensor, std::span<const A>(values));
    for (size_t i = 0; i < steps.size(); ++i) params.segments()[i].steps = steps[i];
  }
};

template <class T, class D> OptimizerState<T, D> read_optimizer(const ParamStore<T, D>& params,
                                                                const Optimizer<T, D>& optimizer,
                                                                const StateDict& state, const std::string& where) {
  using A = acc_t<T>;
  OptimizerState<T, D> out;
  for (const auto& segment : params.segments()) {
    for (const auto& [name, flat] : optimizer.state()) {
      out.moments.push_back(
          {Tensor<A, D>(flat.storage(), flat.data() + segment.offset, segment.shape),
           detail::checked_values<A>(state, str("optim.{}.{}", name, segment.name), segment.shape, where)});
    }
  }
  out.steps = detail::checked_values<i64>(state, "optim.steps", {static_cast<i64>(params.segments().size())}, where);
  return out;
}

/// The tensors of a trainer under their names: student.*, teacher.*, optim.<moment>.*, optim.steps, loss.center, all
/// real ones in acc_t<T>. They are views of the trainer's memory where that is the host, else of copies that they own;
/// steps is the memory for the counts, and must live as long as the views.
template <class T, class D> std::vector<TensorView> trainer_views(DinoTrainer<T, D>& trainer, std::vector<i64>& steps) {
  using Elements = detail::HostElements<acc_t<T>>;
  auto views = parameter_views(trainer.student_params(), "", "student.");
  const auto append = [&](std::vector<TensorView> more) { views.insert(views.end(), more.begin(), more.end()); };
  append(parameter_views(trainer.teacher_params(), "", "teacher."));
  append(optimizer_views(trainer.student_params(), trainer.optimizer(), steps));
  const auto& center = trainer.objective().center();
  views.push_back(Elements(center).view("loss.center", center.shape()));
  const auto buffers = [&](const char* prefix, const auto& store) {
    for (const auto& buffer : store.buffers()) {
      views.push_back(Elements(buffer.tensor).view(prefix + buffer.name, buffer.tensor.shape()));
    }
  };
  buffers("student.", trainer.student_params());
  buffers("teacher.", trainer.teacher_params());
  return views;
}

/// Puts a trainer into the state of a checkpoint after `step` updates. Everything is read and checked before the first
/// change.
template <class T, class D>
void load_trainer(DinoTrainer<T, D>& trainer, const StateDict& state, i64 step, const std::string& where) {
  using A = acc_t<T>;
  auto &student = trainer.student_params(), &teacher = trainer.teacher_params();
  detail::check_parameters(student, state, "student.", false, where);
  detail::check_parameters(teacher, state, "teacher.", false, where);
  const auto optimizer = read_optimizer(student, trainer.optimizer(), state, where);
  std::vector<std::pair<Tensor<A, D>, std::vector<A>>> todo;
  const auto& center = trainer.objective().center();
  todo.push_back({center, detail::checked_values<A>(state, "loss.center", center.shape(), where)});
  const auto buffers = [&](const std::string& prefix, const auto& store) {
    for (const auto& buffer : store.buffers()) {
      todo.push_back(
          {buffer.tensor, detail::checked_values<A>(state, prefix + buffer.name, buffer.tensor.shape(), where)});
    }
  };
  buffers("student.", student);
  buffers("teacher.", teacher);
  load_parameters(student, state, "student.", where, false);
  load_parameters(teacher, state, "teacher.", where, false);
  for (const auto& [tensor, values] : todo) copy_from_host(tensor, std::span<const A>(values));
  optimizer.apply(student);
  trainer.set_steps_done(step);
}

}  // namespace dino::inline DINO_ABI
