// Runs CUDA kernels on the host: each CUDA thread is a fiber, each barrier and warp collective a rendezvous.
#pragma once

#include <dino/device/fiber.hpp>
#include <dino/device/launch.hpp>
#include <dino/device/simt_memory.hpp>

#include <exception>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI::simt {

struct Index3 {
  u32 x, y, z;
};
inline constinit thread_local Index3 threadIdx{}, blockIdx{}, blockDim{}, gridDim{};

/// The order in which threads of a block, and blocks, go on when several could. A right kernel gives equal bits in all.
enum class Schedule { forward, reverse, random };

/// The blocks of a launch that one of several machines runs: every `of`-th in the order of the schedule.
struct Share {
  size_t worker = 0, of = 1;
};

/// Executes one block after another on the calling thread. Threads of a block run one at a time, each until it must
/// wait for others; then the next one in the order of the schedule goes on.
///
/// A collective is complete when every lane of its mask is at the same operation, mask and place, a barrier when every
/// thread of the block is. CUDA is laxer; the project's kernels are not. Errors are exceptions that name kernel, block
/// and thread; after one the machine is as new.
class Machine {
 public:
  Schedule schedule = Schedule::forward;
  u64 seed = 1;

  /// The machine that runs on this thread; throws outside a kernel.
  static Machine& current() {
    require(running() != nullptr, "simt: a word of kernels is used outside a kernel");
    return *running();
  }

  template <class Args>
  void run(void (*kernel)(Args), const LaunchConfig& config, const Args& args, Share share = {}) {
    const auto call = [&] { kernel(args); };
    using Call = decltype(call);
    run([](const void* f) { (*static_cast<const Call*>(f))(); }, &call, config, detail::type_name<Args>(),
        share);
  }

  // What the words of kernels are made of.

