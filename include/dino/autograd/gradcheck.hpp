// Gradients against central differences, in double.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/tensor/create.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace dino::inline DINO_ABI {

/// The worst relative error max|analytic - numeric| / max|numeric| over the operands of f, for L = sum(w * f(x...))
/// with fixed random w. Numeric: the five-point rule with h = 1e-3, error about 1e-10. Each operand is a leaf; f takes
/// Vars. Stochastic ops draw the same numbers in every evaluation. An operand without influence must have no gradient,
/// or zero.
template <class F, class... Tensors> double gradcheck(const F& f, const Tensors&... inputs) {
  const std::vector<HostTensor<double>> x{clone(inputs)...};
  constexpr auto indices = std::index_sequence_for<Tensors...>{};
  const auto evaluate = [&](auto& tape, std::vector<Var<double, typename HostTensor<double>::Device>>& leaves) {
    leaves.clear();
    for (const auto& input : x) leaves.push_back(tape.leaf(input));
    return [&]<size_t... I>(std::index_sequence<I...>) { return f(leaves[I]...); }
    (indices);
  };

  auto& ctx = x[0].ctx();
  const RngKey rng(7, 7);
  std::vector<Var<double, typename HostTensor<double>::Device>> leaves;
  Tape tape(ctx, rng);
  const auto y = evaluate(tape, leaves);
  const auto w = randn<double>(ctx, y.shape(), RngKey(1, 2));
  tape.backward(y, clone(w));

  const auto loss = [&] {
    Tape numeric_tape(ctx, rng);
    std::vector<Var<double, typename HostTensor<double>::Device>> again;
    const auto value = contiguous(evaluate(numeric_tape, again).value);
    double sum = 0;
    for (i64 i = 0; i < value.numel(); ++i) sum += w[i] * value[i];
    return sum;
  };
  constexpr double h = 1e-3;
  double worst = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    const auto analytic = tape.grad(leaves[k]);
    double error = 0, scale = 0;
    for (i64 i = 0; i < x[k].numel(); ++i) {
      const double center = x[k][i];
      const auto at = [&](double step) { return x[k][i] = center + step, loss(); };
      const double numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      x[k][i] = center;
      const double difference = std::abs((analytic.defined() ? analytic[i] : 0.0) - numeric);
      error = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(error, difference);
      scale = std::max(scale, std::abs(numeric));
    }
    worst = std::max(worst, error / std::max(scale, 1e-3));  // below 1e-3 the difference itself is the measure
  }
  return worst;
}

}  // namespace dino::inline DINO_ABI
