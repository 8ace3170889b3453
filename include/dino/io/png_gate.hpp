// Checks a PNG file whole before a decoder sees it: chunk lengths, checksums, header, order.
#pragma once

#include <dino/io/image_limits.hpp>

#include <array>
#include <cstring>
#include <span>
#include <string>

namespace dino::inline DINO_ABI {

struct PngHeader {
  i64 width = 0, height = 0;
  int bit_depth = 0, color_type = 0;
};

namespace detail {

inline constexpr std::array<u8, 8> png_signature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

constexpr std::array<u32, 256> png_crc_table() {
  std::array<u32, 256> table{};
  for (u32 n = 0; n < 256; ++n) {
    u32 c = n;
    for (int k = 0; k < 8; ++k) c = (c & 1u) ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[n] = c;
  }
  return table;
}

/// CRC-32 of ISO 3309, as PNG and zip use it.
inline u32 png_crc(std::span<const u8> bytes) {
  static constexpr auto table = png_crc_table();
  u32 c = 0xffffffffu;
  for (const u8 b : bytes) c = table[(c ^ b) & 0xffu] ^ (c >> 8);
  return c ^ 0xffffffffu;
}

inline u32 read_be32(const u8* p) {
  return (u32{p[0]} << 24) | (u32{p[1]} << 16) | (u32{p[2]} << 8) | u32{p[3]};
}

constexpr bool is_png_format(int depth, int color) {
  const bool small = depth == 1 || depth == 2 || depth == 4;
  switch (color) {
    case 0: return small || depth == 8 || depth == 16;
    case 3: return small || depth == 8;
    case 2:
    case 4:
    case 6: return depth == 8 || depth == 16;
    default: return false;
  }
}

inline PngHeader read_png_header(std::span<const u8> body, const std::string& name) {
  require(body.size() == 13, ErrorKind::data, "{}: damaged PNG: the header has {} bytes, not 13", name, body.size());
  const PngHeader header{read_be32(body.data()), read_be32(body.data() + 4), body[8], body[9]};
  check_image_size(name, header.width, header.height, ImageLimits::side);
  require(is_png_format(header.bit_depth, header.color_type) && body[10] == 0 && body[11] == 0 && body[12] <= 1,
          ErrorKind::data, "{}: damaged PNG: colour type {} with {} bits", name, header.color_type, header.bit_depth);
  return header;
}

}  // namespace detail

/// The header of an intact PNG file. Throws Error(data), naming file and chunk, unless: the signature is there; every
/// chunk lies inside the file and has the right CRC-32; IHDR comes first and its sides are within the limits; there is
/// an IDAT and the first one is not empty; IEND closes the file (bytes behind it are ignored).
/// Why: decoders believe these lengths (a file of 293 bytes can make one ask for 2 GiB) and check no CRC.
inline PngHeader check_png(std::span<const u8> bytes, const std::string& name) {
  const auto& signature = detail::png_signature;
  require(bytes.size() >= signature.size() && std::memcmp(bytes.data(), signature.data(), signature.size()) == 0,
          ErrorKind::data, "{}: not a PNG file", name);
  PngHeader header;
  bool has_data = false;
  for (size_t at = signature.size();;) {
    const size_t left = bytes.size() - at;
    require(left >= 12, ErrorKind::data, "{}: truncated PNG: no IEND chunk", name);
    const u8* chunk = bytes.data() + at;
    const u64 length = detail::read_be32(chunk);
    std::string type(reinterpret_cast<const char*>(chunk) + 4, 4);
    for (char& c : type) c = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? c : '?';
    require(length <= left - 12, ErrorKind::data, "{}: truncated PNG: chunk {} claims {} bytes, {} are left", name,
            type, length, left - 12);
    const auto body = bytes.subspan(at + 8, length);
    require(detail::png_crc(bytes.subspan(at + 4, length + 4)) == detail::read_be32(chunk + 8 + length),
            ErrorKind::data, "{}: damaged PNG: wrong checksum in chunk {}", name, type);
    require((at == signature.size()) == (type == "IHDR"), ErrorKind::data, "{}: damaged PNG: chunk {} out of order",
            name, type);
    if (type == "IHDR") header = detail::read_png_header(body, name);
    if (type == "IDAT" && !has_data) {
      require(length > 0, ErrorKind::data, "{}: damaged PNG: the first IDAT chunk is empty", name);
      has_data = true;
    }
    if (type == "IEND") break;
    at += 12 + length;
  }
  require(has_data, ErrorKind::data, "{}: damaged PNG: no IDAT chunk", name);
  return header;
}

}  // namespace dino::inline DINO_ABI
