// The state of L-BFGS as tensors of a checkpoint.
#pragma once

#include <dino/io/state_dict.hpp>
#include <dino/optim/lbfgs.hpp>

namespace dino::inline DINO_ABI {

/// What the views of an LbfgsState refer to; it must live as long as they do.
struct LbfgsMemory {
  std::vector<double> scalars;  // value, iterations, evaluations, started, stuck
  std::vector<double> steps, changes;
};

/// lbfgs.x and lbfgs.gradient (n), lbfgs.steps and lbfgs.changes (pairs,n), lbfgs.scalars (5), all F64.
inline std::vector<TensorView> lbfgs_views(const LbfgsState& s, LbfgsMemory& memory) {
  memory = {{s.value, static_cast<double>(s.iterations), static_cast<double>(s.evaluations), s.started ? 1.0 : 0.0,
             s.stuck ? 1.0 : 0.0},
            {},
            {}};
  for (const auto& v : s.steps) memory.steps.insert(memory.steps.end(), v.begin(), v.end());
  for (const auto& v : s.changes) memory.changes.insert(memory.changes.end(), v.begin(), v.end());
  const i64 n = static_cast<i64>(s.x.size()), pairs = static_cast<i64>(s.steps.size());
  return {tensor_view("lbfgs.x", {n}, s.x), tensor_view("lbfgs.gradient", {s.started ? n : 0}, s.gradient),
          tensor_view("lbfgs.steps", {pairs, n}, memory.steps),
          tensor_view("lbfgs.changes", {pairs, n}, memory.changes), tensor_view("lbfgs.scalars", {5}, memory.scalars)};
}

/// What lbfgs_views wrote. Throws Error{weights} when a tensor is missing or of another size.
inline LbfgsState read_lbfgs(const StateDict& file, const std::string& where) {
  const auto values = [&](const std::string& name) {
    const auto* t = file.find(name);
    require(t && t->dtype == DType::F64, ErrorKind::weights, "{}: no tensor {} of F64: not a state of L-BFGS", where,
            name);
    return t->to<double>();
  };
  LbfgsState s;
  s.x = values("lbfgs.x");
  s.gradient = values("lbfgs.gradient");
  const auto scalars = values("lbfgs.scalars"), steps = values("lbfgs.steps"), changes = values("lbfgs.changes");
  const size_t n = s.x.size();
  require(scalars.size() == 5 && n > 0 && (s.gradient.empty() || s.gradient.size() == n) && steps.size() % n == 0 &&
              changes.size() == steps.size(),
          ErrorKind::weights, "{}: sizes of a state of L-BFGS that do not fit: damaged", where);
  s.value = scalars[0];
  s.iterations = static_cast<i64>(scalars[1]);
  s.evaluations = static_cast<i64>(scalars[2]);
  s.started = scalars[3] != 0;
  s.stuck = scalars[4] != 0;
  require(s.started != s.gradient.empty(), ErrorKind::weights, "{}: a state of L-BFGS without its gradient", where);
  for (size_t at = 0; at < steps.size(); at += n) {
    const auto offset = static_cast<i64>(at), end = static_cast<i64>(at + n);
    s.steps.emplace_back(steps.begin() + offset, steps.begin() + end);
    s.changes.emplace_back(changes.begin() + offset, changes.begin() + end);
  }
  return s;
}

}  // namespace dino::inline DINO_ABI
