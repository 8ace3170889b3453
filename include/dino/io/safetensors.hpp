// safetensors files: read with every check, written with a checksum per tensor.
#pragma once

#include <dino/io/crc32c.hpp>
#include <dino/io/foreign_file.hpp>
#include <dino/io/safetensors_header.hpp>

#include <numeric>

namespace dino::inline DINO_ABI {

/// What identifies a finished file.
struct FileStamp {
  i64 size = 0;  // bytes
  u32 crc = 0;   // CRC-32C of all bytes

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// How tensors will stand in a file: everything in front of the data, and the order of the data.
struct SafetensorsLayout {
  std::string head;           // length and header, padded so that the data begin at a multiple of 64
  std::vector<size_t> order;  // indices of the tensors given
  i64 file_size = 0;          // bytes
};

namespace detail {

inline std::string hex8(u32 value) {
  std::string text(8, '0');
  for (size_t i = 8; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15u];
  return text;
}

/// Descending size of the number type, so that every tensor is aligned to its type without holes; within a type first
/// whole cache lines, then scalars and odd sizes; then by name.
inline std::vector<size_t> data_order(std::span<const TensorView> tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) {
    const auto &a = tensors[i], &b = tensors[j];
    if (dtype_size(a.dtype) != dtype_size(b.dtype)) return dtype_size(a.dtype) > dtype_size(b.dtype);
    const bool a_odd = a.bytes.size() % 64 != 0, b_odd = b.bytes.size() % 64 != 0;
    if (a_odd != b_odd) return b_odd;
    return a.name < b.name;
  });
  return order;
}

/// What the reader will insist on is checked before anything is written.
inline void check_writable(std::span<const TensorView> tensors) {
  const SafetensorsLimits limits;
  std::vector<std::string_view> names;
  for (const auto& t : tensors) {
    require(valid_utf8(t.name) && printable(t.name) && static_cast<i64>(t.name.size()) <= limits.name &&
                t.name != "__metadata__",
            "safetensors: {} is not a name for a tensor", t.name);
    require(t.shape.numel() * dtype_size(t.dtype) == static_cast<i64>(t.bytes.size()),
            "safetensors: tensor {} {} of {} has {} bytes", t.name, t.shape, t.dtype, t.bytes.size());
    names.push_back(t.name);
  }
  require(static_cast<i64>(names.size()) <= limits.tensors, "safetensors: {} tensors, at most {}", names.size(),
          limits.tensors);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require(twice == names.end(), "safetensors: there are two tensors {}", twice == names.end() ? "" : *twice);
}

inline std::string crc_map(std::span<const TensorView> tensors) {
  std::map<std::string_view, u32> sums;
  for (const auto& t : tensors) sums[t.name] = crc32c(t.bytes);
  std::string text = "{";
  for (const auto& [name, sum] : sums) {
    text += (text.size() > 1 ? "," : "") + json_quote(name) + ":\"" + hex8(sum) + '"';
  }
  return text += '}';
}

inline std::string header_text(std::span<const TensorView> tensors, std::span<const size_t> order,
                               const Metadata& metadata) {
  std::string text = R"({"__metadata__":{)";
  for (bool first = true; const auto& [key, value] : metadata) {
    require(valid_utf8(key) && valid_utf8(value), "safetensors: metadata {} is not UTF-8", key);
    text += (std::exchange(first, false) ? "" : ",") + json_quote(key) + ':' + json_quote(value);
  }
  text += '}';
  size_t begin = 0;
  for (const auto i : order) {
    const auto& t = tensors[i];
    text += ',' + json_quote(t.name) + R"(:{"dtype":")" + dtype_name(t.dtype) + R"(","shape":[)";
    for (const auto* extent = t.shape.begin(); extent != t.shape.end(); ++extent) {
      text += (extent == t.shape.begin() ? "" : ",") + std::to_string(*extent);
    }
    text += R"(],"data_offsets":[)" + std::to_string(begin) + ',' + std::to_string(begin + t.bytes.size()) + "]}";
    begin += t.bytes.size();
  }
  return text += '}';
}

/// The sums of dino.crc32c in the order of header.tensors; empty when the file has none.
inline std::vector<u32> stored_sums(const SafetensorsHeader& header, const std::string& path) {
  const auto map = header.metadata.find("dino.crc32c");
  if (map == header.metadata.end()) return {};
  const auto& tensors = header.tensors;
  std::vector<u32> order(tensors.size()), sums(tensors.size());
  std::vector<bool> seen(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return tensors[a].name < tensors[b].name; });
  JsonCursor json(map->second, path + ": dino.crc32c");
  json.object("an object of checksums", [&](const std::string& name) {
    const auto at = std::lower_bound(order.begin(), order.end(), name,
                                     [&](u32 i, const std::string& wanted) { return tensors[i].name < wanted; });
    if (at == order.end() || tensors[*at].name != name) json.refuse(str("no tensor is called {}", shown(name)));
    if (seen[*at]) json.refuse(str("duplicate key {}", name));
    const auto text = json.string("a checksum");
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), sums[*at], 16);
    if (text.size() != 8 || error != std::errc{} || stop != text.data() + 8) json.refuse("expected 8 hex digits");
    seen[*at] = true;
  });
  json.expect_end();
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    json.refuse(str("tensor {} has no checksum", tensors[static_cast<size_t>(missing - seen.begin())].name));
  }
  return sums;
}

