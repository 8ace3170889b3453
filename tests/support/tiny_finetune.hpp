// A classifier in training that is small enough for tests: 8-pixel images of three colours, two blocks.
#pragma once

#include <dino/eval/finetune.hpp>

namespace tiny_finetune {

using namespace dino;
using Host = HostDevice;
using Trainer = FinetuneTrainer<float, Host>;

inline FinetuneSettings settings() {
  FinetuneSettings s;
  s.backbone = {.image_size = 8, .patch_size = 4, .dim = 8, .depth = 2, .heads = 2, .init_std = 0.2};
  s.classes = 3;
  s.drop_path = 0.3;
  s.total_steps = 40;
  s.batch = s.micro_batch = 6;
  s.lr = 2e-2;
  s.warmup_steps = 3;
  s.seed = 5;
  return s;
}

/// The same without anything random: what a pass computes is then a function of the weights.
inline FinetuneSettings plain() {
  auto s = settings();
  s.drop_path = 0;
  s.mix = {.mixup = 0, .cutmix = 0};
  return s;
}

/// Six images: each class has a colour of its own, under noise.
inline Batch batch(u64 number) {
  Batch b;
  b.images = 6;
  b.groups.resize(1);
  const RngKey key(11, number);
  for (i64 i = 0; i < 6; ++i) {
    b.labels.push_back((i + static_cast<i64>(number)) % 3);
    for (i64 v = 0; v < 3 * 64; ++v) {
      const float own = v / 64 == b.labels.back() ? 1.0f : 0.0f;
      b.groups[0].push_back(own + key.uniform(static_cast<u64>(i * 192 + v)) - 0.5f);
    }
  }
  return b;
}

inline std::vector<float> everything(Trainer& trainer) {
  auto all = to_vector(trainer.params().masters());
  for (const auto& [name, flat] : trainer.optimizer().state()) {
    const auto values = to_vector(flat);
    all.insert(all.end(), values.begin(), values.end());
  }
  for (const auto& s : trainer.params().segments()) all.push_back(static_cast<float>(s.steps));
  return all;
}

}  // namespace tiny_finetune
