// Every kind of fault that the host executor is there to find, planted, and the report that it gives.
#include <dino/device/cuda_on_host.hpp>
#include <dino/kernels/cuda/mma.cuh>

#include "support/catch.hpp"

#include <cmath>
#include <vector>

using namespace dino;
using namespace dino::kernels;
using simt::Schedule;

namespace {

struct Probe {
  const float* in;  // n numbers, n bf16 numbers, ...
  float* out;       // n numbers
  int n;
};

/// What one launch gives: its error, or the numbers in `out`.
struct Outcome {
  std::string error;
  std::vector<float> out;
};

Outcome run(void (*kernel)(Probe), const LaunchConfig& config, int n, Schedule schedule = Schedule::forward,
            u64 seed = 1) {
  Context<Cuda> ctx;
  ctx.machine().schedule = schedule;
  ctx.machine().seed = seed;
  const auto bytes = static_cast<size_t>(n) * sizeof(float);
  auto* const in = static_cast<float*>(ctx.pool().allocate(bytes));
  auto* const out = static_cast<float*>(ctx.pool().allocate(bytes));
  for (int i = 0; i < n; ++i) in[i] = static_cast<float>(i), out[i] = -1;
  Outcome result;
  try {
    ctx.launch(kernel, config, {in, out, n});
  } catch (const Error& error) {
    result.error = error.what();
  }
  result.out.assign(out, out + n);
  ctx.pool().release(in);
  ctx.pool().release(out);
  return result;
}

/// In how many of forward, reverse and 40 seeds the numbers are not those of a right kernel.
int wrong(void (*kernel)(Probe), const LaunchConfig& config, const std::vector<float>& right) {
  const auto n = static_cast<int>(right.size());
  int count = 0;
  const auto look = [&](Schedule schedule, u64 seed) {
    const auto outcome = run(kernel, config, n, schedule, seed);
    CHECK(outcome.error.empty());
    count += outcome.out == right ? 0 : 1;
  };
  look(Schedule::forward, 1);
  look(Schedule::reverse, 1);
  for (u64 seed = 1; seed <= 40; ++seed) look(Schedule::random, seed);
  return count;
}

void check_error(void (*kernel)(Probe), const LaunchConfig& config, const std::vector<std::string>& texts) {
  for (const auto schedule : {Schedule::forward, Schedule::reverse, Schedule::random}) {
    const auto outcome = run(kernel, config, 64, schedule);
    for (const auto& text : texts) CHECK_THAT(outcome.error, contains(text));
  }
}

const LaunchConfig one_warp{.grid = {1}, .block = {32}}, two_warps{.grid = {1}, .block = {64}};

// Missing waits.

template <bool wait> DINO_GLOBAL void sum_partials(const __grid_constant__ Probe a) {
  DINO_SHARED(part, float[64]);
  part[block_thread()] = 1;
  if (wait) sync_block();
  float sum = 0;
  for (int i = 0; i < 64; ++i) sum += part[i];
  a.out[block_thread()] = sum;
}

template <bool wait> DINO_GLOBAL void clear_and_add(const __grid_constant__ Probe a) {
  DINO_SHARED(sum, float[32]);
  sum[lane()] = 0;
  if (wait) sync_warp();
  sum[(lane() + 1) % 32] += 1;
  sync_warp();
  a.out[lane()] = sum[lane()];
}

template <bool wait> DINO_GLOBAL void copy_to_neighbour(const __grid_constant__ Probe a) {
  float* const tile = dynamic_shared<float>();
  cp_async(tile + 4 * block_thread(), a.in + 4 * block_thread());
  cp_async_commit();
  cp_async_wait<0>();
  if (wait) sync_block();
  for (int i = 0; i < 4; ++i) a.out[4 * block_thread() + i] = tile[4 * ((block_thread() + 1) % 64) + i];
}

template <bool wait> DINO_GLOBAL void load_neighbours_row(const __grid_constant__ Probe a) {
  u16* const tile = dynamic_shared<u16>();
  for (int i = 0; i < 8; ++i) tile[8 * lane() + i] = to_bf16(1).bits;
  if (wait) sync_warp();
  u32 r[4];
  ldmatrix_x4(r, tile + 8 * ((lane() + 1) % 32));
  float sum = 0;
  for (const u32 word : r) sum += to_float(bf16{static_cast<u16>(word & 0xffff)});
  a.out[lane()] = sum;
}

template <bool wait> DINO_GLOBAL void reuse_array(const __grid_constant__ Probe a) {
  DINO_SHARED(part, float[64]);
  float sum = 0;
  for (int round = 1; round <= 3; ++round) {
    part[block_thread()] = static_cast<float>(round);
    sync_block();
    for (int i = 0; i < 64; ++i) sum += part[i];
    if (wait) sync_block();
  }
  a.out[block_thread()] = sum;
}

template <bool clear> DINO_GLOBAL void uninitialised(const __grid_constant__ Probe a) {
  DINO_SHARED(sum, float[64]);
  if (clear) sum[block_thread()] = 0;
  sum[block_thread()] += 1;
  a.out[block_thread()] = sum[block_thread()];
}

template <bool wait> DINO_GLOBAL void copy_without_wait(const __grid_constant__ Probe a) {
  float* const tile = dynamic_shared<float>();
  cp_async(tile + 4 * lane(), a.in);
  cp_async_commit();
  if (wait) cp_async_wait<0>();
  a.out[lane()] = tile[4 * lane()];
}

// Barriers and collectives that not everybody reaches.

template <class T> DINO_GLOBAL void barrier_of_some_warps(const __grid_constant__ Probe) {
  if (warp() < 4) sync_block();
}
template <class T> DINO_GLOBAL void barrier_in_unequal_loops(const __grid_constant__ Probe) {
  for (int i = 0; i < 3 + warp(); ++i) sync_block();
}
template <class T> DINO_GLOBAL void return_before_barrier(const __grid_constant__ Probe) {
  if (block_thread() >= 50) return;
  sync_block();
}
template <class T> DINO_GLOBAL void one_block_fails(const __grid_constant__ Probe a) {
  if (static_cast<int>(blockIdx.x) == a.n && block_thread() >= 50) return;
  sync_block();
}
template <class T> DINO_GLOBAL void barriers_in_two_branches(const __grid_constant__ Probe) {
  if (block_thread() % 2 == 0) {
    sync_block();
  } else {
    sync_block();
  }
}
template <class T> DINO_GLOBAL void lane_leaves_before_sum(const __grid_constant__ Probe a) {
  if (lane() == 31) return;
  a.out[lane()] = warp_sum(1.0f);
}
template <class T> DINO_GLOBAL void sum_in_two_branches(const __grid_constant__ Probe a) {
  if (lane() < 16) {
    a.out[lane()] = warp_sum(1.0f);
  } else {
    a.out[lane()] = warp_sum(2.0f);
  }
}
template <class T> DINO_GLOBAL void lane_not_in_its_mask(const __grid_constant__ Probe a) {
  a.out[lane()] = shuffle(1.0f, 0, 0xffu);
}
template <class T> DINO_GLOBAL void reads_outside_the_mask(const __grid_constant__ Probe a) {
  if (lane() < 16) a.out[lane()] = shuffle(1.0f, 20, 0xffffu);
}
template <class T> DINO_GLOBAL void ballot_of_a_part(const __grid_constant__ Probe a) {
  if (block_thread() < 40) a.out[block_thread()] = static_cast<float>(ballot(true));
}

// Memory.

template <class T> DINO_GLOBAL void past_shared_array(const __grid_constant__ Probe) {
  DINO_SHARED(tile, float[64]);
  float* const p = &tile[0];
  p[block_thread() + 1] = 0;
}
template <class T> DINO_GLOBAL void blocks_write_one_element(const __grid_constant__ Probe a) {
  if (block_thread() == 0) a.out[0] = static_cast<float>(blockIdx.x);
}
template <class T> DINO_GLOBAL void one_past_the_row(const __grid_constant__ Probe a) {
  const int row = 31;  // and a loop that goes to 32
  for (int c = block_thread(); c <= row; c += 32)
    a.out[static_cast<int>(blockIdx.x) * row + c] = static_cast<float>(blockIdx.x);
}
template <class T> DINO_GLOBAL void misaligned_load(const __grid_constant__ Probe a) {
  a.out[lane()] = load_pack<4>(a.in + 1)[0];
}
template <class T> DINO_GLOBAL void too_much_static(const __grid_constant__ Probe) {
  DINO_SHARED(tile, float[60000]);
  tile[block_thread()] = 0;
}
template <class T> DINO_GLOBAL void uses_dynamic(const __grid_constant__ Probe) { dynamic_shared<float>()[0] = 0; }
template <class T> DINO_GLOBAL void right(const __grid_constant__ Probe a) { a.out[block_thread()] = 1; }

}  // namespace

