// A passive thread pool, and loops whose partition depends on the problem only.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__SSE2__)
#  include <xmmintrin.h>  // immintrin.h takes a second to compile
#endif

namespace dino::inline DINO_ABI {

namespace detail {

/// Flushes denormals to zero while it lives, on every thread alike: results must not depend on who computes them.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : old_(_mm_getcsr()) { _mm_setcsr(old_ | 0x8040u); }  // FTZ and DAZ
  ~FlushDenormals() { _mm_setcsr(old_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned old_;
#endif
};

/// True while this thread works on a task: a loop inside a task runs on the spot.
inline bool& inside_task() {
  thread_local bool inside = false;
  return inside;
}

}  // namespace detail

/// Workers that sleep between jobs. The caller of run() works too, so a pool of one thread has no worker.
class ThreadPool {
 public:
  explicit ThreadPool(i64 threads) {
    require(threads >= 1, "thread pool: {} threads", threads);
    for (i64 i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~ThreadPool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  i64 threads() const { return static_cast<i64>(workers_.size()) + 1; }

  /// Calls f(task) once for each task in [0, tasks), in any order, on any thread, and returns when all are done.
  /// The first exception of a task is thrown again here. Not to be called by two threads at once.
  template <class F> void run(i64 tasks, F&& f) {
    Job job{[](void* self, i64 task) { (*static_cast<std::remove_reference_t<F>*>(self))(task); },
            const_cast<void*>(static_cast<const void*>(&f)), tasks};
    run_job(job);  // no template: compiled once per file, and f once, not once per way to run it
  }

 private:
  struct Job {
    void (*call)(void*, i64);
    void* function;
    i64 tasks;
    std::atomic<i64> next{0};
    std::exception_ptr error{};
  };

  void run_job(Job& job) {
    if (job.tasks <= 0) return;
    if (workers_.empty() || job.tasks == 1 || detail::inside_task()) {
      const detail::FlushDenormals flush;
      for (i64 task = 0; task < job.tasks; ++task) job.call(job.function, task);
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
    }
    wake_.notify_all();
    perform(job);
    std::unique_lock lock(mutex_);
    job_ = nullptr;  // a worker that wakes late finds nothing
    done_.wait(lock, [&] { return running_ == 0; });
    if (job.error) std::rethrow_exception(job.error);
  }

  void perform(Job& job) {
    const detail::FlushDenormals flush;
    detail::inside_task() = true;
    for (i64 task = job.next++; task < job.tasks; task = job.next++) {
      try {
        job.call(job.function, task);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!job.error) job.error = std::current_exception();
      }
    }
    detail::inside_task() = false;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || (job_ && job_->next < job_->tasks); });
      if (stop_) return;
      Job& job = *job_;
      ++running_;
      lock.unlock();
      perform(job);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;
  i64 running_ = 0;
  bool stop_ = false;
};

}  // namespace dino::inline DINO_ABI
