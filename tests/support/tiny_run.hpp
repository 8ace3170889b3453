// A training run small enough for tests: 8-pixel crops, two blocks, 32 outputs.
#pragma once

#include <dino/ssl/trainer.hpp>

#include "support/golden.hpp"

namespace tiny_run {

using namespace dino;
using Host = HostDevice;
template <class T> using Trainer = DinoTrainer<T, Host>;

inline const std::vector<CropGroup> groups{{2, 8, 8}, {3, 4, 4}};

inline DinoConfig config(i64 batch = 6) {
  DinoConfig c;
  c.backbone = {.image_size = 8, .patch_size = 4, .dim = 16, .depth = 2, .heads = 2};
  c.head = {.outputs = 32, .hidden = 24, .bottleneck = 8};
  c.drop_path = 0.3;
  c.total_steps = 60;
  c.steps_per_epoch = 10;
  c.batch = c.micro_batch = batch;
  c.lr = 1e-3;
  c.teacher_momentum = 0.9;
  c.seed = 3;
  return c;
}

/// Random pixels; another number, another batch.
inline Batch batch(u64 number, i64 images = 6) {
  Batch b;
  b.images = images;
  for (size_t g = 0; g < groups.size(); ++g) {
    const RngKey key(100 + number, g);
    std::vector<float> pixels(static_cast<size_t>(groups[g].crops * images * 3 * groups[g].height * groups[g].width));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(normal(key, static_cast<i64>(i)));
    b.groups.push_back(std::move(pixels));
  }
  return b;
}

/// All that training changes, as one list of numbers.
template <class T> std::vector<acc_t<T>> everything(Trainer<T>& trainer) {
  std::vector<acc_t<T>> all;
  const auto append = [&](const auto& tensor) {
    for (const auto x : to_vector(tensor)) all.push_back(static_cast<acc_t<T>>(x));
  };
  append(trainer.student_params().values());
  append(trainer.teacher_params().values());
  append(trainer.objective().center());
  for (const auto& [name, state] : trainer.optimizer().state()) append(state);
  for (const auto& segment : trainer.student_params().segments()) all.push_back(static_cast<acc_t<T>>(segment.steps));
  for (const auto* store : {&trainer.student_params(), &trainer.teacher_params()}) {
    for (const auto& buffer : store->buffers()) append(buffer.tensor);
  }
  return all;
}

}  // namespace tiny_run
