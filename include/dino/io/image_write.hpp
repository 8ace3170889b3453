// RGB pictures to PNG, without a library.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/io/png_gate.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

namespace dino::inline DINO_ABI {

namespace detail {

/// Writes a deflate stream (RFC 1951), least significant bit first.
class BitWriter {
 public:
  explicit BitWriter(std::vector<u8>& out) : out_(out) {}

  void put(u32 value, int count) {
    hold_ |= u64{value} << filled_;
    filled_ += count;
    for (; filled_ >= 8; filled_ -= 8, hold_ >>= 8) out_.push_back(static_cast<u8>(hold_));
  }
  /// Huffman codes go most significant bit first.
  void put_code(u32 code, int count) {
    u32 reversed = 0;
    for (int i = 0; i < count; ++i) reversed |= ((code >> i) & 1u) << (count - 1 - i);
    put(reversed, count);
  }
  void flush() {
    if (filled_ > 0) put(0, 8 - filled_);
  }

 private:
  std::vector<u8>& out_;
  u64 hold_ = 0;
  int filled_ = 0;
};

/// A literal or length symbol in the fixed code of RFC 1951, 3.2.6.
inline void put_fixed_symbol(BitWriter& bits, u32 symbol) {
  if (symbol < 144) {
    bits.put_code(0x30 + symbol, 8);
  } else if (symbol < 256) {
    bits.put_code(0x190 + symbol - 144, 9);
  } else if (symbol < 280) {
    bits.put_code(symbol - 256, 7);
  } else {
    bits.put_code(0xc0 + symbol - 280, 8);
  }
}

/// Lengths 3..258 and distances 1..32768: the largest base that does not exceed the value, and the rest in extra bits.
inline void put_match(BitWriter& bits, u32 length, u32 distance) {
  const auto put_class = [&](u32 value, u32 small, u32 per_octave_bits, auto&& put_symbol) {
    // `small` values have a symbol each; behind them every power of two is cut into 2^per_octave_bits classes.
    if (value < small) return put_symbol(value);
    int extra = 0;
    while ((value >> extra) >= (2u << per_octave_bits)) ++extra;
    put_symbol(static_cast<u32>(extra) * (1u << per_octave_bits) + (value >> extra));
    bits.put(value & ((1u << extra) - 1), extra);
  };
  if (length == 258) {
    put_fixed_symbol(bits, 285);
  } else {
    put_class(length - 3, 8, 2, [&](u32 symbol) { put_fixed_symbol(bits, 257 + symbol); });
  }
  put_class(distance - 1, 4, 1, [&](u32 symbol) { bits.put_code(symbol, 5); });
}

/// One block in the fixed code: greedy matches, the last position with the same three bytes is the only candidate.
inline void deflate_fixed(std::span<const u8> data, std::vector<u8>& out) {
  constexpr size_t window = 32768, longest = 258;
  constexpr u32 table_bits = 15;
  std::vector<size_t> last(size_t{1} << table_bits, ~size_t{0});
  BitWriter bits(out);
  bits.put(1, 1);  // final block
  bits.put(1, 2);  // fixed code
  for (size_t at = 0; at < data.size();) {
    size_t length = 0, distance = 0;
    if (at + 3 <= data.size()) {
      const u32 key = u32{data[at]} | (u32{data[at + 1]} << 8) | (u32{data[at + 2]} << 16);
      size_t& candidate = last[(key * 0x9E3779B1u) >> (32 - table_bits)];
      if (candidate != ~size_t{0} && at - candidate <= window) {
        distance = at - candidate;
        const size_t limit = std::min(longest, data.size() - at);
        while (length < limit && data[candidate + length] == data[at + length]) ++length;
      }
      candidate = at;
    }
    if (length >= 3) {
      put_match(bits, static_cast<u32>(length), static_cast<u32>(distance));
      at += length;
    } else {
      put_fixed_symbol(bits, data[at++]);
    }
  }
  put_fixed_symbol(bits, 256);
  bits.flush();
}

inline u32 adler32(std::span<const u8> data) {
  u32 a = 1, b = 0;
  for (const u8 byte : data) {
    a = (a + byte) % 65521u;
    b = (b + a) % 65521u;
  }
  return (b << 16) | a;
}

inline void put_be32(std::vector<u8>& out, u32 value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<u8>(value >> shift));
}

inline void put_png_chunk(std::vector<u8>& out, std::string_view type, std::span<const u8> body) {
  put_be32(out, static_cast<u32>(body.size()));
  const size_t start = out.size();
  out.insert(out.end(), type.begin(), type.end());
  out.insert(out.end(), body.begin(), body.end());
  put_be32(out, png_crc(std::span(out).subspan(start)));
}

/// Rows with their filter byte. Of the filters None, Sub and Up, each row takes the one with the smallest sum of
/// absolute differences (the rule that the PNG specification recommends).
inline std::vector<u8> filter_png_rows(const Image& image) {
  const size_t row = static_cast<size_t>(3 * image.width);
  std::vector<u8> out;
  out.reserve((row + 1) * static_cast<size_t>(image.height));
  std::vector<u8> candidate[3];
  for (i64 y = 0; y < image.height; ++y) {
    const u8* now = image.at(0, y);
    i64 best = 0, best_cost = 0;
    for (i64 filter = 0; filter < 3; ++filter) {
      auto& line = candidate[filter];
      line.resize(row);
      i64 cost = 0;
      for (size_t i = 0; i < row; ++i) {
        const u8 left = i >= 3 ? now[i - 3] : u8{0};
        const u8 above = y > 0 ? image.at(0, y - 1)[i] : u8{0};
        line[i] = static_cast<u8>(now[i] - (filter == 1 ? left : filter == 2 ? above : u8{0}));
        cost += line[i] < 128 ? line[i] : 256 - line[i];
      }
      if (filter == 0 || cost < best_cost) {
        best = filter;
        best_cost = cost;
      }
    }
    out.push_back(static_cast<u8>(best));
    out.insert(out.end(), candidate[best].begin(), candidate[best].end());
  }
  return out;
}

}  // namespace detail

/// An 8-bit RGB PNG file. Throws Error(internal) if a side is not in [1, 16384].
inline std::vector<u8> encode_png(const Image& image) {
  const i64 w = image.width, h = image.height;
  require(w >= 1 && h >= 1 && w <= ImageLimits::side && h <= ImageLimits::side, "encode_png: {} x {} pixels", w, h);
  require(image.pixels.size() == static_cast<size_t>(3 * w * h), "encode_png: {} bytes for {} x {}",
          image.pixels.size(), w, h);
  std::vector<u8> out(detail::png_signature.begin(), detail::png_signature.end());
  std::vector<u8> body;
  detail::put_be32(body, static_cast<u32>(w));
  detail::put_be32(body, static_cast<u32>(h));
  body.insert(body.end(), {8, 2, 0, 0, 0});  // 8 bits, RGB, deflate, five filters, not interlaced
  detail::put_png_chunk(out, "IHDR", body);
  const auto rows = detail::filter_png_rows(image);
  body = {0x78, 0x01};  // zlib: 32 KiB window
  detail::deflate_fixed(rows, body);
  detail::put_be32(body, detail::adler32(rows));
  detail::put_png_chunk(out, "IDAT", body);
  detail::put_png_chunk(out, "IEND", {});
  return out;
}

/// Writes a PNG file. Throws Error(resources) if that fails.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  const auto bytes = encode_png(image);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  require(!file.fail(), ErrorKind::resources, "{}: cannot be written", path.string());
}

}  // namespace dino::inline DINO_ABI
