// Which device a program computes on: the word of the user, and why.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>
#include <dino/device/cpu.hpp>

#if DINO_CUDA
#  include <dino/device/cuda_context.hpp>
#endif

#include <cstdlib>
#include <string>

namespace dino::inline DINO_ABI {

struct DeviceChoice {
  bool cuda = false;
  int index = 0;    // of the CUDA device
  std::string why;  // one line for people: "cuda:0, NVIDIA H100", "cpu: this build has no CUDA"
};

/// What this build and machine have of CUDA.
struct CudaDevices {
  int count = 0;
  bool choose_by_itself = false;  // "auto" takes the first one
  std::string missing;            // why there is none
};

inline CudaDevices cuda_devices() {
#if DINO_CUDA == 1
  CudaDevices found;
  const cudaError_t code = cudaGetDeviceCount(&found.count);
  if (code != cudaSuccess) {
    found.count = 0;
    found.missing = str("no CUDA device: {}", cudaGetErrorString(code));
  } else if (found.count == 0) {
    found.missing = "no CUDA device";
  }
  found.choose_by_itself = found.count > 0;
  return found;
#elif DINO_CUDA == 2
  return {1, false, "CUDA kernels run on the host here, for tests: ask for them with cuda"};
#else
  return {0, false, "this build has no CUDA (configure with -DDINO_CUDA=ON)"};
#endif
}

inline std::string cuda_device_name([[maybe_unused]] int index) {
#if DINO_CUDA == 1
  cudaDeviceProp properties{};
  detail::check_cuda(cudaGetDeviceProperties(&properties, index), str("cuda device {}", index));
  return str("{}, {} GiB, sm_{}{}", properties.name, properties.totalGlobalMem >> 30, properties.major,
             properties.minor);
#else
  return "CUDA kernels on the host";
#endif
}

/// word: "auto", "cpu", "cuda" or "cuda:N". auto takes a CUDA device where there is one. Throws Error{resources} when
/// the device that is asked for is not there.
inline DeviceChoice choose_device(const std::string& word) {
  if (word == "cpu") return {false, 0, "cpu"};
  const auto found = cuda_devices();
  if (word == "auto" && !found.choose_by_itself) return {false, 0, "cpu: " + found.missing};
  const int index = word.starts_with("cuda:") ? std::atoi(word.c_str() + 5) : 0;
  require(found.count > 0, ErrorKind::resources, "device = {}: {}. Use --device cpu, or auto", word, found.missing);
  require(index < found.count, ErrorKind::resources, "device = {}: there are {} CUDA devices, the first is cuda:0",
          word, found.count);
  return {true, index, str("cuda:{}, {}", index, cuda_device_name(index))};
}

}  // namespace dino::inline DINO_ABI
