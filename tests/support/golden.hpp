// Golden files: named tensors written by tools/reference/*.py.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/io/safetensors.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <filesystem>

namespace golden {

using namespace dino;

/// tests/golden, found beside this file.
inline std::filesystem::path folder() { return std::filesystem::path(__FILE__).parent_path().parent_path() / "golden"; }

/// max|a-b| / max|b|: how the project states the error of a tensor.
template <class A, class B> double relative_error(const std::vector<A>& a, const std::vector<B>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double error = 0, largest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= error)) error = difference;  // a NaN stays
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return largest == 0 ? error : error / largest;
}

class File {
 public:
  explicit File(const std::string& name) : state_(read_safetensors(folder() / name)) {}

  template <class T> HostTensor<T> tensor(HostContext& ctx, const std::string& name) const {
    const auto& data = state_.at(name);
    return dino::tensor(ctx, data.shape, data.to<T>());
  }
  std::vector<double> values(const std::string& name) const { return state_.at(name).to<double>(); }
  bool has(const std::string& name) const { return state_.find(name) != nullptr; }

 private:
  StateDict state_;
};

/// Runs f on the inputs NAME.in.K and compares the result and every gradient of sum(NAME.w * result) with the file.
/// inputs is a template parameter so that f gets exactly as many Vars.
template <class T, size_t inputs, class F> void check_op(const std::string& name, double tolerance, const F& f) {
  static const File file("ops.safetensors");
  HostContext ctx(2);
  Tape<HostDevice> tape(ctx);
  std::vector<Var<T, HostDevice>> leaves;
  for (size_t k = 0; k < inputs; ++k)
    leaves.push_back(tape.leaf(file.tensor<T>(ctx, name + ".in." + std::to_string(k))));
  const auto y = [&]<size_t... I>(std::index_sequence<I...>) { return f(leaves[I]...); }
  (std::make_index_sequence<inputs>{});
  INFO(name);
  CHECK(relative_error(to_vector(y.value), file.values(name + ".out")) <= tolerance);
  const auto weight = file.tensor<T>(ctx, name + ".w").reshape(y.shape());
  tape.backward(y, weight);
  for (size_t k = 0; k < inputs; ++k) {
    INFO("gradient of input " << k);
    const auto expected = file.values(name + ".grad." + std::to_string(k));
    const auto grad = tape.grad(leaves[k]);
    REQUIRE(grad.defined());
    CHECK(relative_error(to_vector(grad), expected) <= tolerance);
  }
}

/// Goldens in double to 1e-6 and in float to 1e-5 of the largest value; in practice 1e-14 and a few 1e-7.
template <size_t inputs, class F> void check_op_in_both(const std::string& name, const F& f) {
  check_op<double, inputs>(name, 1e-12, f);  // the same formula in another order: a few roundings of 1e-16
  check_op<float, inputs>(name, 1e-5, f);
}

}  // namespace golden
