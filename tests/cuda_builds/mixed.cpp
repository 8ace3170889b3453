// Build D: the rest of the program, compiled by g++ with the same definitions.
#include "mixed.hpp"

#include <cstdio>

int main() {
  if (sizes<dino::Cuda>() != sizes_of_nvcc()) {
    std::fprintf(stderr, "g++ and nvcc see types of different sizes\n");
    return 1;
  }
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("sizes are equal; no device: compiled and linked, not run\n");
    return 77;
  }
  return run_on_device() == 0.0f ? 0 : 1;
}
