// A CUDA device: a stream, and the one way to launch kernels on it.
#pragma once

#include <dino/base/log.hpp>
#include <dino/base/types.hpp>
#include <dino/device/device.hpp>
#include <dino/device/launch.hpp>
#include <dino/device/pool.hpp>

#if DINO_CUDA != 1
#  error "dino/device/cuda.hpp needs DINO_CUDA == 1 in the whole program: link the CMake target dino::cuda"
#endif

#include <cuda_runtime_api.h>  // the C interface: g++ compiles this file as well as nvcc does

#include <cstring>
#include <type_traits>

namespace dino::inline DINO_ABI {

namespace detail {

inline void check_cuda(cudaError_t code, std::string_view call) {
  if (code != cudaSuccess) [[unlikely]] {
    fail(ErrorKind::resources, "{}: {} ({})", call, cudaGetErrorString(code), cudaGetErrorName(code));
  }
}

}  // namespace detail

namespace detail {

struct DeviceSlabs {
  static constexpr size_t alignment = 256;
  static constexpr size_t slab_bytes = size_t{256} << 20;
  static constexpr size_t page = size_t{2} << 20;
  static constexpr size_t red_zone = 0;

  static void* take(size_t bytes) {
    void* slab = nullptr;
    return cudaMalloc(&slab, bytes) == cudaSuccess ? slab : nullptr;
  }
  static void give_back(void* slab) {
    if (cudaFree(slab) != cudaSuccess) log_warning("cudaFree failed: an earlier kernel may be the cause");
  }
  static void poison(void*, size_t) {}
  static void unpoison(void*, size_t) {}
};

/// Two page-locked buffers through which host values travel: the host fills one while the device reads the other, and
/// the caller's memory is free as soon as it has been copied.
class Staging {
 public:
  static constexpr size_t bytes = size_t{4} << 20;

  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    for (auto& half : halves_) {
      if (half.data && cudaFreeHost(half.data) != cudaSuccess) log_warning("cudaFreeHost failed");
      if (half.sent && cudaEventDestroy(half.sent) != cudaSuccess) log_warning("cudaEventDestroy failed");
    }
  }

  /// Queues the copy of n bytes to the device; waits only for a half that is still on its way.
  void send(void* to, const void* from, size_t n, cudaStream_t stream) {
    for (size_t done = 0; done < n; done += bytes) {
      auto& half = halves_[next_];
      next_ = 1 - next_;
      if (!half.data) {
        check_cuda(cudaHostAlloc(&half.data, bytes, cudaHostAllocDefault), "page-locked memory for copies");
        check_cuda(cudaEventCreateWithFlags(&half.sent, cudaEventDisableTiming), "cudaEventCreate");
      } else {
        check_cuda(cudaEventSynchronize(half.sent), "copy to the device");
      }
      const size_t part = n - done < bytes ? n - done : bytes;
      std::memcpy(half.data, static_cast<const std::byte*>(from) + done, part);
      check_cuda(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, half.data, part, cudaMemcpyHostToDevice, stream),
                 "copy to the device");
      check_cuda(cudaEventRecord(half.sent, stream), "cudaEventRecord");
    }
  }

 private:
  struct Half {
    void* data = nullptr;
    cudaEvent_t sent = nullptr;
  };
  Half halves_[2];
  size_t next_ = 0;
};

}  // namespace detail

/// Device memory, ordered by the stream of its context: a freed block is given out at once, since whatever used it runs
/// before whatever will.
template <> class Pool<Cuda> : public CachingPool<detail::DeviceSlabs> {};

template <> class Context<Cuda> {
 public:
  /// Takes the device for this thread and makes a stream on it. Throws if there is no such device.
  explicit Context(int device = 0) {
    detail::check_cuda(cudaSetDevice(device), str("cuda device {}", device));
    detail::check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    detail::check_cuda(cudaDeviceGetAttribute(&major_, cudaDevAttrComputeCapabilityMajor, device), "capability");
    detail::check_cuda(cudaDeviceGetAttribute(&minor_, cudaDevAttrComputeCapabilityMinor, device), "capability");
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    blas_.reset();
    const cudaError_t code = cudaStreamDestroy(stream_);
    if (code != cudaSuccess) log_warning("cudaStreamDestroy: {}", cudaGetErrorString(code));
  }

  cudaStream_t stream() const { return stream_; }
  Pool<Cuda>& pool() { return pool_; }
  /// Where kernels/cuda/gemm.hpp keeps the handle of its library: contexts do not know libraries.
  std::shared_ptr<void>& blas_slot() { return blas_; }
  /// Ten times major plus minor: 80 for sm_80.
  int capability() const { return 10 * major_ + minor_; }

  /// Copies from the host, in order with the kernels; `from` may change as soon as this returns.
  void upload(void* to, const void* from, size_t bytes) { staging_.send(to, from, bytes, stream_); }
  /// Copies to the host and waits for it.
  void download(void* to, const void* from, size_t bytes) {
    if (bytes == 0) return;
    detail::check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copy from the device");
    synchronize();
  }
  void copy(void* to, const void* from, size_t bytes) {
    if (bytes == 0) return;
    detail::check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copy on the device");
  }
  /// Waits for all work; an error of a kernel is thrown here at the latest.
  void synchronize() { detail::check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

  /// Queues kernel<<<grid, block, shared_bytes, stream>>>(args); an empty grid is no work. Does not wait.
  /// Throws on sizes that no device takes and on every error of the driver. The message names Args, and so the kernel.
  template <class Args>
  void launch(void (*kernel)(Args), const LaunchConfig& config, const std::type_identity_t<Args>& args) {
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= 4096, "arguments are copied to the device");
    const auto& [grid, block, shared_bytes] = config;
    if (grid.x * grid.y * grid.z == 0) return;
    detail::check_launch<Args>(config);
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
  int major_ = 0, minor_ = 0;
  detail::Staging staging_;
  Pool<Cuda> pool_;
  std::shared_ptr<void> blas_;  // goes before the pool that its workspace is from
};

}  // namespace dino::inline DINO_ABI
