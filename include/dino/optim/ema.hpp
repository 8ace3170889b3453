// The exponential moving average that makes the teacher.
#pragma once

#include <dino/kernels/optimizer.hpp>
#include <dino/nn/param.hpp>

namespace dino::inline DINO_ABI {

/// average = momentum average + (1 - momentum) model, over the masters of all parameters, trained or frozen; buffers
/// stay apart. Both stores have the same layout. Source: main_dino.py, the last lines of train_one_epoch.
template <class T, class D> void ema_update(ParamStore<T, D>& average, const ParamStore<T, D>& model,
                                             const StepScalar& momentum) {
  require(average.total() == model.total(), "ema: stores of {} and {} values", average.total(), model.total());
  launch(average.ctx(), kernels::Ema<T>{.average = average.masters().data(),
                                        .copy = average.rounded(),
                                        .p = model.masters().data(),
                                        .n = model.total(),
                                        .momentum = momentum});
}

}  // namespace dino::inline DINO_ABI
