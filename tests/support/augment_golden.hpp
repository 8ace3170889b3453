// The cases of tests/golden/augment.json and of $DINO_GOLDEN_DIR/augment*.json, and the pictures they are about.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/image.hpp>

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace augment_golden {

using namespace dino;
using Json = nlohmann::json;

inline const Json& file() {
  static const Json json = [] {
    const auto tests = std::filesystem::path(__FILE__).parent_path().parent_path();
    std::ifstream stream(tests / "golden" / "augment.json");
    return Json::parse(stream);
  }();
  return json;
}

/// The cases of one group, "resample" for example, of all files.
inline std::vector<Json> cases(const std::string& group) {
  std::vector<Json> all = file().at(group);
  const char* const folder = std::getenv("DINO_GOLDEN_DIR");
  if (!folder) return all;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with("augment") || !name.ends_with(".json")) continue;
    std::ifstream stream(entry.path());
    const auto json = Json::parse(stream);
    require(json.contains(group), "{} has no cases \"{}\"", entry.path().string(), group);
    for (const auto& c : json.at(group)) all.push_back(c);
  }
  return all;
}

/// Bytes of a 32-bit linear congruential generator; with contrast, only 0 and 255.
inline Image picture(u32 seed, i64 width, i64 height, bool contrast = false) {
  Image image(width, height);
  for (u8& byte : image.pixels) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<u8>(seed >> 24);
    if (contrast) byte = byte > 127 ? 255 : 0;
  }
  return image;
}

/// Every colour whose channels are multiples of 5.
inline Image cube() {
  Image image(52, 52 * 52);
  u8* p = image.pixels.data();
  for (int r = 0; r < 256; r += 5) {
    for (int g = 0; g < 256; g += 5) {
      for (int b = 0; b < 256; b += 5, p += 3) {
        p[0] = static_cast<u8>(r);
        p[1] = static_cast<u8>(g);
        p[2] = static_cast<u8>(b);
      }
    }
  }
  return image;
}

inline Image picture_of(const Json& c) {
  if (c.contains("cube")) return cube();
  return picture(c["seed"].get<u32>(), c["size"][0].get<i64>(), c["size"][1].get<i64>(), c["contrast"].get<bool>());
}

/// Whether bytes are what the case says, all of them or their FNV-1a hash.
inline bool matches(const Json& c, std::span<const u8> bytes) {
  if (c.contains("bytes")) return c["bytes"].get<std::vector<u8>>() == std::vector<u8>(bytes.begin(), bytes.end());
  u64 hash = 0xcbf29ce484222325u;
  for (const u8 b : bytes) hash = (hash ^ b) * 0x100000001b3u;
  return c["hash"].get<std::string>() == [&] {
    std::string out;
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(hash >> shift) & 15];
    return out;
  }();
}

}  // namespace augment_golden
