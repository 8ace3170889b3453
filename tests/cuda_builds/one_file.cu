// Build B: one file, all of it compiled by nvcc, kernels for CPU and CUDA included.
#include <dino/ops/layernorm.hpp>
#include <dino/ops/linear.hpp>
#include <dino/tensor/create.hpp>

#include <cstdio>

using namespace dino;

namespace {

template <class D> std::vector<float> layer(Context<D>& ctx) {
  const auto x = randn<float>(ctx, {5, 12}, RngKey(1, 1)), w = randn<float>(ctx, {12, 12}, RngKey(1, 2));
  const auto gamma = randn<float>(ctx, {12}, RngKey(1, 3)), beta = randn<float>(ctx, {12}, RngKey(1, 4));
  return to_vector(layernorm(linear(x, w), gamma, beta, 1e-6));
}

}  // namespace

int main() {
  HostContext host(1);
  const auto expected = layer(host);
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("no device: compiled and linked, not run\n");
    return 77;
  }
  Context<Cuda> ctx;
  const auto result = layer(ctx);
  for (size_t i = 0; i < expected.size(); ++i) {
    const float difference = result[i] - expected[i];
    if (!(difference < 1e-4f && difference > -1e-4f)) return 1;
  }
  return 0;
}
