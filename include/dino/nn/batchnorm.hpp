// Batch normalisation as a module.
#pragma once

#include <dino/nn/param.hpp>
#include <dino/ops/batchnorm.hpp>

namespace dino::inline DINO_ABI::nn {

/// "weight" (C), ones; "bias" (C), zeros; buffers "running_mean", zeros, and "running_var", ones.
/// Normalises with the batch's statistics or the running ones, as ParamStore::statistics says.
template <class T, class D> struct BatchNorm {
  Parameter<T, D> weight, bias;
  ParamStore<T, D>* store;
  i64 running_mean, running_var;

  BatchNorm(const Scope<T, D>& s, i64 dim)
      : weight(s.param("weight", {dim}, ones_init)),
        bias(s.param("bias", {dim}, zeros_init)),
        store(&s.store()),
        running_mean(s.buffer("running_mean", {dim}, 0)),
        running_var(s.buffer("running_var", {dim}, 1)) {}

  auto operator()(const auto& x) const {
    return batchnorm(x, weight, bias, store->buffers()[static_cast<size_t>(running_mean)].tensor,
                     store->buffers()[static_cast<size_t>(running_var)].tensor,
                     store->statistics == Statistics::running);
  }
};

}  // namespace dino::inline DINO_ABI::nn
