// CRC-32C (Castagnoli), the checksum of tensors and event records.
#pragma once

#include <dino/base/types.hpp>

#include <array>
#include <cstring>
#include <span>

#if defined(__SSE4_2__) && defined(__x86_64__)
#  include <nmmintrin.h>
#endif

namespace dino::inline DINO_ABI {

namespace detail {

using CrcTables = std::array<std::array<u32, 256>, 8>;

/// tables[k][b]: what byte b does to the sum when k more bytes follow it.
constexpr CrcTables make_crc32c_tables() {
  CrcTables tables{};
  for (u32 b = 0; b < 256; ++b) {
    u32 crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) ? 0x82f63b78u : 0u);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) {
      const u32 crc = tables[k - 1][b];
      tables[k][b] = (crc >> 8) ^ tables[0][crc & 0xffu];
    }
  }
  return tables;
}

inline constexpr CrcTables crc32c_tables = make_crc32c_tables();

/// Eight bytes per round by eight tables; start and result without the final inversion.
inline u32 crc32c_by_tables(u32 crc, std::span<const u8> data) {
  const auto& t = crc32c_tables;
  size_t i = 0;
  for (; i + 8 <= data.size(); i += 8) {
    u64 word;
    std::memcpy(&word, data.data() + i, 8);
    word ^= crc;
    crc = t[7][word & 0xffu] ^ t[6][(word >> 8) & 0xffu] ^ t[5][(word >> 16) & 0xffu] ^ t[4][(word >> 24) & 0xffu] ^
          t[3][(word >> 32) & 0xffu] ^ t[2][(word >> 40) & 0xffu] ^ t[1][(word >> 48) & 0xffu] ^ t[0][word >> 56];
  }
  for (; i < data.size(); ++i) crc = (crc >> 8) ^ t[0][(crc ^ data[i]) & 0xffu];
  return crc;
}

#if defined(__SSE4_2__) && defined(__x86_64__)
/// The instruction of SSE 4.2, which computes this very polynomial.
inline u32 crc32c_by_instruction(u32 crc, std::span<const u8> data) {
  u64 wide = crc;
  size_t i = 0;
  for (; i + 8 <= data.size(); i += 8) {
    u64 word;
    std::memcpy(&word, data.data() + i, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<u32>(wide);
  for (; i < data.size(); ++i) crc = _mm_crc32_u8(crc, data[i]);
  return crc;
}
#endif

}  // namespace detail

/// CRC-32C of the data: reflected polynomial 0x82F63B78, start and final xor 0xFFFFFFFF.
/// Continues a sum: crc32c(b, crc32c(a)) is the sum of a followed by b.
inline u32 crc32c(std::span<const u8> data, u32 previous = 0) {
#if defined(__SSE4_2__) && defined(__x86_64__)
  return ~detail::crc32c_by_instruction(~previous, data);
#else
  return ~detail::crc32c_by_tables(~previous, data);
#endif
}

}  // namespace dino::inline DINO_ABI
