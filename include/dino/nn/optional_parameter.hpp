// A parameter that some models have and others lack.
#pragma once

#include <dino/nn/param.hpp>

#include <optional>

namespace dino::inline DINO_ABI::nn {

/// An operand of ops. Where the model lacks it, its value is an undefined tensor and its gradient is not wanted.
template <class T, class D> class OptionalParameter {
 public:
  OptionalParameter() = default;
  OptionalParameter(const Parameter<T, D>& parameter) : parameter_(parameter) {}  // implicit: a parameter is one

  explicit operator bool() const { return parameter_.has_value(); }
  Tensor<T, D> value() const { return parameter_ ? parameter_->value() : Tensor<T, D>(); }
  Sink<D> sink() const { return parameter_ ? parameter_->sink() : Sink<D>(); }

 private:
  std::optional<Parameter<T, D>> parameter_;
};

}  // namespace dino::inline DINO_ABI::nn
