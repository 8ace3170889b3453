// JPEG to RGB through the TurboJPEG API (2.x and 3.x).
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>
#include <dino/io/image_limits.hpp>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#if DINO_HAS_TURBOJPEG
#  include <turbojpeg.h>
#endif

namespace dino::inline DINO_ABI {

/// What to do with a JPEG whose decoder complains and still delivers pixels.
enum class JpegWarnings { skip, use };

/// A picture, and the decoder's remark when it was used in spite of one (empty: none).
struct DecodedImage {
  Image image;
  std::string warning;
};

namespace detail {

/// Walks the marker segments in front of the first scan and says whether there is an Adobe APP14 segment: its writers
/// store CMYK inverted.
inline bool has_adobe_marker(std::span<const u8> jpeg) {
  size_t at = 2;
  while (at + 4 <= jpeg.size()) {
    if (jpeg[at] != 0xff) return false;
    const u8 marker = jpeg[at + 1];
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) return false;
    const size_t length = static_cast<size_t>(jpeg[at + 2]) * 256 + jpeg[at + 3];
    if (length < 2) return false;
    const bool app14 = marker == 0xee && length >= 14 && at + 9 <= jpeg.size();
    if (app14 && std::memcmp(&jpeg[at + 4], "Adobe", 5) == 0) return true;
    at += 2 + length;
  }
  return false;
}

/// Whether an end-of-image marker stands anywhere behind the first two bytes.
inline bool has_jpeg_end(std::span<const u8> jpeg) {
  for (size_t i = jpeg.size(); i >= 4; --i) {
    if (jpeg[i - 2] == 0xff && jpeg[i - 1] == 0xd9) return true;
  }
  return false;
}

/// round(a b / 255), as Pillow computes it.
constexpr int muldiv255(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

/// n = 255 - K, R = n - C n / 255 and so on; source: Pillow, convert("RGB") of a CMYK picture.
inline Image cmyk_to_rgb(const std::vector<u8>& cmyk, i64 width, i64 height, bool inverted) {
  Image image(width, height);
  const u8 flip = inverted ? 255 : 0;
  const u8* in = cmyk.data();
  u8* out = image.pixels.data();
  for (i64 i = 0; i < width * height; ++i, in += 4, out += 3) {
    const int n = 255 - (in[3] ^ flip);
    for (int c = 0; c < 3; ++c) out[c] = static_cast<u8>(n - muldiv255(in[c] ^ flip, n));
  }
  return image;
}

#if DINO_HAS_TURBOJPEG

/// Owns one decompressor. A handle is unusable after any complaint: tables of a broken file stay in it, and it then
/// rejects intact files ("Bogus Huffman table definition", libjpeg-turbo 2.1.5). So it is made anew each time.
class JpegDecoder {
 public:
  JpegDecoder() = default;
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
  ~JpegDecoder() { reset(); }

  DecodedImage decode(std::span<const u8> jpeg, const std::string& name, JpegWarnings policy) {
    DecodedImage out;
    int width = 0, height = 0, subsampling = 0, colorspace = -1;
    if (tjDecompressHeader3(handle(), jpeg.data(), jpeg.size(), &width, &height, &subsampling, &colorspace) != 0) {
      // Uncommon sampling factors have no name in this API, which calls that an error; decoding them works.
      const bool decodable = complaint_mentions("subsampling") && width > 0 && height > 0;
      if (!decodable) judge(jpeg, name, policy, out.warning);
      reset();
    }
    if (width == 0) {  // a file of tables alone is no error to the library
      reset();
      fail(ErrorKind::data, "{}: damaged JPEG: no picture in it", name);
    }
    check_image_size(name, width, height, ImageLimits::jpeg_side);
    const bool cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
    std::vector<u8> inks(cmyk ? static_cast<size_t>(4) * static_cast<size_t>(width) * static_cast<size_t>(height) : 0);
    if (!cmyk) out.image = Image(width, height);
    u8* pixels = cmyk ? inks.data() : out.image.pixels.data();
    const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
    const int format = cmyk ? TJPF_CMYK : TJPF_RGB;
    if (tjDecompress2(handle(), jpeg.data(), jpeg.size(), pixels, width, 0, height, format, flags) != 0) {
      judge(jpeg, name, policy, out.warning);
      reset();
    }
    if (cmyk) out.image = cmyk_to_rgb(inks, width, height, has_adobe_marker(jpeg));
    return out;
  }

 private:
  tjhandle handle() {
    if (!handle_) handle_ = tjInitDecompress();
    require(handle_ != nullptr, ErrorKind::resources, "libjpeg-turbo: no decoder: {}", tjGetErrorStr2(nullptr));
    return handle_;
  }

  void reset() {
    if (handle_) tjDestroy(handle_);
    handle_ = nullptr;
  }

  bool complaint_mentions(const char* words) { return std::strstr(tjGetErrorStr2(handle_), words) != nullptr; }

  /// Throws unless the last complaint leaves the pixels usable. Only the first warning of a file is reported, so a
  /// harmless one may hide that the file was cut: then the end marker is missing.
  void judge(std::span<const u8> jpeg, const std::string& name, JpegWarnings policy, std::string& warning) {
    const std::string complaint = tjGetErrorStr2(handle_);
    const bool is_warning = tjGetErrorCode(handle_) == TJERR_WARNING;
    const bool harmless = complaint_mentions("extraneous bytes") || complaint_mentions("Unknown Adobe color transform");
    if (is_warning && (policy == JpegWarnings::use || (harmless && has_jpeg_end(jpeg)))) {
      warning = complaint;
      return;
    }
    reset();
    fail(ErrorKind::data, "{}: damaged JPEG: {}", name, complaint);
  }

  tjhandle handle_ = nullptr;
};

inline DecodedImage decode_jpeg(std::span<const u8> jpeg, const std::string& name, JpegWarnings policy) {
  thread_local JpegDecoder decoder;
  return decoder.decode(jpeg, name, policy);
}

#endif

}  // namespace detail
}  // namespace dino::inline DINO_ABI
