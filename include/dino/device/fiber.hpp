// A stack of its own for a function that can stop in the middle and go on later.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

// The switch of x86-64 is our own: 8 ns, against 220 of the C library's, which serves the other machines.
#if !defined(DINO_FIBER_UCONTEXT)
#  if defined(__x86_64__)
#    define DINO_FIBER_UCONTEXT 0
#  else
#    define DINO_FIBER_UCONTEXT 1
#  endif
#endif
#if DINO_FIBER_UCONTEXT
#  include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#  define DINO_FIBER_ASAN 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define DINO_FIBER_ASAN 1
#  endif
#endif
#if defined(__SANITIZE_THREAD__)
#  define DINO_FIBER_TSAN 1
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer)
#    define DINO_FIBER_TSAN 1
#  endif
#endif
#if !defined(DINO_FIBER_ASAN)
#  define DINO_FIBER_ASAN 0
#endif
#if !defined(DINO_FIBER_TSAN)
#  define DINO_FIBER_TSAN 0
#endif
#define DINO_FIBER_UNSEEN __attribute__((no_sanitize("thread")))
#if DINO_FIBER_ASAN
#  include <sanitizer/asan_interface.h>
#  include <sanitizer/common_interface_defs.h>
#endif
#if DINO_FIBER_TSAN
#  include <sanitizer/tsan_interface.h>
#endif

namespace dino::inline DINO_ABI {

namespace detail {

#if !DINO_FIBER_UCONTEXT
/// Puts the registers that a function must keep on this stack, leaves its top in *from, and goes on with the stack
/// `to`.
__attribute__((naked, noinline, no_sanitize("address", "thread", "undefined"))) inline void switch_stack(
    void** /*from*/, void* /*to*/) {
  asm("pushq %rbp\n\t"
      "pushq %rbx\n\t"
      "pushq %r12\n\t"
      "pushq %r13\n\t"
      "pushq %r14\n\t"
      "pushq %r15\n\t"
      "movq %rsp, (%rdi)\n\t"
      "movq %rsi, %rsp\n\t"
      "popq %r15\n\t"
      "popq %r14\n\t"
      "popq %r13\n\t"
      "popq %r12\n\t"
      "popq %rbx\n\t"
      "popq %rbp\n\t"
      "ret");
}
#endif

}  // namespace detail

/// resume() runs the function until it calls suspend(), and the next resume() goes on behind that call. A fiber belongs
/// to one thread of the system. The function must not return, and no exception may leave it; a fiber may be dropped at
/// any suspend(), without unwinding. The sanitizers know of every switch; to TSan each start() is a new thread, ordered
/// after its creator and otherwise only by what the program tells it.
class Fiber {
 public:
#if DINO_FIBER_ASAN || DINO_FIBER_TSAN || !defined(__OPTIMIZE__)
  static constexpr size_t stack_bytes = size_t{256} << 10;
#else
  static constexpr size_t stack_bytes = size_t{64} << 10;
#endif

