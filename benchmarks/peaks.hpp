// What this machine can do, measured in the process that divides by it: multiply-adds in float, and copies in memory.
#pragma once

#include <dino/device/cpu.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

namespace dino::bench {

struct Peaks {
  double flops = 0;  // per second: float multiply-adds in registers, two operations each
  double bytes = 0;  // per second: read plus written by a copy far larger than the caches
};

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif
using FloatVector = float __attribute__((vector_size(vector_bytes)));

inline constexpr int chains = 10;  // independent multiply-adds: two pipes of latency four need eight

/// Returns a value that depends on every chain.
inline float multiply_add_chains(i64 steps) {
  FloatVector x[chains];
  for (int i = 0; i < chains; ++i) x[i] = FloatVector{} + static_cast<float>(i);
  const FloatVector factor = FloatVector{} + 0.75f, term = FloatVector{} + 0.25f;
  for (i64 s = 0; s < steps; ++s) {
#pragma GCC unroll 10
    for (int i = 0; i < chains; ++i) x[i] = x[i] * factor + term;
  }
  FloatVector sum{};
  for (int i = 0; i < chains; ++i) sum += x[i];
  return sum[0];
}

/// The shortest of five runs of f, in seconds.
template <class F> double best_seconds(F&& f) {
  double best = 1e30;
  for (int run = 0; run < 5; ++run) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

inline Peaks measure_peaks(Context<Cpu>& ctx) {
  Peaks peaks;
  constexpr i64 steps = 1 << 18, pieces = 64;
  constexpr double flops = 2.0 * chains * vector_bytes / sizeof(float) * steps * pieces;
  const auto multiply_add = [](i64, i64) { [[maybe_unused]] volatile float keep = multiply_add_chains(steps); };
  peaks.flops = flops / best_seconds([&] { parallel_ranges(ctx, pieces, 1, multiply_add); });

  constexpr i64 size = i64{256} << 20, piece = i64{1} << 20;  // small enough for stores through the caches
  const auto from = std::make_unique<char[]>(size), to = std::make_unique<char[]>(size);
  const auto copy = [&](i64 begin, i64 end) {
    std::memcpy(to.get() + begin, from.get() + begin, static_cast<size_t>(end - begin));
  };
  peaks.bytes = 2.0 * size / best_seconds([&] { parallel_ranges(ctx, size, piece, copy); });
  return peaks;
}

}  // namespace dino::bench
