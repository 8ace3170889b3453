// The CPU as a device: a pool of memory, a pool of threads, and parallel loops over them.
#pragma once

#include <dino/device/device.hpp>
#include <dino/device/pool.hpp>
#include <dino/device/threads.hpp>

#include <algorithm>
#include <cstring>

namespace dino::inline DINO_ABI {

template <> class Context<Cpu> {
 public:
  /// threads = 0: one per processor. Results are the same for any number, bit for bit.
  explicit Context(i64 threads = 0) : threads_(threads > 0 ? threads : processors()) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  ThreadPool& threads() { return threads_; }
  Pool<Cpu>& pool() { return pool_; }

  /// Copies from the caller's memory; on a device, the way into its own.
  void upload(void* to, const void* from, size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }

 private:
  static i64 processors() { return std::max<i64>(1, static_cast<i64>(std::thread::hardware_concurrency())); }

  Pool<Cpu> pool_;
  ThreadPool threads_;
};

/// Calls f(begin, end) over [0, n) cut into pieces of `grain`, the last one shorter. The pieces depend on n and grain
/// only.
template <class F> void parallel_ranges(Context<Cpu>& ctx, i64 n, i64 grain, F&& f) {
  const i64 pieces = (n + grain - 1) / grain;
  ctx.threads().run(pieces, [&](i64 piece) { f(piece * grain, std::min(n, (piece + 1) * grain)); });
}

/// Calls f(r) for every row; cost is the work of a row in elements, so that small rows share a task.
template <class F> void parallel_rows(Context<Cpu>& ctx, i64 rows, i64 cost, F&& f) {
  constexpr i64 elements_per_task = 8192;  // about 5 us of arithmetic: the price of waking a thread
  const i64 grain = std::max<i64>(1, elements_per_task / std::max<i64>(1, cost));
  parallel_ranges(ctx, rows, grain, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) f(r);
  });
}

}  // namespace dino::inline DINO_ABI
