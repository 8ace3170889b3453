// Golden files: named tensors written by tools/reference/*.py.
#pragma once

#include <dino/autograd/apply.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"
#include "support/worst.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace golden {

using namespace dino;

/// max|a-b| / max|b|: how the project states the error of a tensor.
template <class A, class B> double relative_error(const std::vector<A>& a, const std::vector<B>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double error = 0, largest = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    error = worse(error, difference);
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return largest == 0 ? error : error / largest;
}

/// A file of tests/golden. What reads it is in golden.cpp, so that it is compiled once.
class File {
 public:
  explicit File(const std::string& name);

  template <class T> HostTensor<T> tensor(HostContext& ctx, const std::string& name) const {
    const auto& stored = at(name);
    std::vector<T> values;
    for (const double x : stored.values) values.push_back(static_cast<T>(x));
    return dino::tensor(ctx, stored.shape, values);
  }
  const std::vector<double>& values(const std::string& name) const { return at(name).values; }

 private:
  struct Stored {
    Shape shape;
    std::vector<double> values;
  };
  const Stored& at(const std::string& name) const;

  std::map<std::string, Stored> tensors_;
};

/// The golden values of the operations.
const File& operations();

void check_close(const std::string& what, const std::vector<double>& got, const std::vector<double>& expected,
                 double tolerance);

template <class T> std::vector<double> to_doubles(const HostTensor<T>& x) {
  const auto values = to_vector(x);
  return {values.begin(), values.end()};
}

/// Runs f on the inputs NAME.in.K and compares the result and every gradient of sum(NAME.w * result) with the file.
/// inputs is a template parameter so that f gets exactly as many Vars.
template <class T, size_t inputs, class F> void check_op(const std::string& name, double tolerance, const F& f) {
  const File& file = operations();
  HostContext ctx(2);
  Tape<HostDevice> tape(ctx);
  std::vector<Var<T, HostDevice>> leaves;
  for (size_t k = 0; k < inputs; ++k)
    leaves.push_back(tape.leaf(file.tensor<T>(ctx, name + ".in." + std::to_string(k))));
  const auto y = [&]<size_t... I>(std::index_sequence<I...>) { return f(leaves[I]...); }
  (std::make_index_sequence<inputs>{});
  check_close(name, to_doubles(y.value), file.values(name + ".out"), tolerance);
  tape.backward(y, file.tensor<T>(ctx, name + ".w").reshape(y.shape()));
  for (size_t k = 0; k < inputs; ++k) {
    const auto expected = name + ".grad." + std::to_string(k);
    const auto grad = tape.grad(leaves[k]);
    check_close(expected, grad.defined() ? to_doubles(grad) : std::vector<double>{}, file.values(expected), tolerance);
  }
}

/// Goldens in double to 1e-12 and in float to 1e-5 of the largest value; in practice 1e-14 and a few 1e-7.
template <size_t inputs, class F> void check_op_in_both(const std::string& name, const F& f) {
  check_op<double, inputs>(name, 1e-12, f);  // the same formula in another order: a few roundings of 1e-16
  check_op<float, inputs>(name, 1e-5, f);
}

}  // namespace golden
