// PNG and BMP to RGB through stb_image, with few formats, a memory budget and no symbols of its own.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/io/png_gate.hpp>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <span>
#include <string>

// 1: stb_image decodes JPEG where libjpeg-turbo is absent. Only from version 2.28: older ones write out of bounds.
#ifndef DINO_STB_JPEG
#  define DINO_STB_JPEG 0
#endif

namespace dino::inline DINO_ABI::detail {

/// Memory that one picture may still take. A damaged file would otherwise ask for gigabytes.
struct StbBudget {
  size_t left = 0;
  bool exceeded = false;
};

inline StbBudget& stb_budget() {
  thread_local StbBudget budget;
  return budget;
}

inline constexpr size_t stb_block_header = 16;  // bytes: keeps the size, and the alignment of malloc

inline void* stb_malloc(size_t size) {
  auto& budget = stb_budget();
  if (size > budget.left) {
    budget.exceeded = true;
    return nullptr;
  }
  auto* block = static_cast<u8*>(std::malloc(size + stb_block_header));
  if (!block) return nullptr;
  std::memcpy(block, &size, sizeof size);
  budget.left -= size;
  return block + stb_block_header;
}

inline void stb_free(void* pointer) {
  if (!pointer) return;
  u8* block = static_cast<u8*>(pointer) - stb_block_header;
  size_t size = 0;
  std::memcpy(&size, block, sizeof size);
  stb_budget().left += size;
  std::free(block);
}

inline void* stb_realloc(void* pointer, size_t old_size, size_t size) {
  void* grown = stb_malloc(size);
  if (!grown) return nullptr;
  if (pointer) std::memcpy(grown, pointer, old_size < size ? old_size : size);
  stb_free(pointer);
  return grown;
}

[[noreturn]] inline void stb_broken() { fail(ErrorKind::data, "stb_image: inconsistent picture"); }

/// BMP keeps no checksum, and stb_image reads zeros behind the end of a file: the pixels must all be there.
inline void check_bmp(std::span<const u8> bytes, const std::string& name) {
  const auto le32 = [&](size_t at) {
    return u32{bytes[at]} | (u32{bytes[at + 1]} << 8) | (u32{bytes[at + 2]} << 16) | (u32{bytes[at + 3]} << 24);
  };
  require(bytes.size() >= 30, ErrorKind::data, "{}: truncated BMP", name);
  const bool old_header = le32(14) == 12;
  const auto signed_side = [&](size_t at) { return i64{static_cast<i32>(le32(at))}; };
  const i64 width = old_header ? i64{le32(18) & 0xffffu} : signed_side(18);
  const i64 height = old_header ? i64{le32(18) >> 16} : signed_side(22);
  const i64 bits = old_header ? i64{le32(22) >> 16} : i64{le32(26) >> 16};
  check_image_size(name, width, height < 0 ? -height : height, ImageLimits::side);
  const i64 row = (width * bits + 31) / 32 * 4;  // bytes, rows are padded to four
  const i64 needed = i64{le32(10)} + row * (height < 0 ? -height : height) - row + (width * bits + 7) / 8;
  require(static_cast<i64>(bytes.size()) >= needed, ErrorKind::data, "{}: truncated BMP: {} bytes, {} are needed", name,
          bytes.size(), needed);
}

}  // namespace dino::inline DINO_ABI::detail

#if DINO_HAS_STB

// The library is compiled into a namespace, with internal linkage, and its macros are taken back: a program may use
// another copy with other settings. Its standard headers come first, outside the namespace.
#  include <cassert>
#  include <cmath>
#  include <cstdarg>
#  include <cstddef>
#  include <cstdint>
#  include <limits.h>
#  include <math.h>
#  include <stdarg.h>
#  include <stddef.h>
#  include <stdint.h>
#  include <stdlib.h>
#  include <string.h>