inline void check_sum(u32 sum, u32 expected, const std::string& name, const std::string& path) {
  require(sum == expected, ErrorKind::weights, "{}: data of {} is damaged (crc32c {}, expected {}). {}", path, name,
          hex8(sum), hex8(expected), copy_again);
}

}  // namespace detail

/// Lays out a file. The metadata gain format = pt (other readers refuse a file without it) and dino.crc32c, a checksum
/// per tensor. Throws Error{internal} when a name or a size would make the file unreadable. Reads all bytes once.
inline SafetensorsLayout layout_safetensors(std::span<const TensorView> tensors, Metadata metadata) {
  detail::check_writable(tensors);
  metadata["format"] = "pt";
  metadata["dino.crc32c"] = detail::crc_map(tensors);
  SafetensorsLayout layout;
  layout.order = detail::data_order(tensors);
  auto text = detail::header_text(tensors, layout.order, metadata);
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  require(static_cast<i64>(text.size()) <= SafetensorsLimits{}.header, "safetensors: a header of {} is too long",
          size_text(static_cast<i64>(text.size())));
  const u64 length = text.size();
  layout.head.assign(reinterpret_cast<const char*>(&length), 8);
  layout.head += text;
  layout.file_size = static_cast<i64>(layout.head.size());
  for (const auto& t : tensors) layout.file_size += static_cast<i64>(t.bytes.size());
  return layout;
}

/// Writes a layout into a file that is not yet published. Throws Error{resources}.
inline FileStamp write_safetensors(AtomicFile& file, const SafetensorsLayout& layout,
                                   std::span<const TensorView> tensors) {
  file.reserve(layout.file_size);
  file.write(layout.head);
  u32 crc = crc32c(as_bytes(layout.head));
  for (const auto i : layout.order) {
    file.write(tensors[i].bytes);
    crc = crc32c(tensors[i].bytes, crc);
  }
  return {layout.file_size, crc};
}

/// Writes or replaces a file as a whole (AtomicFile). The metadata gain dino.version, format and dino.crc32c.
inline FileStamp write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                                   Metadata metadata) {
  metadata["dino.version"] = DINO_VERSION;
  const auto layout = layout_safetensors(tensors, std::move(metadata));
  AtomicFile file(path);
  const auto stamp = write_safetensors(file, layout, tensors);
  file.commit();
  return stamp;
}