TEST_CASE("simt: a missing wait shows in every schedule, the right kernel in none", "[simt]") {
  const auto check = [](auto faulty, auto good, const LaunchConfig& config, const std::vector<float>& expected) {
    CHECK(wrong(good, config, expected) == 0);
    return wrong(faulty, config, expected);
  };
  std::vector<float> shifted;
  for (int i = 0; i < 256; ++i) shifted.push_back(static_cast<float>((i + 4) % 256));
  const LaunchConfig copies{.grid = {1}, .block = {64}, .shared_bytes = 1024};
  const LaunchConfig rows{.grid = {1}, .block = {32}, .shared_bytes = 512};
  CHECK(check(sum_partials<false>, sum_partials<true>, two_warps, std::vector<float>(64, 64)) == 42);
  CHECK(check(clear_and_add<false>, clear_and_add<true>, one_warp, std::vector<float>(32, 1)) == 42);
  CHECK(check(copy_to_neighbour<false>, copy_to_neighbour<true>, copies, shifted) == 42);
  CHECK(check(load_neighbours_row<false>, load_neighbours_row<true>, rows, std::vector<float>(32, 4)) == 42);
  CHECK(check(reuse_array<false>, reuse_array<true>, two_warps, std::vector<float>(64, 384)) == 42);
  CHECK(check(uninitialised<false>, uninitialised<true>, two_warps, std::vector<float>(64, 1)) == 42);
}

