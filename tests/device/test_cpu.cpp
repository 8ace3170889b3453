#include <dino/device/cpu.hpp>

#include "support/catch.hpp"

#include <mutex>
#include <set>

using namespace dino;

namespace {
using Pieces = std::multiset<std::pair<i64, i64>>;

Pieces pieces(i64 threads, i64 n, i64 grain) {
  Context<Cpu> ctx(threads);
  Pieces out;
  std::mutex mutex;
  parallel_ranges(ctx, n, grain, [&](i64 begin, i64 end) {
    const std::lock_guard lock(mutex);
    out.insert({begin, end});
  });
  return out;
}
}  // namespace

TEST_CASE("cpu: the pieces of a range do not depend on the number of threads", "[device]") {
  CHECK(pieces(1, 10, 4) == Pieces{{0, 4}, {4, 8}, {8, 10}});
  const auto [n, grain] = GENERATE(table<i64, i64>({{0, 3}, {1, 3}, {3, 3}, {10, 4}, {1001, 7}, {5, 1000}}));
  const auto one = pieces(1, n, grain);
  CHECK(one == pieces(2, n, grain));
  CHECK(one == pieces(7, n, grain));
  i64 next = 0;
  for (const auto& [begin, end] : one) {
    CHECK(begin == next);
    CHECK(end > begin);
    next = end;
  }
  CHECK(next == n);
}

TEST_CASE("cpu: every row once, small rows share a task", "[device]") {
  for (const i64 cost : {i64{0}, i64{1}, i64{300}, i64{1} << 40}) {
    Context<Cpu> ctx(3);
    std::vector<i64> seen(1000, 0);
    parallel_rows(ctx, 1000, cost, [&](i64 r) { seen[static_cast<size_t>(r)] += 1; });
    CHECK(seen == std::vector<i64>(1000, 1));
  }
  Context<Cpu> ctx(4);
  std::set<std::thread::id> workers;
  parallel_rows(ctx, 100, 10, [&](i64) { workers.insert(std::this_thread::get_id()); });  // one task: no race
  CHECK(workers == std::set{std::this_thread::get_id()});
}

TEST_CASE("cpu: without a number there is a thread per processor", "[device]") {
  CHECK(Context<Cpu>().threads().threads() == std::max<i64>(1, std::thread::hardware_concurrency()));
  CHECK(Context<Cpu>(3).threads().threads() == 3);
}
