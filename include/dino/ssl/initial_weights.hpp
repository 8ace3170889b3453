// Pre-training that goes on from given weights.
#pragma once

#include <dino/io/weight_names.hpp>
#include <dino/io/weights.hpp>
#include <dino/ssl/trainer.hpp>

namespace dino::inline DINO_ABI {

/// A position table (1,1+g*g,C) brought to a grid of `grid` x `grid` by the rule; the class token's row stays.
/// As it is when the grids are equal. Throws Error{weights} when it is not square.
inline TensorData resize_positions(const TensorData& table, i64 grid, const PositionRule& rule,
                                   const std::string& where) {
  const i64 cells = table.shape.rank() == 3 ? table.shape[1] - 1 : 0;
  const i64 stored = std::llround(std::sqrt(static_cast<double>(std::max<i64>(cells, 0))));
  require(stored >= 1 && stored * stored == cells, ErrorKind::weights,
          "{}: pos_embed is {}, not a class token and a square grid", where, table.shape);
  if (stored == grid) return table;
  const i64 cols = table.shape[2];
  const auto from = table.to<double>();
  std::vector<double> to(from.begin(), from.begin() + cols);
  to.resize(static_cast<size_t>((1 + grid * grid) * cols));
  HostContext ctx(1);
  launch(ctx, kernels::ResamplePositions<double>{.out = to.data() + cols,
                                                 .in = from.data() + cols,
                                                 .grid = stored,
                                                 .height = grid,
                                                 .width = grid,
                                                 .cols = cols,
                                                 .rule = rule});
  return tensor_data({1, 1 + grid * grid, cols}, to);
}

namespace detail {

/// Puts backbone and head of a file into a store; the head only when all of it fits. What was not used, in words.
template <class T, class D>
std::vector<std::string> start_from(ParamStore<T, D>& store, const VitConfig& vit, const HubWeights& file,
                                    bool interpolate, const std::string& where) {
  StateDict all;
  std::vector<std::string> notes;
  for (const auto& [name, tensor] : file.backbone.tensors) {
    if (name == "mask_token" && !vit.mask_token) continue;
    const bool resized = name == "pos_embed" && interpolate;
    all.add("backbone." + name, resized ? resize_positions(tensor, vit.grid(), vit.positions, where) : tensor);
  }
  std::string misfit = file.head.tensors.empty() ? "the file has none" : "";
  for (const auto& view : parameter_views(store, "head.", "head.")) {
    const auto* tensor = file.head.find(view.name.substr(5));
    if (misfit.empty() && !tensor) misfit = str("the file has no {}", view.name);
    if (misfit.empty() && !(tensor->shape == view.shape)) {
      misfit = str("{} is {} in the file, {} here", view.name, tensor->shape, view.shape);
    }
  }
  if (!misfit.empty()) notes.push_back("head: first values, " + misfit);
  for (const auto& view : parameter_views(store, "head.", "head.")) {
    all.add(view.name, misfit.empty() ? *file.head.find(view.name.substr(5))
                                      : TensorData{view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }
  load_parameters(store, all, "", where);
  return notes;
}

inline void note_unused(std::vector<std::string>& notes, const std::string& unused) {
  if (!unused.empty()) notes.push_back("not used: " + unused);
}

}  // namespace detail

/// Student and teacher start from weights (hub_weights says which): each from its own where the file is a full
/// checkpoint, else both from the same. The head comes along where all of its shapes are those of the run. interpolate:
/// position tables of other grids are resampled, else they are an error. Returns what the user should know.
/// Throws Error{weights} before anything is changed in the store that does not fit.
template <class T, class D> std::vector<std::string> load_initial_weights(DinoTrainer<T, D>& trainer, StateDict file,
                                                                          const std::string& where,
                                                                          bool interpolate = false) {
  const auto holds = [&](std::string_view front) {
    const auto at = file.tensors.lower_bound(front);
    return at != file.tensors.end() && std::string_view(at->first).starts_with(front);
  };
  const auto& vit = trainer.config().backbone;
  if (holds("student.") && holds("teacher.")) {
    const auto student = hub_weights(file, "student", where);
    auto notes = detail::start_from(trainer.student_params(), vit, student, interpolate, where + " (student)");
    detail::note_unused(notes, unused_text(student, {"the head", "student.*", "teacher.*"}));
    detail::start_from(trainer.teacher_params(), vit, hub_weights(std::move(file), "teacher", where), interpolate,
                       where + " (teacher)");
    return notes;
  }
  const std::string key = holds("student.") ? "student" : "teacher";
  const auto weights = hub_weights(std::move(file), key, where);
  auto notes = detail::start_from(trainer.student_params(), vit, weights, interpolate, where);
  detail::note_unused(notes, unused_text(weights, {"the head"}));
  trainer.teacher_params().copy_from(trainer.student_params());
  return notes;
}

}  // namespace dino::inline DINO_ABI