TEST_CASE("simt: shared memory that nobody has written is not a number", "[simt]") {
  for (const float x : run(uninitialised<false>, two_warps, 64).out) CHECK(std::isnan(x));
}

TEST_CASE("simt: a copy that nobody waits for is an error", "[simt]") {
  const LaunchConfig config{.grid = {1}, .block = {32}, .shared_bytes = 512};
  check_error(copy_without_wait<false>, config, {"Probe: block (0,0,0)", "thread leaves with cp.async pending"});
  CHECK(run(copy_without_wait<true>, config, 64).error.empty());
}

TEST_CASE("simt: a barrier that not everybody reaches is a deadlock, with who waits where", "[simt]") {
  const LaunchConfig eight_warps{.grid = {1}, .block = {256}};
  check_error(barrier_of_some_warps<float>, eight_warps,
              {"deadlock: no thread can go on", "threads 0-127: wait at sync_block number 1, test_simt_faults.cpp:",
               "threads 128-255: left the kernel"});
  check_error(barrier_in_unequal_loops<float>, two_warps,
              {"threads 0-31: left the kernel", "threads 32-63: wait at sync_block number 4"});
  check_error(return_before_barrier<float>, two_warps, {"threads 0-49: wait at", "threads 50-63: left the kernel"});
  check_error(barriers_in_two_branches<float>, two_warps,
              {"one block barrier reached from two places: test_simt_faults.cpp:"});
}

