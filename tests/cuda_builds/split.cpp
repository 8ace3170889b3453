// Build C: the program by g++, the kernels by nvcc in a library. A training step links and, where a device is, runs.
#include <dino/ssl/trainer.hpp>

#include <cmath>
#include <cstdio>

using namespace dino;

int main() {
  int devices = 0;
  const bool none = cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0;
  if (none) {
    std::printf("no device: linked, not run\n");
    return 77;
  }
  Context<Cuda> ctx;
  DinoConfig config;
  config.backbone = {.image_size = 32, .patch_size = 4, .dim = 64, .depth = 2, .heads = 2};
  config.head = {.outputs = 128, .hidden = 64, .bottleneck = 32};
  config.batch = config.micro_batch = 2;
  DinoTrainer<bf16, Cuda> trainer(ctx, config, {{2, 32, 32}, {2, 16, 16}});
  Batch batch;
  batch.images = 2;
  batch.groups = {std::vector<float>(2 * 2 * 3 * 32 * 32, 0.5f), std::vector<float>(2 * 2 * 3 * 16 * 16, 0.25f)};
  return std::isfinite(trainer.step(batch).loss) ? 0 : 1;
}
