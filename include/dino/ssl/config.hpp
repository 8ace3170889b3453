// The settings of a DINO training run, in steps.
#pragma once

#include <dino/nn/dino_head.hpp>
#include <dino/nn/vit.hpp>
#include <dino/optim/schedule.hpp>

#include <string>

namespace dino::inline DINO_ABI {

/// Defaults are the recipe of the reference for ViT-S/16 (dino_recipe: main_dino.py). Everything that the reference
/// counts in epochs is in steps here: epochs * steps_per_epoch.
struct DinoConfig {
  VitConfig backbone{};
  DinoHeadConfig head{};
  double drop_path = 0.1;  // of the student

  i64 total_steps = 1, steps_per_epoch = 1;
  i64 batch = 64;        // images per optimizer step
  i64 micro_batch = 64;  // images per pass: a step is cut into batch / micro_batch passes, the last one smaller

  std::string optimizer = "adamw";
  double lr = 5e-4, warmup_start_lr = 0, final_lr = 1e-6;
  i64 warmup_steps = 0;
  double weight_decay = 0.04, final_weight_decay = 0.4;
  double clip = 3.0;
  double teacher_momentum = 0.996, final_teacher_momentum = 1.0;
  i64 freeze_last_layer_steps = 0;

  double student_temp = 0.1;
  double warmup_teacher_temp = 0.04, teacher_temp = 0.04;
  i64 warmup_teacher_steps = 0;
  bool teacher_temp_per_step = false;  // else one value per epoch, as in the reference
  double center_momentum = 0.9;
  u64 seed = 0;

  CosineSchedule lr_schedule() const { return {lr, final_lr, total_steps, warmup_steps, warmup_start_lr}; }
  CosineSchedule decay_schedule() const { return {weight_decay, final_weight_decay, total_steps}; }
  CosineSchedule momentum_schedule() const { return {teacher_momentum, final_teacher_momentum, total_steps}; }
  double teacher_temp_at(i64 step) const {
    if (teacher_temp_per_step) return LinearSchedule{warmup_teacher_temp, teacher_temp, warmup_teacher_steps}(step);
    const i64 epochs = (warmup_teacher_steps + steps_per_epoch / 2) / steps_per_epoch;
    return LinearSchedule{warmup_teacher_temp, teacher_temp, epochs}(step / steps_per_epoch);
  }
};

}  // namespace dino::inline DINO_ABI
