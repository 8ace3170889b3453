// Counter-based random numbers: a pure function of (seed, stream, counter), equal on host and device.
#pragma once

#include <dino/base/types.hpp>

#include <string_view>

namespace dino::inline DINO_ABI {

struct PhiloxBlock {
  u32 x[4];
};

/// Philox4x32-10 (Salmon et al. 2011): four random words from a 128-bit counter and a 64-bit key.
/// Equal to the known-answer vectors of Random123.
DINO_SHARED_CODE inline PhiloxBlock philox(PhiloxBlock counter, u32 key0, u32 key1) {
  for (int round = 0; round < 10; ++round) {
    const u64 a = u64{0xD2511F53u} * counter.x[0];
    const u64 b = u64{0xCD9E8D57u} * counter.x[2];
    counter = {{static_cast<u32>(b >> 32) ^ counter.x[1] ^ key0, static_cast<u32>(b),
                static_cast<u32>(a >> 32) ^ counter.x[3] ^ key1, static_cast<u32>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// A word in [0, 1): the upper 24 bits, exact in float.
DINO_SHARED_CODE constexpr float to_unit(u32 word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

/// Mixes two words into one; used to derive keys, never to draw. (Finaliser of splitmix64.)
DINO_SHARED_CODE constexpr u64 mix(u64 a, u64 b) {
  u64 z = a + 0x9E3779B97F4A7C15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// The stream that belongs to a name (FNV-1a), so that a new parameter changes no other one's values.
constexpr u64 stream_of(std::string_view name) {
  u64 hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<u8>(c)) * 0x100000001b3u;
  return hash;
}

/// Identifies one family of random numbers; the index picks a number of it.
struct RngKey {
  u64 key = 0;

  RngKey() = default;
  DINO_SHARED_CODE constexpr RngKey(u64 seed, u64 stream) : key(mix(seed, stream)) {}

  DINO_SHARED_CODE PhiloxBlock block(u64 index, u64 draw = 0) const {
    return philox({{static_cast<u32>(index), static_cast<u32>(index >> 32), static_cast<u32>(draw),
                    static_cast<u32>(draw >> 32)}},
                  static_cast<u32>(key), static_cast<u32>(key >> 32));
  }
  DINO_SHARED_CODE float uniform(u64 index) const { return to_unit(block(index).x[0]); }
};

/// Draws one after another for host code that needs many: same key and index, same sequence.
class RngStream {
 public:
  RngStream(RngKey key, u64 index) : key_(key), index_(index) {}

  u32 bits() {
    if (next_ == 4) {
      block_ = key_.block(index_, draw_++);
      next_ = 0;
    }
    return block_.x[next_++];
  }
  float uniform() { return to_unit(bits()); }                                       // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * unit53(); }  // 53 bits
  /// Uniform in [0, n), n >= 1; unbiased (rejection).
  i64 below(i64 n) {
    const u64 range = static_cast<u64>(n);
    const u64 limit = ~u64{0} - ~u64{0} % range;
    u64 draw = bits64();
    while (draw >= limit) draw = bits64();
    return static_cast<i64>(draw % range);
  }

 private:
  u64 bits64() {
    const u64 high = bits();
    return (high << 32) | bits();
  }
  double unit53() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }

  RngKey key_;
  u64 index_;
  u64 draw_ = 0;
  PhiloxBlock block_{};
  int next_ = 4;
};

}  // namespace dino::inline DINO_ABI