  /// Waits until every lane of `mask` has called with the same operation, mask and place; the last one calls
  /// complete(slots, mask), where slots[i] is what lane i handed over. `slot` stays the caller's.
  void collective(const char* operation, u32 mask, Site where, void* slot, void (*complete)(void* const*, u32)) {
    const Unseen unseen;
    Thread& me = threads_[static_cast<size_t>(current_)];
    const u32 bit = u32{1} << (current_ % 32);
    if ((mask & bit) == 0) [[unlikely]] {
      check(false, where, "calling lane {} is missing from mask {}", current_ % 32, hex(mask));
    }
    me.wait = {operation, mask, where, slot, 0};
    auto& groups = meeting_[static_cast<size_t>(current_ / 32)];
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Meeting& m) { return m.wait.same(me.wait); });
    if (group == groups.end()) group = groups.insert(group, {me.wait, 0});
    group->arrived |= bit;
    if (group->arrived != mask) {
      wait(warp_tag(current_ / 32));
      return;
    }
    groups.erase(group);
    const auto base = static_cast<size_t>(current_ / 32 * 32);
    void* slots[32] = {};
    for (size_t lane = 0; lane < 32; ++lane) {
      if ((mask >> lane) & 1u) slots[lane] = threads_[base + lane].wait.slot;
    }
    tsan_meet(warp_tag(current_ / 32));
    complete(slots, mask);
    for (size_t lane = 0; lane < 32; ++lane) {
      if (((mask >> lane) & 1u) != 0 && base + lane != static_cast<size_t>(current_)) release(base + lane);
    }
  }

  void block_barrier(Site where) {
    const Unseen unseen;
    Thread& me = threads_[static_cast<size_t>(current_)];
    const i64 number = ++me.barriers;
    me.wait = {"sync_block", 0, where, nullptr, number};
    if (arrived_ == 0) barrier_ = where;
    check(barrier_ == where, where, "one block barrier reached from two places: {} and {}", barrier_, where);
    void* const tag = block_tag(number);
    if (++arrived_ < static_cast<i64>(threads_.size())) {
      wait(tag);
      return;
    }
    tsan_meet(tag);
    arrived_ = 0;
    shuffle_order();
    for (size_t t = 0; t < threads_.size(); ++t) {
      if (t != static_cast<size_t>(current_)) release(t);
    }
  }

  /// The shared variable of this place in the program, made at its first use in a block.
  void* shared(const void* key, size_t bytes, size_t align, const char* name, Site where) {
    const Unseen unseen;
    return arena_.find(key, bytes, align, name, where);
  }
  void* dynamic_shared(Site where) {
    check(config_.shared_bytes > 0, where, "dynamic shared memory is used, the launch asked for none");
    return shared(this, static_cast<size_t>(config_.shared_bytes), 16, "dynamic shared memory", where);
  }
  int lane() const { return static_cast<int>(current_ % 32); }
  bool is_shared(const void* at) const { return arena_.holds(at); }

  std::vector<AsyncCopy>& copies() { return threads_[static_cast<size_t>(current_)].copies; }

  /// Stops the kernel with a message unless `good`.
  template <class... A> void check(bool good, Site where, const char* pattern, const A&... a) {
    if (!good) [[unlikely]]
      fail(ErrorKind::internal, "{} at {}", str(pattern, a...), where);
  }

 private:
  enum class State : u8 { unstarted, ready, waiting, left };
  struct Wait {
    const char* operation = "";
    u32 mask = 0;
    Site where{};
    void* slot = nullptr;
    i64 number = 0;  // of the barrier

    bool same(const Wait& other) const {
      return mask == other.mask && where == other.where && number == other.number &&
             (operation == other.operation || std::strcmp(operation, other.operation) == 0);
    }
  };
  struct Meeting {  // of lanes of a warp at one place
    Wait wait;
    u32 arrived;
  };
  struct Thread {
    State state = State::unstarted;
    Fiber* fiber = nullptr;  // its stack, while it waits
    Wait wait{};
    i64 barriers = 0;
    std::vector<AsyncCopy> copies{};
  };

  static Machine*& running() {
    static constinit thread_local Machine* machine = nullptr;
    return machine;
  }

  void run(void (*call)(const void*), const void* function, const LaunchConfig& config, const std::string& name,
           Share share) {
    require(running() == nullptr, "{}: a kernel launches a kernel", name);
    const Unseen unseen;
    running() = this;
    call_ = call;
    function_ = function;
    config_ = config;
    const auto extent = [](const Extent3& e) {
      return Index3{static_cast<u32>(e.x), static_cast<u32>(e.y), static_cast<u32>(e.z)};
    };
    blockDim = extent(config.block);
    gridDim = extent(config.grid);
    random_ = seed;
    try {
      const auto order = block_order();
      for (size_t i = share.worker; i < order.size(); i += share.of) {
        const i64 block = order[i];
        blockIdx = {static_cast<u32>(block % config.grid.x), static_cast<u32>(block / config.grid.x % config.grid.y),
                    static_cast<u32>(block / config.grid.x / config.grid.y)};
        run_block(name);
      }
    } catch (...) {
      drop();
      running() = nullptr;
      throw;
    }
    tsan_join();
    running() = nullptr;
  }

  std::vector<i64> block_order() {
    std::vector<i64> order(static_cast<size_t>(config_.grid.count()));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<i64>(i);
    if (schedule == Schedule::reverse) std::reverse(order.begin(), order.end());
    if (schedule == Schedule::random) shuffle(order);
    return order;
  }

  void run_block(const std::string& name) {
    const auto count = static_cast<size_t>(config_.block.count());
    threads_.resize(count);
    for (auto& thread : threads_) thread = {};
    order_.resize(count);
    place_.resize(count);
    arrived_ = 0;
    meeting_.resize(count / 32);
    for (auto& groups : meeting_) groups.clear();
    arena_.begin_block();
    shuffle_order();
    const auto where = [&] {
      return str("{}: block ({},{},{}), thread {}", name, blockIdx.x, blockIdx.y, blockIdx.z, current_);
    };
    while (const auto next = next_ready()) {
      enter(*next);
      Thread& thread = threads_[*next];
      Fiber* fiber = thread.fiber;
      if (!fiber) {
        fiber = take_fiber();
        fiber->start([](void* self) { static_cast<Machine*>(self)->fiber_loop(); }, this);
      }
      on_ = fiber;
      fiber->resume();
      if (error_) {
        try {
          std::rethrow_exception(std::exchange(error_, nullptr));
        } catch (const Error& e) {
          fail(e.kind(), "{}: {}", where(), e.what());
        }
      }
      if (threads_[static_cast<size_t>(current_)].state == State::left) idle_.push_back(on_);
    }
    for (const auto& thread : threads_) {
      if (thread.state != State::left) fail(ErrorKind::internal, "{}: {}", where(), deadlock());
    }
    if (const auto fault = arena_.end_block(); !fault.empty()) fail(ErrorKind::internal, "{}: {}", where(), fault);
  }

  void enter(size_t thread) {
    current_ = static_cast<i64>(thread);
    const auto& b = config_.block;
    threadIdx = {static_cast<u32>(current_ % b.x), static_cast<u32>(current_ / b.x % b.y),
                 static_cast<u32>(current_ / b.x / b.y)};
  }

  /// What a fiber does: one thread after another, in place as long as the next one has not begun.
  void fiber_loop() {
    for (;;) {
      try {
        call_(function_);
        check_copies();
      } catch (...) {
        error_ = std::current_exception();  // not thrown on here: a handler must not be left by a switch
      }
      if (Fiber* const fiber = leave()) fiber->suspend();
    }
  }
  void check_copies() {
    const Unseen unseen;
    check(copies().empty(), {"", 0}, "thread leaves with cp.async pending");
  }
  /// Ends the current thread. The fiber that is to be suspended, or null if it goes on with another thread.
  Fiber* leave() {
    const Unseen unseen;
    threads_[static_cast<size_t>(current_)].state = State::left;
    threads_[static_cast<size_t>(current_)].fiber = nullptr;
    tsan_leave();
    if (!error_ && !DINO_FIBER_TSAN) {
      const auto next = next_ready();
      if (next && threads_[*next].state == State::unstarted) {
        enter(*next);
        return nullptr;
      }
    }
    return on_;
  }

  void wait([[maybe_unused]] void* tag) {
    Thread& me = threads_[static_cast<size_t>(current_)];
    me.state = State::waiting;
    me.fiber = on_;
#if DINO_FIBER_TSAN
    __tsan_release(tag);
#endif
    on_->suspend();
#if DINO_FIBER_TSAN
    __tsan_acquire(tag);
#endif
  }
  void release(size_t thread) {
    threads_[thread].state = State::ready;
    first_ = std::min(first_, place_[thread]);
  }

  /// The first thread of the order that can go on.
  std::optional<size_t> next_ready() {
    for (; first_ < order_.size(); ++first_) {
      const State state = threads_[order_[first_]].state;
      if (state == State::unstarted || state == State::ready) return order_[first_];
    }
    return std::nullopt;
  }

  /// Draws the order anew. Whole warps are shuffled, and lanes inside a warp: over single threads, faults between warps
  /// hardly ever show.
  void shuffle_order() {
    const size_t count = order_.size();
    for (size_t i = 0; i < count; ++i) order_[i] = schedule == Schedule::reverse ? count - 1 - i : i;
    if (schedule == Schedule::random) {
      std::vector<size_t> warps(count / 32);
      for (size_t i = 0; i < warps.size(); ++i) warps[i] = i;
      shuffle(warps);
      std::vector<size_t> lanes(32);
      for (size_t w = 0; w < warps.size(); ++w) {
        for (size_t i = 0; i < 32; ++i) lanes[i] = i;
        shuffle(lanes);
        for (size_t i = 0; i < 32; ++i) order_[w * 32 + i] = warps[w] * 32 + lanes[i];
      }
    }
    for (size_t i = 0; i < count; ++i) place_[order_[i]] = i;
    first_ = 0;
  }
  template <class T> void shuffle(std::vector<T>& list) {
    for (size_t i = list.size(); i > 1; --i) {
      random_ = mix(random_, i);
      std::swap(list[i - 1], list[random_ % i]);
    }
  }

  Fiber* take_fiber() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(static_cast<i64>(fibers_.size())));
      return fibers_.back().get();
    }
    Fiber* const fiber = idle_.back();
    idle_.pop_back();
    return fiber;
  }
  /// After an error: forgets every stack that something still waits on.
  void drop() {
    idle_.clear();
    for (const auto& fiber : fibers_) idle_.push_back(fiber.get());
    arena_.drop();
    error_ = nullptr;
  }

  /// Who waits for what, in the words of the report.
  std::string deadlock() const {
    std::vector<std::pair<std::string, std::vector<size_t>>> groups;
    for (size_t t = 0; t < threads_.size(); ++t) {
      const auto& w = threads_[t].wait;
      std::string doing = "left the kernel";
      if (threads_[t].state == State::waiting) {
        doing = w.number > 0 ? str("wait at {} number {}, {}", w.operation, w.number, w.where)
                             : str("wait at {} mask {}, {}", w.operation, hex(w.mask), w.where);
      }
      auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == doing; });
      if (group == groups.end()) group = groups.insert(group, {doing, {}});
      group->second.push_back(t);
    }
    std::string text = "deadlock: no thread can go on";
    for (const auto& [doing, list] : groups) text += str("\n  threads {}: {}", thread_ranges(list), doing);
    return text;
  }
  // TSan sees an order between threads only where the model of CUDA has one: these tags. They lie in the arena, which
  // is new for each block, so that blocks stay unordered.
  void* warp_tag(i64 warp) { return arena_.tag(2 + static_cast<size_t>(warp)); }
  void* block_tag(i64 number) { return arena_.tag(static_cast<size_t>(number % 2)); }
#if DINO_FIBER_TSAN
  void tsan_meet(void* tag) {
    __tsan_release(tag);
    __tsan_acquire(tag);
  }
  void tsan_leave() { __tsan_release(&left_tag_); }
  void tsan_join() { __tsan_acquire(&left_tag_); }
#else
  void tsan_meet(void*) {}
  void tsan_leave() {}
  void tsan_join() {}
#endif

  void (*call_)(const void*) = nullptr;
  const void* function_ = nullptr;
  LaunchConfig config_;
  std::vector<Thread> threads_;
  std::vector<std::vector<Meeting>> meeting_;  // of each warp
  std::vector<size_t> order_, place_;          // thread at a place of the order, and place of a thread
  size_t first_ = 0;                           // no thread before this place can go on
  i64 current_ = 0, arrived_ = 0;
  Site barrier_{};
  u64 random_ = 1;
  Arena arena_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Fiber* on_ = nullptr;
  std::exception_ptr error_;
  char left_tag_ = 0;
};

}  // namespace dino::inline DINO_ABI::simt
