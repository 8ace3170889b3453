// Caching memory pool: best fit over large slabs, with splitting and coalescing.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>
#include <dino/device/device.hpp>

#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#if defined(__linux__)
#  include <sys/mman.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#  define DINO_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define DINO_ADDRESS_SANITIZER 1
#  endif
#endif
#if defined(DINO_ADDRESS_SANITIZER)
#  include <sanitizer/asan_interface.h>
#endif

namespace dino::inline DINO_ABI {

template <class D> class Pool;

/// Slabs of host memory, in huge pages where the system has them. Under the address sanitizer, free memory is poisoned
/// and every block is followed by a red zone.
struct HostSlabs {
  static constexpr size_t alignment = 64;
  static constexpr size_t slab_bytes = size_t{32} << 20;
  static constexpr size_t page = size_t{2} << 20;

  /// Null when the system has no more.
  static void* take(size_t bytes) {
    void* const data = std::aligned_alloc(page, bytes);
#if defined(__linux__)
    if (data) madvise(data, bytes, MADV_HUGEPAGE);  // advice only: a refusal costs speed, not correctness
#endif
    return data;
  }
  static void give_back(void* slab) { std::free(slab); }

#if defined(DINO_ADDRESS_SANITIZER)
  static constexpr size_t red_zone = alignment;
  static void poison(void* at, size_t bytes) { __asan_poison_memory_region(at, bytes); }
  static void unpoison(void* at, size_t bytes) { __asan_unpoison_memory_region(at, bytes); }
#else
  static constexpr size_t red_zone = 0;
  static void poison(void*, size_t) {}
  static void unpoison(void*, size_t) {}
#endif
};

/// Memory for tensors. Freed blocks are kept and reused at once, so that a step after the first asks the system for
/// nothing: a fresh large buffer costs more in page faults than the arithmetic that fills it. Blocks are aligned as
/// Slabs says.
template <class Slabs> class CachingPool {
 public:
  static constexpr size_t alignment = Slabs::alignment;

  CachingPool() = default;
  CachingPool(const CachingPool&) = delete;
  CachingPool& operator=(const CachingPool&) = delete;
  ~CachingPool() {
    for (const auto& slab : slabs_) {
      Slabs::unpoison(slab.data, slab.bytes);
      Slabs::give_back(slab.data);
    }
  }

  /// Uninitialised memory of at least `bytes`; throws Error(resources) when the system has no more.
  void* allocate(size_t bytes) {
    constexpr size_t no_machine_has = size_t{1} << 60;  // and below it no sum overflows
    require(bytes < no_machine_has, ErrorKind::resources, "out of memory: a block of {} bytes", bytes);
    const std::lock_guard lock(mutex_);
    const size_t want = round_up(bytes + Slabs::red_zone, alignment);
    auto best = free_.lower_bound({want, nullptr});
    if (best == free_.end()) best = free_.insert(new_slab(want)).first;
    std::byte* at = best->second;
    const size_t have = best->first;
    free_.erase(best);
    if (have > want) {
      free_.insert({have - want, at + want});
      free_at_[at + want] = have - want;
    }
    free_at_.erase(at);
    used_[at] = want;
    live_ += want;
    peak_ = live_ > peak_ ? live_ : peak_;
    Slabs::unpoison(at, bytes);
    return at;
  }

  void release(void* pointer) {
    const std::lock_guard lock(mutex_);
    auto* at = static_cast<std::byte*>(pointer);
    const auto block = used_.find(at);
    require(block != used_.end(), "pool: release of a block that is not in use");
    size_t size = block->second;
    used_.erase(block);
    live_ -= size;
    Slabs::poison(at, size);
    auto next = free_at_.lower_bound(at);
    if (next != free_at_.end() && next->first == at + size && !starts_slab(next->first)) {
      size += next->second;
      free_.erase({next->second, next->first});
      next = free_at_.erase(next);
    }
    if (next != free_at_.begin() && !starts_slab(at)) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second == at) {
        at = previous->first;
        size += previous->second;
        free_.erase({previous->second, previous->first});
        free_at_.erase(previous);
      }
    }
    free_.insert({size, at});
    free_at_[at] = size;
  }

  i64 live_bytes() const { return static_cast<i64>(live_); }
  i64 peak_bytes() const { return static_cast<i64>(peak_); }
  i64 reserved_bytes() const {
    size_t sum = 0;
    for (const auto& slab : slabs_) sum += slab.bytes;
    return static_cast<i64>(sum);
  }
  void reset_peak() { peak_ = live_; }

 private:
  struct Slab {
    std::byte* data;
    size_t bytes;
  };

  static size_t round_up(size_t n, size_t unit) { return n == 0 ? unit : (n + unit - 1) / unit * unit; }

  std::pair<size_t, std::byte*> new_slab(size_t want) {
    const size_t bytes = round_up(want > Slabs::slab_bytes ? want : Slabs::slab_bytes, Slabs::page);
    auto* data = static_cast<std::byte*>(Slabs::take(bytes));
    require(data != nullptr, ErrorKind::resources, "out of memory: {} MB more were asked for, {} MB are in use",
            bytes >> 20, live_ >> 20);
    Slabs::poison(data, bytes);
    slabs_.push_back({data, bytes});
    slab_starts_.insert(data);
    free_at_[data] = bytes;
    return {bytes, data};
  }
  bool starts_slab(std::byte* at) const { return slab_starts_.count(at) != 0; }  // neighbours by chance never merge

  std::mutex mutex_;
  std::vector<Slab> slabs_;
  std::set<std::byte*> slab_starts_;
  std::set<std::pair<size_t, std::byte*>> free_;  // by size, for best fit
  std::map<std::byte*, size_t> free_at_, used_;   // by address, for coalescing
  size_t live_ = 0, peak_ = 0;
};

template <> class Pool<Cpu> : public CachingPool<HostSlabs> {};

}  // namespace dino::inline DINO_ABI