#  ifdef STBI_INCLUDE_STB_IMAGE_H
#    error "include dino/io/image.hpp before stb_image.h"
#  endif
#  define STB_IMAGE_IMPLEMENTATION
#  define STB_IMAGE_STATIC
#  define STBI_NO_STDIO
#  define STBI_NO_LINEAR
#  define STBI_NO_HDR
#  define STBI_NO_SIMD
#  define STBI_ONLY_PNG
#  define STBI_ONLY_BMP
#  if DINO_STB_JPEG
#    define STBI_ONLY_JPEG
#  endif
#  define STBI_MAX_DIMENSIONS 16384
#  define STBI_ASSERT(x) ((x) ? (void)0 : ::dino::detail::stb_broken())
#  define STBI_MALLOC(size) ::dino::detail::stb_malloc(size)
#  define STBI_REALLOC_SIZED(pointer, old_size, size) ::dino::detail::stb_realloc(pointer, old_size, size)
#  define STBI_FREE(pointer) ::dino::detail::stb_free(pointer)

#  pragma GCC diagnostic push
#  pragma GCC diagnostic ignored "-Wall"
#  pragma GCC diagnostic ignored "-Wextra"
#  pragma GCC diagnostic ignored "-Wunused-function"
#  pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#  pragma GCC diagnostic ignored "-Wconversion"
#  pragma GCC diagnostic ignored "-Wsign-conversion"
#  pragma GCC diagnostic ignored "-Wshadow"
namespace dino::inline DINO_ABI::detail::stb {
#  if __has_include(<stb_image.h>)
#    include <stb_image.h>
#  else
#    include <stb/stb_image.h>
#  endif
}  // namespace dino::inline DINO_ABI::detail::stb
#  pragma GCC diagnostic pop

#  undef STBI_INCLUDE_STB_IMAGE_H
#  undef STB_IMAGE_IMPLEMENTATION
#  undef STB_IMAGE_STATIC
#  undef STBIDEF
#  undef stbi__err
#  undef STBI_NO_STDIO
#  undef STBI_NO_LINEAR
#  undef STBI_NO_HDR
#  undef STBI_NO_SIMD
#  undef STBI_ONLY_PNG
#  undef STBI_ONLY_BMP
#  undef STBI_ONLY_JPEG
#  undef STBI_NO_JPEG
#  undef STBI_NO_GIF
#  undef STBI_NO_PSD
#  undef STBI_NO_TGA
#  undef STBI_NO_PIC
#  undef STBI_NO_PNM
#  undef STBI_MAX_DIMENSIONS
#  undef STBI_ASSERT
#  undef STBI_MALLOC
#  undef STBI_REALLOC
#  undef STBI_REALLOC_SIZED
#  undef STBI_FREE

namespace dino::inline DINO_ABI::detail {

/// Decodes a file that passed its gate. Alpha is dropped, gray replicated, palettes expanded, 16 bits cut to the upper
/// 8. Memory: at most 4 x file size + 32 bytes per pixel + 64 KiB at a time.
inline Image decode_stb(std::span<const u8> bytes, const std::string& name, i64 max_side) {
  int width = 0, height = 0, channels = 0;
  auto& budget = stb_budget();
  budget = {.left = 4 * bytes.size() + (size_t{64} << 10), .exceeded = false};
  require(bytes.size() <= static_cast<size_t>(std::numeric_limits<int>::max()), ErrorKind::data, "{}: too large", name);
  const int size = static_cast<int>(bytes.size());
  const auto reason = [&]() -> std::string {
    if (budget.exceeded) return "decoding needs more memory than an intact file of this size would";
    const char* text = stb::stbi_failure_reason();
    return text ? text : "no reason given";
  };
  require(stb::stbi_info_from_memory(bytes.data(), size, &width, &height, &channels) != 0, ErrorKind::data,
          "{}: cannot be decoded: {}", name, reason());
  check_image_size(name, width, height, max_side);
  budget.left += size_t{32} * static_cast<size_t>(width) * static_cast<size_t>(height);
  const int promised[2] = {width, height};
  u8* pixels = stb::stbi_load_from_memory(bytes.data(), size, &width, &height, &channels, 3);
  require(pixels != nullptr, ErrorKind::data, "{}: cannot be decoded: {}", name, reason());
  Image image;
  if (width == promised[0] && height == promised[1]) {
    image = Image(width, height);
    std::memcpy(image.pixels.data(), pixels, image.pixels.size());
  }
  stb_free(pixels);
  require(image.width > 0, ErrorKind::data, "{}: cannot be decoded: its header and its pixels disagree", name);
  return image;
}

}  // namespace dino::inline DINO_ABI::detail

#endif