  /// stagger: number of the fiber. Tops that lie a power of two apart would share a few sets of the cache.
  explicit Fiber(i64 stagger = 0) : shift_(static_cast<size_t>(stagger % 32) * 128) { map(); }
  ~Fiber() {
    forget();
    munmap(memory_, page() + stack_bytes);
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() calls function(argument) on an empty stack.
  DINO_FIBER_UNSEEN void start(void (*function)(void*), void* argument) {
    forget();
#if DINO_FIBER_TSAN
    munmap(memory_, page() + stack_bytes);  // forgets who used this memory
    map();
    tsan_ = __tsan_create_fiber(0);
#endif
#if DINO_FIBER_ASAN
    __asan_unpoison_memory_region(bottom(), stack_bytes);
#endif
    function_ = function;
    argument_ = argument;
#if DINO_FIBER_UCONTEXT
    getcontext(&here_);
    here_.uc_stack.ss_sp = bottom();
    here_.uc_stack.ss_size = stack_bytes - shift_;
    here_.uc_link = nullptr;
    const auto address = reinterpret_cast<u64>(this);
    makecontext(&here_, reinterpret_cast<void (*)()>(&Fiber::enter_halves), 2, static_cast<u32>(address),
                static_cast<u32>(address >> 32));
#else
    // From the top: a return address of 0 where a backtrace ends, the entry that `ret` jumps to, six registers.
    auto** top = reinterpret_cast<void**>(bottom() + stack_bytes - shift_ - 64);
    *top = nullptr;
    *--top = reinterpret_cast<void*>(&Fiber::enter);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    top[1] = this;  // r14; r15 is the first that is popped
    top[2] = reinterpret_cast<void*>(&Fiber::run);
    sp_ = top;
#endif
  }

  DINO_FIBER_UNSEEN void resume() {
#if DINO_FIBER_TSAN
    tsan_caller_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_, 1);
#endif
#if DINO_FIBER_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, bottom(), stack_bytes);
#endif
#if DINO_FIBER_UCONTEXT
    swapcontext(&caller_, &here_);
#else
    detail::switch_stack(&caller_, sp_);
#endif
#if DINO_FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }

  /// Called on this fiber: returns to who resumed it.
  DINO_FIBER_UNSEEN void suspend() {
#if DINO_FIBER_TSAN
    __tsan_switch_to_fiber(tsan_caller_, 1);
#endif
#if DINO_FIBER_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, caller_bottom_, caller_bytes_);
#endif
#if DINO_FIBER_UCONTEXT
    swapcontext(&here_, &caller_);
#else
    detail::switch_stack(&sp_, caller_);
#endif
#if DINO_FIBER_ASAN
    __sanitizer_finish_switch_fiber(fake, &caller_bottom_, &caller_bytes_);
#endif
  }

 private:
  static size_t page() {
    static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
  }
  std::byte* bottom() const { return static_cast<std::byte*>(memory_) + page(); }

  void map() {
    memory_ =
        mmap(nullptr, page() + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(memory_ != MAP_FAILED, ErrorKind::resources, "fiber: no memory for a stack of {} KiB", stack_bytes >> 10);
    require(mprotect(memory_, page(), PROT_NONE) == 0, ErrorKind::resources, "fiber: no guard page");
  }
  void forget() {
#if DINO_FIBER_TSAN
    if (tsan_) __tsan_destroy_fiber(tsan_);
    tsan_ = nullptr;
#endif
  }

#if DINO_FIBER_UCONTEXT
  static void enter_halves(u32 low, u32 high) { run(reinterpret_cast<Fiber*>(u64{low} | (u64{high} << 32))); }
#else
  /// The stack is as after a call: 8 bytes above a multiple of 16, which holds the return address 0.
  __attribute__((naked, noinline, no_sanitize("address", "thread", "undefined"))) static void enter() {
    asm("movq %r14, %rdi\n\t"
        "pushq $0\n\t"
        "jmp *%r13");
  }
#endif
  DINO_FIBER_UNSEEN static void run(Fiber* self) {
#if DINO_FIBER_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &self->caller_bottom_, &self->caller_bytes_);
#endif
    self->function_(self->argument_);
    __builtin_trap();  // the function must not return
  }

  void* memory_ = nullptr;
  size_t shift_;
  void (*function_)(void*) = nullptr;
  void* argument_ = nullptr;
#if DINO_FIBER_UCONTEXT
  ucontext_t here_{}, caller_{};
#else
  void *sp_ = nullptr, *caller_ = nullptr;
#endif
#if DINO_FIBER_ASAN
  const void* caller_bottom_ = nullptr;
  size_t caller_bytes_ = 0;
#endif
#if DINO_FIBER_TSAN
  void *tsan_ = nullptr, *tsan_caller_ = nullptr;
#endif
};

}  // namespace dino::inline DINO_ABI
