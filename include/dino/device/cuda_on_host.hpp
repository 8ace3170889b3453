// Context<Cuda> without CUDA: kernels run on the host, thread by thread, for tests, sanitizers and debuggers.
#pragma once

#include <dino/device/cpu.hpp>
#include <dino/device/simt.hpp>

#if DINO_CUDA != 2
#  error "dino/device/cuda_on_host.hpp needs DINO_CUDA == 2 in the whole program"
#endif

#include <cstring>
#include <map>
#include <thread>
#include <type_traits>

namespace dino::inline DINO_ABI {

/// Device memory that is host memory: each block exactly as large as asked for, so that ASan sees a step beyond it, and
/// filled with 0xFF, not a number.
template <> class Pool<Cuda> {
 public:
  static constexpr size_t alignment = 256;

  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void* allocate(size_t bytes) {
    void* at = nullptr;
    require(posix_memalign(&at, alignment, bytes > 0 ? bytes : 1) == 0, ErrorKind::resources,
            "out of memory: a block of {} bytes", bytes);
    std::memset(at, 0xff, bytes);
    sizes_[at] = bytes;
    live_ += bytes;
    peak_ = std::max(peak_, live_);
    return at;
  }
  void release(void* at) {
    const auto block = sizes_.find(at);
    require(block != sizes_.end(), "pool: release of a block that is not in use");
    live_ -= block->second;
    sizes_.erase(block);
    std::free(at);
  }

  i64 live_bytes() const { return static_cast<i64>(live_); }
  i64 peak_bytes() const { return static_cast<i64>(peak_); }
  i64 reserved_bytes() const { return live_bytes(); }
  void reset_peak() { peak_ = live_; }

 private:
  std::map<void*, size_t> sizes_;
  size_t live_ = 0, peak_ = 0;
};

/// The members that device/cuda.hpp has, with host memory for device memory. launch() returns when the kernel is done.
/// schedule and seed of machine() say in which order threads and blocks run; a right kernel gives equal bits in all,
/// and for any number of workers.
template <> class Context<Cuda> {
 public:
  explicit Context(int /*device*/ = 0) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Pool<Cuda>& pool() { return pool_; }
  simt::Machine& machine() { return *machines_.front(); }
  /// How many threads of the host share the blocks of a launch.
  void set_workers(i64 workers) {
    require(workers >= 1, "simt: {} workers", workers);
    while (static_cast<i64>(machines_.size()) < workers) machines_.push_back(std::make_unique<simt::Machine>());
    machines_.resize(static_cast<size_t>(workers));
  }
  Context<Cpu>& host() { return host_; }  // computes what libraries do on a device
  /// Ten times major plus minor: kernels for 90 are not run here.
  int capability() const { return 80; }

  template <class Args>
  void launch(void (*kernel)(Args), const LaunchConfig& config, const std::type_identity_t<Args>& args) {
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= 4096, "arguments are copied to the device");
    if (config.grid.count() == 0) return;
    detail::check_launch<Args>(config);
    if (machines_.size() == 1) {
      machine().run(kernel, config, args);
      return;
    }
    std::vector<std::exception_ptr> errors(machines_.size());
    for (const auto& other : machines_) {
      other->schedule = machine().schedule;
      other->seed = machine().seed;
    }
    const auto work = [&](size_t worker) {
      try {
        machines_[worker]->run(kernel, config, args, {worker, machines_.size()});
      } catch (...) {
        errors[worker] = std::current_exception();
      }
    };
    std::vector<std::thread> threads;  // of this launch alone: those of a ThreadPool flush denormals, a device does not
    for (size_t worker = 1; worker < machines_.size(); ++worker) threads.emplace_back(work, worker);
    work(0);
    for (auto& thread : threads) thread.join();
    for (const auto& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

  void upload(void* to, const void* from, size_t bytes) { copy(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) { copy(to, from, bytes); }
  void copy(void* to, const void* from, size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void synchronize() {}

 private:
  static std::vector<std::unique_ptr<simt::Machine>> one_machine() {
    std::vector<std::unique_ptr<simt::Machine>> list;
    list.push_back(std::make_unique<simt::Machine>());
    return list;
  }

  Pool<Cuda> pool_;
  Context<Cpu> host_{1};
  std::vector<std::unique_ptr<simt::Machine>> machines_ = one_machine();
};

}  // namespace dino::inline DINO_ABI
