// Picture files to RGB: JPEG, PNG and BMP, told apart by their contents.
#pragma once

#include <dino/io/image_jpeg.hpp>
#include <dino/io/image_stb.hpp>
#include <dino/io/image_write.hpp>

#include <filesystem>
#include <fstream>
#include <string_view>

namespace dino::inline DINO_ABI {

namespace detail {

inline bool starts_with(std::span<const u8> bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() && std::memcmp(bytes.data(), prefix.data(), prefix.size()) == 0;
}

/// The first bytes of a file as a person can read them.
inline std::string printable_start(std::span<const u8> bytes) {
  std::string out;
  for (const u8 b : bytes.first(std::min<size_t>(bytes.size(), 16))) {
    constexpr const char* hex = "0123456789abcdef";
    if (b >= 0x20 && b < 0x7f) {
      out += static_cast<char>(b);
    } else {
      out += std::string{'\\', 'x', hex[b >> 4], hex[b & 15]};
    }
  }
  return out;
}

[[noreturn]] inline void fail_unknown_image(std::span<const u8> bytes, const std::string& name) {
  constexpr std::pair<const char*, const char*> known[] = {
      {"GIF8", "GIF"}, {"RIFF", "WebP"}, {"II*\0", "TIFF"}, {"MM\0*", "TIFF"}, {"8BPS", "PSD"}};
  require(!bytes.empty(), ErrorKind::data, "{}: the file is empty", name);
  for (const auto& [prefix, format] : known) {
    require(!starts_with(bytes, {prefix, 4}), ErrorKind::data, "{}: {} is not supported; JPEG, PNG and BMP are", name,
            format);
  }
  fail(ErrorKind::data, "{}: not an image (starts with \"{}\")", name, printable_start(bytes));
}

inline DecodedImage decode_any_jpeg(std::span<const u8> bytes, const std::string& name,
                                    [[maybe_unused]] JpegWarnings policy) {
#if DINO_HAS_TURBOJPEG
  return decode_jpeg(bytes, name, policy);
#elif DINO_HAS_STB && DINO_STB_JPEG
  require(has_jpeg_end(bytes), ErrorKind::data, "{}: damaged JPEG: no end marker", name);  // stb does not mind
  return {decode_stb(bytes, name, ImageLimits::side), ""};
#else
  fail(ErrorKind::data, "{}: this build reads no JPEG ({} bytes); install libjpeg-turbo and build again", name,
       bytes.size());
#endif
}

inline Image decode_by_stb(std::span<const u8> bytes, const std::string& name) {
#if DINO_HAS_STB
  return decode_stb(bytes, name, ImageLimits::side);
#else
  fail(ErrorKind::data, "{}: this build reads no PNG or BMP ({} bytes); install stb_image and build again", name,
       bytes.size());
#endif
}

}  // namespace detail

/// Decodes a JPEG, PNG or BMP file in memory; `name` stands in messages.
/// Gray is replicated, alpha and transparency are dropped, palettes expanded, CMYK converted as Pillow does, 16-bit
/// samples cut to their upper byte; orientation, colour profiles and gamma are ignored.
/// Throws Error(data) naming file and reason if it is no picture, is damaged, or exceeds the limits. With
/// JpegWarnings::use, a JPEG that yields pixels in spite of damage is returned with the decoder's warning; harmless
/// warnings (stray bytes in front of a marker, unknown Adobe transform) are returned under either policy.
/// Thread-safe; each thread keeps one decoder.
inline DecodedImage decode_image(std::span<const u8> bytes, const std::string& name, JpegWarnings policy) {
  require(static_cast<i64>(bytes.size()) <= ImageLimits::file_bytes, ErrorKind::data,
          "{}: {} bytes, a picture file may have {}", name, bytes.size(), ImageLimits::file_bytes);
  if (detail::starts_with(bytes, "\xff\xd8\xff")) return detail::decode_any_jpeg(bytes, name, policy);
  if (detail::starts_with(bytes, "\x89PNG")) {
    check_png(bytes, name);
    return {detail::decode_by_stb(bytes, name), ""};
  }
  if (detail::starts_with(bytes, "BM")) {
    detail::check_bmp(bytes, name);
    return {detail::decode_by_stb(bytes, name), ""};
  }
  detail::fail_unknown_image(bytes, name);
}

/// The same; a JPEG that gives pixels only with a warning of damage is an error.
inline Image decode_image(std::span<const u8> bytes, const std::string& name) {
  return decode_image(bytes, name, JpegWarnings::skip).image;
}

/// The bytes of a picture file, at most ImageLimits::file_bytes. Throws Error(data).
inline std::vector<u8> read_image_file(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::error_code error;
  require(std::filesystem::exists(path, error), ErrorKind::data, "{}: no such file", name);
  require(std::filesystem::is_regular_file(path, error), ErrorKind::data, "{}: not a file", name);
  const auto size = std::filesystem::file_size(path, error);
  require(!error && size <= static_cast<std::uintmax_t>(ImageLimits::file_bytes), ErrorKind::data,
          "{}: {} bytes, a picture file may have {}", name, size, ImageLimits::file_bytes);
  std::ifstream file(path, std::ios::binary);
  std::vector<u8> bytes(static_cast<size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  require(file.good() || (size == 0 && !file.bad()), ErrorKind::data, "{}: cannot be read", name);
  return bytes;
}

/// Reads and decodes a picture file. Throws as decode_image.
inline Image load_image(const std::filesystem::path& path) {
  return decode_image(read_image_file(path), path.string());
}

}  // namespace dino::inline DINO_ABI
