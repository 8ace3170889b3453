#include <dino/device/pool.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <cstring>
#include <thread>

using namespace dino;

namespace {
constexpr size_t kib = 1024, mib = 1024 * kib;

/// What a block of so many bytes adds to the counter: rounded, with a red zone under the address sanitizer.
i64 cost(size_t bytes) {
  Pool<Cpu> pool;
  pool.release(pool.allocate(bytes));
  return pool.peak_bytes();
}
}  // namespace

TEST_CASE("pool: blocks are aligned and large enough", "[device]") {
  Pool<Cpu> pool;
  std::vector<std::pair<void*, size_t>> blocks;
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, 4 * kib + 1, 3 * mib}) {
    void* const at = pool.allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(at) % 64 == 0);
    std::memset(at, static_cast<int>(blocks.size()), bytes);
    blocks.push_back({at, bytes});
  }
  for (size_t i = 0; i < blocks.size(); ++i) {  // nobody wrote into a neighbour
    const auto* const bytes = static_cast<const unsigned char*>(blocks[i].first);
    size_t wrong = 0;
    for (size_t k = 0; k < blocks[i].second; ++k) wrong += bytes[k] != i;
    CHECK(wrong == 0);
    pool.release(blocks[i].first);
  }
  CHECK(pool.live_bytes() == 0);
}

TEST_CASE("pool: a block that was released is used again at once", "[device]") {
  Pool<Cpu> pool;
  void* const first = pool.allocate(100 * kib);
  const i64 reserved = pool.reserved_bytes();
  pool.release(first);
  for (int repeat = 0; repeat < 100; ++repeat) {
    void* const again = pool.allocate(100 * kib);
    CHECK(again == first);
    pool.release(again);
  }
  CHECK(pool.reserved_bytes() == reserved);
}

TEST_CASE("pool: the smallest gap that fits is taken, and its rest stays free", "[device]") {
  Pool<Cpu> pool;
  void* gaps[3];
  const size_t sizes[3] = {mib, 128 * kib, 512 * kib};
  for (int i = 0; i < 3; ++i) {
    gaps[i] = pool.allocate(sizes[i]);
    pool.allocate(1);  // keeps the gaps apart
  }
  for (void* const gap : gaps) pool.release(gap);
  CHECK(pool.allocate(100 * kib) == gaps[1]);
  CHECK(pool.allocate(20 * kib) == static_cast<char*>(gaps[1]) + cost(100 * kib));
  CHECK(pool.allocate(400 * kib) == gaps[2]);
  CHECK(pool.allocate(900 * kib) == gaps[0]);
}

TEST_CASE("pool: neighbours that are free become one block, in whatever order they come back", "[device]") {
  const std::vector<size_t> order =
      GENERATE(values<std::vector<size_t>>({{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 2, 0}, {0, 2, 1, 3}, {2, 0, 3, 1}}));
  Pool<Cpu> pool;
  void* blocks[4];
  for (auto& block : blocks) block = pool.allocate(6 * mib);
  const i64 reserved = pool.reserved_bytes();
  for (const size_t i : order) pool.release(blocks[i]);
  void* const all = pool.allocate(31 * mib);  // more than the gaps together, less than the slab
  CHECK(all == blocks[0]);
  CHECK(pool.reserved_bytes() == reserved);
}

TEST_CASE("pool: a block never spans two slabs", "[device]") {
  Pool<Cpu> pool;
  std::vector<void*> blocks;
  for (int i = 0; i < 6; ++i) blocks.push_back(pool.allocate(31 * mib));  // neighbours by chance
  const i64 reserved = pool.reserved_bytes();
  for (void* const block : blocks) pool.release(block);
  void* const large = pool.allocate(40 * mib);
  CHECK(pool.reserved_bytes() >= reserved + static_cast<i64>(40 * mib));
  pool.release(large);
  CHECK(pool.live_bytes() == 0);
}

TEST_CASE("pool: live and peak bytes are counted", "[device]") {
  Pool<Cpu> pool;
  CHECK(pool.live_bytes() == 0);
  CHECK(pool.reserved_bytes() == 0);
  void *const a = pool.allocate(kib), *const b = pool.allocate(2 * kib);
  const i64 both = cost(kib) + cost(2 * kib);
  CHECK(pool.live_bytes() == both);
  pool.release(a);
  CHECK(pool.live_bytes() == cost(2 * kib));
  CHECK(pool.peak_bytes() == both);
  pool.reset_peak();
  CHECK(pool.peak_bytes() == cost(2 * kib));
  pool.release(b);
  CHECK(pool.live_bytes() == 0);
  CHECK(pool.peak_bytes() == cost(2 * kib));
}

TEST_CASE("pool: a release that has no block is refused and changes nothing", "[device]") {
  Pool<Cpu> pool;
  char* const a = static_cast<char*>(pool.allocate(kib));
  void* const b = pool.allocate(kib);
  pool.release(b);
  CHECK_THROWS_WITH(pool.release(b), contains("release of a block that is not in use"));
  CHECK_THROWS_WITH(pool.release(a + 64), contains("release of a block that is not in use"));
  CHECK_THROWS_WITH(pool.release(nullptr), contains("release of a block that is not in use"));
  CHECK(pool.live_bytes() == cost(kib));
  pool.release(a);
  CHECK(pool.live_bytes() == 0);
}

TEST_CASE("pool: more memory than there is gives an error of kind resources", "[device]") {
  Pool<Cpu> pool;
  const auto kind = [&](size_t bytes) {
    try {
      pool.allocate(bytes);
    } catch (const Error& e) {
      CHECK_THAT(e.what(), contains("out of memory"));
      return e.kind();
    }
    return ErrorKind::internal;
  };
  CHECK(kind(~size_t{0}) == ErrorKind::resources);
  CHECK(kind(size_t{1} << 60) == ErrorKind::resources);
#if !defined(DINO_ADDRESS_SANITIZER) && !defined(__SANITIZE_THREAD__)  // which end the program in their own way
  CHECK(kind(size_t{1} << 59) == ErrorKind::resources);
#endif
  CHECK(pool.live_bytes() == 0);
  pool.release(pool.allocate(kib));
}

TEST_CASE("pool: several threads allocate and release at the same time", "[device]") {
  Pool<Cpu> pool;
  std::vector<int> damaged(4, 0);
  const auto work = [&](size_t id) {
    std::vector<std::pair<unsigned char*, size_t>> mine;
    u32 random = static_cast<u32>(id) + 1;
    const auto give_back = [&](size_t i) {
      const auto [at, bytes] = mine[i];
      for (size_t k = 0; k < bytes; ++k) damaged[id] += at[k] != id;
      mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(i));
      pool.release(at);
    };
    for (int step = 0; step < 3000; ++step) {
      random = random * 1664525u + 1013904223u;
      if (mine.size() > 20 || (mine.size() > 5 && random >> 31)) {
        give_back((random >> 8) % mine.size());
      } else {
        const size_t bytes = 1 + (random >> 8) % 3000;
        auto* const at = static_cast<unsigned char*>(pool.allocate(bytes));
        std::memset(at, static_cast<int>(id), bytes);
        mine.push_back({at, bytes});
      }
    }
    while (!mine.empty()) give_back(0);
  };
  std::vector<std::thread> threads;
  for (size_t id = 0; id < 4; ++id) threads.emplace_back(work, id);
  for (auto& thread : threads) thread.join();
  CHECK(damaged == std::vector<int>(4, 0));
  CHECK(pool.live_bytes() == 0);
  CHECK(pool.peak_bytes() > 0);
}
