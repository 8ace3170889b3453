// From the options of a program to the settings of the library.
#pragma once

#include <dino/data/multicrop.hpp>
#include <dino/io/program_config.hpp>
#include <dino/io/weights.hpp>
#include <dino/ssl/micro_batch.hpp>

namespace programs {

inline dino::VitConfig vit_config(const dino::ModelConfig& m) {
  return {.image_size = m.image_size,
          .patch_size = m.patch_size,
          .dim = m.embed_dim,
          .depth = m.depth,
          .heads = m.num_heads,
          .mlp_ratio = m.mlp_ratio,
          .drop_path = 0,
          .init_std = m.init_std};
}

inline dino::BackboneInfo backbone_info(const dino::ModelConfig& m) {
  return {.vit = vit_config(m), .mean = m.mean, .deviation = m.deviation, .name = m.name, .source = "", .step = 0};
}

inline dino::CropSettings crop_settings(const dino::PretrainConfig& c) {
  dino::CropSettings s;
  s.global_size = c.global_size;
  s.local_size = c.local_size;
  s.num_local_crops = c.num_local_crops;
  s.global_scale_min = c.global_scale_min;
  s.global_scale_max = c.global_scale_max;
  s.local_scale_min = c.local_scale_min;
  s.local_scale_max = c.local_scale_max;
  s.flip_prob = c.flip_prob;
  s.jitter_prob = c.jitter_prob;
  s.color_jitter = c.color_jitter;
  s.gray_prob = c.gray_prob;
  s.blur_prob = {c.blur_prob_global_1, c.blur_prob_global_2, c.blur_prob_local};
  s.solarize_prob = c.solarize_prob;
  s.mean = c.model.mean;
  s.deviation = c.model.deviation;
  return s;
}

/// Lengths in epochs become steps here.
inline dino::DinoConfig dino_config(const dino::PretrainConfig& c, dino::i64 steps_per_epoch) {
  const auto steps = [&](double epochs) { return dino::steps_of_epochs(epochs, steps_per_epoch); };
  dino::DinoConfig d;
  d.backbone = vit_config(c.model);
  d.head = {.outputs = c.k_dim,
            .layers = c.mlp_layers,
            .hidden = c.hidden_dim,
            .bottleneck = c.bottleneck_dim,
            .use_bn = c.use_bn_in_head,
            .norm_last_layer = c.norm_last_layer};
  d.drop_path = c.model.drop_path_rate;
  d.total_steps = std::max<dino::i64>(1, steps(c.epochs));
  d.steps_per_epoch = steps_per_epoch;
  d.batch = c.batch_size;
  d.micro_batch = c.micro_batch;
  d.optimizer = c.optimizer;
  d.lr = c.lr;
  d.warmup_start_lr = c.warmup_start_lr;
  d.final_lr = c.final_lr;
  d.warmup_steps = steps(c.warmup_epochs_lr);
  d.weight_decay = c.base_weight_decay;
  d.final_weight_decay = c.final_weight_decay;
  d.clip = c.clip_grad;
  d.teacher_momentum = c.base_teacher_momentum;
  d.final_teacher_momentum = c.final_teacher_momentum;
  d.freeze_last_layer_steps = steps(c.freeze_last_layer);
  d.student_temp = c.student_temp;
  d.warmup_teacher_temp = c.warmup_teacher_temp;
  d.teacher_temp = c.final_teacher_temp;
  d.warmup_teacher_steps = steps(c.warmup_teacher_epochs);
  d.teacher_temp_per_step = c.teacher_schedule_per_step;
  d.center_momentum = c.center_momentum;
  d.seed = static_cast<dino::u64>(c.common.seed);
  return d;
}

}  // namespace programs
