// What a network looks at in the same pictures, kept at several steps of a run; and the sheet that shows it.
#pragma once

#include <dino/io/color_map.hpp>
#include <dino/io/contact_sheet.hpp>
#include <dino/io/npy.hpp>
#include <dino/io/resized_image.hpp>

#include <charconv>

namespace dino::inline DINO_ABI {

/// At most n of the numbers 0 to size - 1, evenly spread; with n >= 2 the first and the last are among them.
inline std::vector<i64> evenly_spread(i64 size, i64 n) {
  std::vector<i64> out;
  n = std::min(n, size);
  for (i64 i = 0; i < n; ++i) out.push_back(n > 1 ? i * (size - 1) / (n - 1) : 0);
  return out;
}

/// Maps of all pictures at one step.
struct AttentionRecord {
  i64 step = 0;
  std::vector<float> maps;  // (pictures,h,w)
};

/// Writes the maps of a step, (pictures,h,w), as folder/step_<step>.npy. Throws Error{resources}.
inline void keep_attention(const std::filesystem::path& folder, i64 step, const Shape& shape,
                           const std::vector<float>& maps) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, ErrorKind::resources, "cannot create {}: {}", folder.string(), error.message());
  write_npy(folder / str("step_{}.npy", step), shape, maps);
}

namespace detail {

/// The number in step_<number>.npy; -1 for any other name.
inline i64 step_of_name(const std::string& name) {
  constexpr std::string_view begin = "step_", end = ".npy";
  if (!name.starts_with(begin) || !name.ends_with(end) || name.size() <= begin.size() + end.size()) return -1;
  i64 step = -1;
  const char *const first = name.data() + begin.size(), *const last = name.data() + name.size() - end.size();
  const auto [at, code] = std::from_chars(first, last, step);
  return at == last && code == std::errc() ? step : -1;
}

/// The values of a file that holds floats of this shape; empty for any other.
inline std::vector<float> maps_of_file(const std::filesystem::path& path, const Shape& shape) {
  try {
    const auto tensor = read_npy(path);
    if (tensor.dtype != DType::F32 || !(tensor.shape == shape)) return {};
    std::vector<float> out(static_cast<size_t>(shape.numel()));
    std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
    return out;
  } catch (const Error&) {
    return {};
  }
}

}  // namespace detail

/// What keep_attention has left there up to last_step, in the order of the steps; of more than `most` records the
/// first, the last and others evenly between. Files of another shape, and those that cannot be read, are passed over:
/// they are of other pictures, or damaged.
inline std::vector<AttentionRecord> kept_attention(const std::filesystem::path& folder, const Shape& shape,
                                                   i64 last_step, i64 most) {
  std::vector<AttentionRecord> all, out;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const i64 step = detail::step_of_name(entry.path().filename().string());
    if (step < 0 || step > last_step) continue;
    if (auto maps = detail::maps_of_file(entry.path(), shape); !maps.empty()) all.push_back({step, std::move(maps)});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  for (const i64 i : evenly_spread(static_cast<i64>(all.size()), most))
    out.push_back(std::move(all[static_cast<size_t>(i)]));
  return out;
}

/// The pictures in the first row, below them a row for each record: the map of each picture in viridis, from its least
/// to its greatest value, a square for a patch. shape: (pictures,h,w) of the records. titles: of the records. Dark
/// paper, which is at home on light and dark pages. Throws Error(internal) when numbers do not fit together.
inline Image attention_sheet(const std::vector<Image>& pictures, const Shape& shape,
                             const std::vector<AttentionRecord>& records, const std::vector<std::string>& titles) {
  const i64 n = static_cast<i64>(pictures.size());
  require(
      n >= 1 && shape.rank() == 3 && shape[0] == n && shape[1] >= 1 && shape[2] >= 1 && titles.size() == records.size(),
      "attention sheet: {} pictures, maps {}, {} records, {} titles", n, shape, records.size(), titles.size());
  const i64 h = shape[1], w = shape[2], factor = std::max<i64>(1, (72 + w / 2) / w);  // 72 pixels or so
  std::vector<Image> tiles;
  for (const auto& p : pictures) tiles.push_back(resized(p, w * factor, h * factor));
  for (const auto& record : records) {
    require(static_cast<i64>(record.maps.size()) == shape.numel(), "attention sheet: {} values for {}",
            record.maps.size(), shape);
    for (i64 i = 0; i < n; ++i) {
      const auto map = std::span(record.maps).subspan(static_cast<size_t>(i * h * w), static_cast<size_t>(h * w));
      tiles.push_back(enlarged(color_image(map, w, h, color_map("viridis")), factor, factor));
    }
  }
  SheetText text{.scale = 2, .ink = {228, 228, 228}, .paper = {32, 36, 41}};
  text.rows.push_back("");
  text.rows.insert(text.rows.end(), titles.begin(), titles.end());
  return contact_sheet(tiles, n, text);
}

}  // namespace dino::inline DINO_ABI
