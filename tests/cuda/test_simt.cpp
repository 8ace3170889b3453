#include <dino/device/cuda_on_host.hpp>
#include <dino/kernels/cuda/mma.cuh>

#include "support/catch.hpp"

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

using namespace dino;
using namespace dino::kernels;
using simt::Schedule;

namespace {

struct Numbers {
  const float* in;
  float* out;
};

template <class Args> void in_every_schedule(Context<Cuda>& ctx, void (*kernel)(Args), const LaunchConfig& config,
                                             const Args& args, const std::function<void()>& check) {
  for (const i64 workers : {1, 2, 3}) {
    ctx.set_workers(workers);
    for (const auto schedule : {Schedule::forward, Schedule::reverse, Schedule::random}) {
      ctx.machine().schedule = schedule;
      ctx.launch(kernel, config, args);
      check();
    }
  }
}

template <class T> DINO_GLOBAL void count_threads(const __grid_constant__ Numbers a) {
  const u32 block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const u32 thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const u32 threads = blockDim.x * blockDim.y * blockDim.z;
  a.out[block * threads + thread] += 1;
}

template <class T> DINO_GLOBAL void reduce(const __grid_constant__ Numbers a) {
  const float x = a.in[block_thread()];
  const float sum = block_sum(x), largest = block_max(x);
  a.out[block_thread()] = sum * 1000 + largest;
}

template <class T> DINO_GLOBAL void exchange(const __grid_constant__ Numbers a) {
  const float x = a.in[lane()];
  float* const out = a.out + 6 * lane();
  out[0] = shuffle(x, 3);
  out[1] = shuffle_xor(x, 5);
  out[2] = shuffle_down(x, 4);
  out[3] = static_cast<float>(ballot(lane() % 3 == 0) & 0xffffu);
  const u32 half = lane() < 16 ? 0xffffu : 0xffff0000u;
  out[4] = shuffle_xor(x, 8, half);
  sync_warp(half);
  out[5] = shuffle(x, lane() < 16 ? 7 : 24, half);
}

/// Four groups of copies; what has arrived when at most `keep` are under way.
template <int keep> DINO_GLOBAL void keep_groups(const __grid_constant__ Numbers a) {
  float* const tile = dynamic_shared<float>();
  for (int group = 0; group < 4; ++group) {
    cp_async(tile + 16 * lane() + 4 * group, a.in + 4 * group, group != 2);
    cp_async_commit();
  }
  cp_async_wait<keep>();
  for (int i = 0; i < 16; ++i) a.out[16 * lane() + i] = tile[16 * lane() + i];
  cp_async_wait<0>();
}

}  // namespace

TEST_CASE("simt: every thread of every block runs once, whatever the shape", "[simt][tiny]") {
  Context<Cuda> ctx;
  const auto config =
      GENERATE(LaunchConfig{.grid = {3}, .block = {32}}, LaunchConfig{.grid = {2, 2}, .block = {96}},
               LaunchConfig{.grid = {2}, .block = {1024}}, LaunchConfig{.grid = {1, 2, 2}, .block = {16, 4, 2}});
  std::vector<float> out(static_cast<size_t>(config.grid.count() * config.block.count()));
  float times = 0;
  in_every_schedule(ctx, count_threads<float>, config, {nullptr, out.data()}, [&] {
    ++times;
    CHECK(out == std::vector<float>(out.size(), times));
  });
}

TEST_CASE("simt: sums and maxima of a block are the same in every schedule", "[simt][tiny]") {
  Context<Cuda> ctx;
  const i64 threads = GENERATE(32, 96, 1024);
  std::vector<float> in, out(static_cast<size_t>(threads));
  float sum = 0;
  for (i64 i = 0; i < threads; ++i) {
    in.push_back(static_cast<float>((i * 37) % 11));
    sum += in.back();
  }
  in_every_schedule(ctx, reduce<float>, {.grid = {1}, .block = {threads}}, {in.data(), out.data()},
                    [&] { CHECK(out == std::vector<float>(out.size(), sum * 1000 + 10)); });
}

TEST_CASE("simt: lanes exchange values, whole warps and halves of them", "[simt][tiny]") {
  Context<Cuda> ctx;
  std::vector<float> in(32), out(6 * 32);
  for (size_t i = 0; i < 32; ++i) in[i] = static_cast<float>(100 + i);
  in_every_schedule(ctx, exchange<float>, {.grid = {1}, .block = {32}}, {in.data(), out.data()}, [&] {
    for (size_t i = 0; i < 32; ++i) {
      CHECK(out[6 * i] == in[3]);
      CHECK(out[6 * i + 1] == in[i ^ 5]);
      CHECK(out[6 * i + 2] == in[i + 4 < 32 ? i + 4 : i]);  // past the end: its own
      CHECK(out[6 * i + 3] == static_cast<float>(0b1001001001001001));
      CHECK(out[6 * i + 4] == in[i ^ 8]);
      CHECK(out[6 * i + 5] == in[i < 16 ? 7 : 24]);
    }
  });
}

TEST_CASE("simt: copies arrive group by group, as late as allowed", "[simt][tiny]") {
  Context<Cuda> ctx;
  alignas(16) float in[16];
  for (int i = 0; i < 16; ++i) in[i] = static_cast<float>(i);
  const auto check = [&](auto* kernel, int arrived) {
    std::vector<float> out(16 * 32);
    ctx.launch(kernel, {.grid = {1}, .block = {32}, .shared_bytes = 16 * 32 * 4}, {in, out.data()});
    for (int i = 0; i < 16; ++i) {
      const float x = out[static_cast<size_t>(5 * 16 + i)];
      if (i / 4 >= arrived) {
        CHECK(std::isnan(x));
      } else {
        CHECK(x == (i / 4 == 2 ? 0.0f : in[i]));  // group 2 is not valid: zeros
      }
    }
  };
  check(keep_groups<0>, 4);
  check(keep_groups<1>, 3);
  check(keep_groups<2>, 2);
}

TEST_CASE("simt: 16-bit numbers are packed as the device packs them", "[simt]") {
  for (u32 bits = 0; bits < 0x10000; ++bits) {
    const bf16 b{static_cast<u16>(bits)};
    const f16 h{static_cast<u16>(bits)};
    const float fb = to_acc(b), fh = to_acc(h);
    if (!std::isnan(fb) && (round_to<bf16>(fb).bits != bits || pack2<bf16>(fb, 1) != (bits | 0x3f800000u))) {
      FAIL("bf16 " << bits);
    }
    if (!std::isnan(fh) && (round_to<f16>(fh).bits != bits || pack2<f16>(1, fh) != ((bits << 16) | 0x3c00u))) {
      FAIL("f16 " << bits);
    }
#if defined(__FLT16_MAX__) && !defined(__clang__)
    if (!std::isnan(fh) && static_cast<float>(std::bit_cast<_Float16>(h.bits)) != fh)
      FAIL("f16 against _Float16 " << bits);
#endif
  }
  SUCCEED("all 65,536 of both");
}

TEST_CASE("simt: a word of kernels outside a kernel is an error", "[simt]") {
  CHECK_THROWS_WITH(sync_block(), contains("outside a kernel"));
  CHECK_THROWS_WITH(warp_sum(1.0f), contains("outside a kernel"));
}
