// A CUDA device: a stream, and the one way to launch kernels on it.
#pragma once

#include <dino/base/log.hpp>
#include <dino/base/types.hpp>
#include <dino/device/device.hpp>

#if DINO_CUDA != 1
#  error "dino/device/cuda.hpp needs DINO_CUDA == 1 in the whole program: link the CMake target dino::cuda"
#endif

#include <cuda_runtime_api.h>  // the C interface: g++ compiles this file as well as nvcc does

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <type_traits>
#include <typeinfo>

namespace dino::inline DINO_ABI {

/// Blocks of a grid, or threads of a block.
struct Extent3 {
  i64 x = 1, y = 1, z = 1;

  friend std::ostream& operator<<(std::ostream& out, const Extent3& e) {
    return out << '(' << e.x << ',' << e.y << ',' << e.z << ')';
  }
};

struct LaunchConfig {
  Extent3 grid, block;
  i64 shared_bytes = 0;  // dynamic shared memory of a block
};

/// One warp for each of `count` items, `per_block` warps to a block: the kernel finds its item with global_warp().
inline LaunchConfig warps(i64 count, i64 per_block = 8) {
  return {.grid = {(count + per_block - 1) / per_block}, .block = {32 * per_block}, .shared_bytes = 0};
}

namespace detail {

template <class T> std::string type_name() {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, &status), &std::free);
  return name ? name.get() : typeid(T).name();
}

inline void check_cuda(cudaError_t code, std::string_view call) {
  if (code != cudaSuccess) [[unlikely]] {
    fail(ErrorKind::resources, "{}: {} ({})", call, cudaGetErrorString(code), cudaGetErrorName(code));
  }
}

}  // namespace detail

template <> class Context<Cuda> {
 public:
  /// Takes the device for this thread and makes a stream on it. Throws if there is no such device.
  explicit Context(int device = 0) {
    detail::check_cuda(cudaSetDevice(device), str("cuda device {}", device));
    detail::check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    const cudaError_t code = cudaStreamDestroy(stream_);
    if (code != cudaSuccess) log_warning("cudaStreamDestroy: {}", cudaGetErrorString(code));
  }

  cudaStream_t stream() const { return stream_; }

  /// Queues kernel<<<grid, block, shared_bytes, stream>>>(args); an empty grid is no work. Does not wait.
  /// Throws on sizes that no device takes and on every error of the driver. The message names Args, and so the kernel.
  template <class Args>
  void launch(void (*kernel)(Args), const LaunchConfig& config, const std::type_identity_t<Args>& args) {
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= 4096, "arguments are copied to the device");
    const auto& [grid, block, shared_bytes] = config;
    if (grid.x * grid.y * grid.z == 0) return;
    const i64 threads = block.x * block.y * block.z;
    require(threads >= 32 && threads <= 1024 && threads % 32 == 0 && block.z <= 64 && grid.x > 0 && grid.y > 0 &&
                grid.z > 0 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535,
            "{}: grid {}, block {}: a block has 32 to 1024 threads in whole warps, a grid at most "
            "(2147483647,65535,65535)",
            detail::type_name<Args>(), grid, block);

    const void* const entry = reinterpret_cast<const void*>(kernel);
    void* arguments[] = {const_cast<void*>(static_cast<const void*>(&args))};
    cudaError_t code = cudaSuccess;
    if (shared_bytes > 48 * 1024) {  // more than this a kernel must ask for
      code = cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    }
    if (code == cudaSuccess) {
      code = cudaLaunchKernel(entry, dim(grid), dim(block), arguments, static_cast<size_t>(shared_bytes), stream_);
    }
    if (code != cudaSuccess) [[unlikely]] {
      fail(ErrorKind::resources,
           "{}: grid {}, block {}, {} bytes of dynamic shared memory: {} ({}). An earlier kernel may be the cause: "
           "run with CUDA_LAUNCH_BLOCKING=1 to see which",
           detail::type_name<Args>(), grid, block, shared_bytes, cudaGetErrorString(code), cudaGetErrorName(code));
    }
  }

 private:
  static dim3 dim(const Extent3& e) {
    return {static_cast<unsigned>(e.x), static_cast<unsigned>(e.y), static_cast<unsigned>(e.z)};
  }

  cudaStream_t stream_ = nullptr;
};

}  // namespace dino::inline DINO_ABI
