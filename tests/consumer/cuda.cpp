// Prints the softmax of a row of equal numbers, from the GPU; says so where there is none.
#include <dino/kernels/softmax.hpp>
#include <dino/tensor/create.hpp>

#include <iostream>

using namespace dino;

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::cout << "no device: linked, not run\n";
    return 0;
  }
  Context<Cuda> ctx;
  const auto x = tensor<float>(ctx, {4}, {2, 2, 2, 2});
  launch(ctx, kernels::SoftmaxForward<float>{.y = x.data(), .x = x.data(), .rows = 1, .cols = 4, .temperature = 1});
  float y = 0;
  ctx.download(&y, x.data(), sizeof(y));
  std::cout << "softmax: " << y << '\n';
}
