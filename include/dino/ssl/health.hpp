// Collapse alarms: what the loss alone does not tell.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <cmath>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// What one step measured.
struct HealthSample {
  double loss = 0, teacher_entropy = 0, batch_entropy = 0;  // nats
  double feature_std = 0;  // mean deviation of the L2-normalised features over the batch, healthy about 1/sqrt(D)
};

/// Counts how long each sign of collapse has lasted, and reports it once when it has lasted `patience` steps in a row:
///     uniform        entropy > 0.99 ln K and loss - entropy < 0.01 ln K
///     one prototype  entropy of the batch mean < 0.05 ln K
///     features       feature_std < 0.05 / sqrt(D), after the learning-rate warm-up (features start nearly constant)
class HealthMonitor {
 public:
  HealthMonitor(i64 outputs, i64 dim, i64 armed_at_step, i64 patience = 500)
      : ln_k_(std::log(static_cast<double>(outputs))), dim_(dim), armed_at_(armed_at_step), patience_(patience) {}

  /// Messages of alarms that this step raises; empty when all is well.
  std::vector<std::string> observe(i64 step, const HealthSample& s) {
    std::vector<std::string> alarms;
    const auto watch = [&](i64& count, bool sign, const std::string& message) {
      count = sign ? count + 1 : 0;
      if (count == patience_) alarms.push_back(str("collapse suspected at step {}: {}", step, message));
    };
    watch(
        uniform_, s.teacher_entropy > 0.99 * ln_k_ && s.loss - s.teacher_entropy < 0.01 * ln_k_,
        str("the teacher's output is uniform (entropy {} = ln K). Try a lower teacher temperature", s.teacher_entropy));
    watch(single_, s.batch_entropy < 0.05 * ln_k_,
          str("the teacher gives every image one prototype (entropy of the batch mean {}). Try a higher teacher "
              "temperature",
              s.batch_entropy));
    watch(features_, step >= armed_at_ && s.feature_std < 0.05 / std::sqrt(static_cast<double>(dim_)),
          str("all images have the same feature (deviation {}). Try a lower learning rate", s.feature_std));
    return alarms;
  }

 private:
  double ln_k_;
  i64 dim_, armed_at_, patience_;
  i64 uniform_ = 0, single_ = 0, features_ = 0;
};

}  // namespace dino::inline DINO_ABI
