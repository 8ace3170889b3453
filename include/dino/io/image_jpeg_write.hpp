// RGB to JPEG through the TurboJPEG API (2.x and 3.x): for pictures of pages, where bytes matter more than pixels.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>

#include <vector>

#if DINO_HAS_TURBOJPEG
#  include <turbojpeg.h>
#endif

namespace dino::inline DINO_ABI {

#if DINO_HAS_TURBOJPEG

/// A baseline JPEG file, colours halved in both directions (4:2:0). quality: 1..100, as libjpeg counts. Throws
/// Error{resources} when the library cannot.
inline std::vector<u8> encode_jpeg(const Image& image, int quality) {
  require(image.width >= 1 && image.height >= 1 && image.width < 65536 && image.height < 65536 && quality >= 1 &&
              quality <= 100,
          "encode_jpeg: picture of {} x {}, quality {}", image.width, image.height, quality);
  const tjhandle handle = tjInitCompress();
  require(handle != nullptr, ErrorKind::resources, "libjpeg-turbo: no encoder: {}", tjGetErrorStr2(nullptr));
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int failed =
      tjCompress2(handle, image.pixels.data(), static_cast<int>(image.width), 0, static_cast<int>(image.height),
                  TJPF_RGB, &bytes, &size, TJSAMP_420, quality, TJFLAG_ACCURATEDCT);
  const std::string reason = failed != 0 ? tjGetErrorStr2(handle) : "";
  std::vector<u8> out;
  if (failed == 0) out.assign(bytes, bytes + size);
  tjFree(bytes);
  tjDestroy(handle);
  require(failed == 0, ErrorKind::resources, "libjpeg-turbo: {}", reason);
  return out;
}

#endif

}  // namespace dino::inline DINO_ABI
