// Values that change during training: cosine with warm-up, and the teacher's temperature.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <cmath>
#include <numbers>

namespace dino::inline DINO_ABI {

/// A linear warm-up of W values from `warmup_start` to `base`, both included, then with M = total - W and j = i - W:
///     final + (base - final) (1 + cos(pi j / M)) / 2
/// So base appears twice and the last value is not exactly final. With W = 1 the single value is warmup_start.
/// Source: utils.py, cosine_scheduler.
struct CosineSchedule {
  double base = 0, final = 0;
  i64 total = 1, warmup = 0;
  double warmup_start = 0;

  double operator()(i64 step) const {
    if (step < warmup) {
      return warmup == 1
                 ? warmup_start
                 : warmup_start + (base - warmup_start) * static_cast<double>(step) / static_cast<double>(warmup - 1);
    }
    const double rest = static_cast<double>(total - warmup);
    const double at = rest <= 0 ? 1 : std::min(1.0, static_cast<double>(step - warmup) / rest);
    return final + 0.5 * (base - final) * (1 + std::cos(std::numbers::pi * at));
  }
};

/// Linear over the first `warmup` values, both ends included, then constant. One value per epoch, as in the reference.
/// Source: main_dino.py, DINOLoss.teacher_temp_schedule.
struct LinearSchedule {
  double start = 0, final = 0;
  i64 warmup = 0;

  double operator()(i64 i) const {
    if (i >= warmup) return final;
    return warmup == 1 ? start : start + (final - start) * static_cast<double>(i) / static_cast<double>(warmup - 1);
  }
};

}  // namespace dino::inline DINO_ABI