TEST_CASE("simt: a collective of the warp that a lane misses is a deadlock", "[simt]") {
  check_error(lane_leaves_before_sum<float>, two_warps,
              {"threads 0-30,32-62: wait at shuffle_xor mask 0xffffffff, test_simt_faults.cpp:",
               "threads 31,63: left the kernel"});
  check_error(sum_in_two_branches<float>, one_warp, {"threads 0-15: wait at shuffle_xor", "threads 16-31: wait at"});
  check_error(ballot_of_a_part<float>, two_warps, {"threads 32-39: wait at ballot", "40-63: left the kernel"});
}

TEST_CASE("simt: masks are looked at", "[simt]") {
  check_error(lane_not_in_its_mask<float>, one_warp, {"is missing from mask 0x000000ff at test_simt_faults.cpp:"});
  check_error(reads_outside_the_mask<float>, one_warp, {"reads lane 20, which is not in the mask"});
}

TEST_CASE("simt: memory that is not a block's own", "[simt]") {
#if !DINO_FIBER_ASAN  // which reports it at the access
  check_error(past_shared_array<float>, two_warps, {"write outside 'tile', 0 bytes behind its end"});
#endif
  const LaunchConfig two_blocks{.grid = {2}, .block = {32}};
  for (auto* kernel : {blocks_write_one_element<float>, one_past_the_row<float>}) {
    CHECK(run(kernel, two_blocks, 64, Schedule::forward).out != run(kernel, two_blocks, 64, Schedule::reverse).out);
  }
  check_error(misaligned_load<float>, one_warp, {"misaligned 16-byte load at test_simt_faults.cpp:"});
}

TEST_CASE("simt: limits of the device, with both numbers", "[simt]") {
  check_error(too_much_static<float>, one_warp, {"static shared memory: 240000 bytes with 'tile'", "at most 49152"});
  check_error(uses_dynamic<float>, {.grid = {1}, .block = {32}, .shared_bytes = 200000},
              {"shared memory: 200000 bytes", "at most 166912 on sm_80"});
  check_error(uses_dynamic<float>, {.grid = {1}, .block = {32}, .shared_bytes = 240000},
              {"240000 bytes of dynamic shared memory, a block has at most 232448"});
  check_error(uses_dynamic<float>, one_warp, {"dynamic shared memory is used, the launch asked for none"});
  check_error(right<float>, {.grid = {1}, .block = {2048}}, {"block (2048,1,1): a block has 32 to 1024 threads"});
  check_error(right<float>, {.grid = {1}, .block = {40}}, {"in whole warps"});
  check_error(right<float>, {.grid = {1, 70000}, .block = {32}}, {"a grid at most (2147483647,65535,65535)"});
}

TEST_CASE("simt: an error of a block on another thread arrives", "[simt]") {
  Context<Cuda> ctx;
  ctx.set_workers(3);
  float out[64] = {};
  for (const i64 failing : {0, 1, 2, 5}) {
    try {
      ctx.launch(one_block_fails<float>, {.grid = {6}, .block = {64}}, {nullptr, out, static_cast<int>(failing)});
      FAIL("no error for block " << failing);
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find(str("block ({},0,0)", failing)) != std::string::npos);
    }
  }
}

TEST_CASE("simt: a launch after a failed one works", "[simt]") {
  Context<Cuda> ctx;
  ctx.set_workers(GENERATE(1, 2));
  float out[64] = {};
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_WITH(ctx.launch(return_before_barrier<float>, two_warps, {nullptr, out, 64}), contains("deadlock"));
    CHECK_THROWS_WITH(ctx.launch(lane_leaves_before_sum<float>, two_warps, {nullptr, out, 64}), contains("deadlock"));
    ctx.launch(sum_partials<true>, two_warps, {nullptr, out, 64});
    for (const float x : out) CHECK(x == 64.0f);
  }
}