inline FileStamp write_safetensors(const std::filesystem::path& path, const StateDict& dict) {
  return write_safetensors(path, dict.views(), dict.metadata);
}

/// Reads and checks the header only. Throws Error{weights}.
inline SafetensorsHeader read_safetensors_header(const InputFile& file, const SafetensorsLimits& limits = {}) {
  detail::refuse_other_than_safetensors(file);
  require(file.size() >= 8, ErrorKind::weights, "{}: {} are too few: not a safetensors file, or cut. {}", file.path(),
          size_text(file.size()), detail::copy_again);
  u64 length = 0;
  file.read_at(0, {reinterpret_cast<u8*>(&length), 8});
  require(length <= static_cast<u64>(file.size() - 8), ErrorKind::weights,
          "{}: header length {} exceeds the file ({}): not a safetensors file, or damaged. {}", file.path(), length,
          size_text(file.size()), detail::copy_again);
  const i64 limit = std::min(limits.header, i64{100'000'000});
  require(length <= static_cast<u64>(limit), ErrorKind::weights,
          "{}: header length {} exceeds the limit of {} bytes. {}", file.path(), length, limit, detail::write_again);
  std::string text(length, '\0');
  file.read_at(8, {reinterpret_cast<u8*>(text.data()), text.size()});
  return parse_safetensors_header(text, file.size(), file.path(), limits);
}

inline SafetensorsHeader read_safetensors_header(const std::filesystem::path& path,
                                                 const SafetensorsLimits& limits = {}) {
  return read_safetensors_header(InputFile(path, ErrorKind::weights), limits);
}

/// Reads a whole file; checksums are compared where the file has them. Throws Error{weights}: nothing is half loaded.
inline StateDict read_safetensors(const std::filesystem::path& path, const SafetensorsLimits& limits = {}) {
  const InputFile file(path, ErrorKind::weights);
  auto header = read_safetensors_header(file, limits);
  const auto sums = detail::stored_sums(header, file.path());
  StateDict dict;
  for (size_t i = 0; !header.tensors.empty(); ++i, header.tensors.pop_front()) {
    auto& entry = header.tensors.front();
    TensorData tensor{entry.dtype, entry.shape, std::vector<u8>(static_cast<size_t>(entry.end - entry.begin))};
    file.read_at(header.data_begin + entry.begin, tensor.bytes);
    if (!sums.empty()) detail::check_sum(crc32c(tensor.bytes), sums[i], entry.name, file.path());
    dict.tensors.emplace_hint(dict.tensors.end(), std::move(entry.name), std::move(tensor));
  }
  dict.metadata = std::move(header.metadata);
  return dict;
}

/// Reads a file as read_safetensors does, but keeps only a buffer of 1 MiB. Throws Error{weights}.
inline FileStamp verify_safetensors(const std::filesystem::path& path, const SafetensorsLimits& limits = {}) {
  const InputFile file(path, ErrorKind::weights);
  const auto header = read_safetensors_header(file, limits);
  const auto sums = detail::stored_sums(header, file.path());
  std::vector<u8> buffer(size_t{1} << 20);
  u32 whole = 0;
  const auto scan = [&](i64 begin, i64 end) {
    u32 sum = 0;
    while (begin < end) {
      const auto part = std::span(buffer).first(std::min(buffer.size(), static_cast<size_t>(end - begin)));
      file.read_at(begin, part);
      sum = crc32c(part, sum);
      whole = crc32c(part, whole);
      begin += static_cast<i64>(part.size());
    }
    return sum;
  };
  scan(0, header.data_begin);
  for (size_t i = 0; i < header.tensors.size(); ++i) {
    const auto& t = header.tensors[i];
    const u32 sum = scan(header.data_begin + t.begin, header.data_begin + t.end);
    if (!sums.empty()) detail::check_sum(sum, sums[i], t.name, file.path());
  }
  return {file.size(), whole};
}

}  // namespace dino::inline DINO_ABI
