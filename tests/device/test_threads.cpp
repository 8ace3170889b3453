#include <dino/device/threads.hpp>

#include "support/catch.hpp"

#include <limits>
#include <set>

using namespace dino;

namespace {
/// How often each task ran.
std::vector<int> counts(ThreadPool& pool, i64 tasks) {
  std::vector<std::atomic<int>> ran(static_cast<size_t>(tasks));
  pool.run(tasks, [&](i64 task) { ++ran[static_cast<size_t>(task)]; });
  return {ran.begin(), ran.end()};
}
}  // namespace

TEST_CASE("threads: every task runs once", "[device]") {
  const i64 threads = GENERATE(1, 2, 7, 32);
  ThreadPool pool(threads);
  CHECK(pool.threads() == threads);
  for (const i64 tasks : {0, 1, 2, 3, 8, 1000}) {
    CHECK(counts(pool, tasks) == std::vector<int>(static_cast<size_t>(tasks), 1));
  }
}

TEST_CASE("threads: run returns when all tasks are done, not before", "[device]") {
  ThreadPool pool(4);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<double> out(16, 0);  // written without synchronisation: the pool provides it
    pool.run(16, [&](i64 task) {
      double sum = 0;
      for (int i = 0; i < 2000; ++i) sum += 1;
      out[static_cast<size_t>(task)] = sum;
    });
    CHECK(out == std::vector<double>(16, 2000));
  }
}

TEST_CASE("threads: an exception of a task is thrown by run, and the pool lives on", "[device]") {
  const i64 threads = GENERATE(1, 2, 7);
  ThreadPool pool(threads);
  const auto failing = [](i64 task) {
    if (task == 37) throw Error(ErrorKind::data, "task 37");
  };
  for (int repeat = 0; repeat < 20; ++repeat) {
    CHECK_THROWS_WITH(pool.run(100, failing), "task 37");
    CHECK(counts(pool, 100) == std::vector<int>(100, 1));
  }
}

TEST_CASE("threads: where all tasks fail, one exception arrives", "[device]") {
  ThreadPool pool(4);
  CHECK_THROWS_AS(pool.run(50, [](i64) { throw 5; }), int);
  CHECK(counts(pool, 10) == std::vector<int>(10, 1));
}

TEST_CASE("threads: a loop inside a task runs on the spot", "[device]") {
  ThreadPool pool(3), other(3);
  std::vector<std::atomic<int>> ran(12);
  std::atomic<int> elsewhere{0};
  pool.run(4, [&](i64 outer) {
    const auto here = std::this_thread::get_id();
    for (ThreadPool* inner : {&pool, &other}) {
      inner->run(3, [&](i64 task) {
        ++ran[static_cast<size_t>(3 * outer + task)];
        elsewhere += std::this_thread::get_id() != here;
      });
    }
  });
  for (const auto& n : ran) CHECK(n == 2);
  CHECK(elsewhere == 0);
}

TEST_CASE("threads: an exception inside a nested loop comes out of the outer one", "[device]") {
  ThreadPool pool(3);
  const auto nested = [&](i64) { pool.run(2, [](i64 task) { require(task == 0, "inner task {}", task); }); };
  CHECK_THROWS_WITH(pool.run(5, nested), "inner task 1");
}

TEST_CASE("threads: a pool is used thousands of times, also by workers that wake late", "[device]") {
  ThreadPool pool(8);  // two tasks, eight threads: most workers wake when the job has ended
  i64 total = 0;
  for (i64 job = 0; job < 3000; ++job) {
    std::atomic<i64> sum{0};
    pool.run(2, [&](i64 task) { sum += job + task; });
    total += sum;
  }
  CHECK(total == 2 * (2999 * 3000 / 2) + 3000);
}

TEST_CASE("threads: pools come and go while their workers have not slept yet", "[device]") {
  int total = 0;
  for (int repeat = 0; repeat < 100; ++repeat) {
    ThreadPool pool(4);
    std::atomic<int> sum{0};
    if (repeat % 2) pool.run(3, [&](i64) { ++sum; });
    total += sum;
  }
  CHECK(total == 150);
}

TEST_CASE("threads: the work is shared", "[device]") {
  ThreadPool pool(2);
  std::mutex mutex;
  std::set<std::thread::id> workers;
  std::atomic<int> arrived{0};
  pool.run(2, [&](i64) {  // each task waits until the other one has begun
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    workers.insert(std::this_thread::get_id());
  });
  CHECK(workers.size() == 2);
}

#if defined(__SSE2__)
TEST_CASE("threads: denormals are zero in every task, and the caller's mode comes back", "[device]") {
  const auto product = [] {
    volatile float tiny = std::numeric_limits<float>::min();
    return tiny * 0.5f;
  };
  REQUIRE(product() > 0);
  const i64 threads = GENERATE(1, 3);
  ThreadPool pool(threads);
  std::vector<float> out(8, 1.f);
  pool.run(8, [&](i64 task) { out[static_cast<size_t>(task)] = product(); });
  CHECK(out == std::vector<float>(8, 0.f));
  CHECK(product() > 0);
}
#endif

TEST_CASE("threads: a pool without threads is refused", "[device]") {
  CHECK_THROWS_WITH(ThreadPool(0), "thread pool: 0 threads");
  CHECK_THROWS_WITH(ThreadPool(-3), "thread pool: -3 threads");
}
