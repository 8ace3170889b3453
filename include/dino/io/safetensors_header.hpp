// The header of a safetensors file: parsed from hostile text, checked against the file size, and written.
#pragma once

#include <dino/io/foreign_file.hpp>
#include <dino/io/json_cursor.hpp>
#include <dino/io/state_dict.hpp>

#include <algorithm>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>

namespace dino::inline DINO_ABI {

/// One tensor of a file; begin and end count from the start of the data.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  i64 begin = 0, end = 0;  // bytes
};

/// What a file says about itself. Tensors stand in the order of their data.
struct SafetensorsHeader {
  std::deque<SafetensorsEntry> tensors;  // a deque gives memory back while it is emptied from the front
  Metadata metadata;
  i64 data_begin = 0;  // bytes: 8 + length of the header
  i64 file_size = 0;   // bytes
};

struct SafetensorsLimits {
  i64 header = i64{16} << 20;  // bytes; the format itself allows 100,000,000
  i64 tensors = 1'000'000;
  i64 metadata = 10'000;  // entries
  i64 rank = 8;           // Shape holds 6 of them
  i64 name = 512;         // bytes
};

namespace detail {

/// True when well-formed UTF-8 holds no control character (C0, DEL, C1).
inline bool printable(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<u8>(text[i]);
    if (c < 0x20 || c == 0x7f) return false;
    if (c == 0xc2 && static_cast<u8>(text[i + 1]) < 0xa0) return false;
  }
  return true;
}

/// All types of the format: those we load, then those we only know.
struct SafetensorsType {
  std::string_view name;
  i64 bits;
};
inline constexpr SafetensorsType safetensors_types[] = {
    {"F64", 64},    {"I64", 64},    {"F32", 32},    {"I32", 32},        {"F16", 16},        {"BF16", 16},
    {"U8", 8},      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"U32", 32},    {"C64", 64},    {"U64", 64},
};
inline constexpr size_t loadable_types = std::size(dtype_table);

/// An entry whose type may be one that we only know: dtype is then the index into safetensors_types.
inline size_t type_index(const SafetensorsEntry& entry) { return static_cast<size_t>(entry.dtype); }

inline void parse_type(JsonCursor& json, SafetensorsEntry& entry) {
  const auto name = json.string("a type");
  const auto* type = std::find_if(std::begin(safetensors_types), std::end(safetensors_types),
                                  [&](const auto& t) { return t.name == name; });
  if (type == std::end(safetensors_types))
    json.refuse(str("tensor {} has the unknown type {}", entry.name, shown(name)));
  entry.dtype = static_cast<DType>(type - safetensors_types);
}

inline void parse_shape(JsonCursor& json, SafetensorsEntry& entry, const SafetensorsLimits& limits) {
  std::vector<i64> extents;
  json.array("a shape", [&] {
    if (static_cast<i64>(extents.size()) == limits.rank) {
      json.refuse(str("tensor {} has more than {} dimensions", entry.name, limits.rank));
    }
    extents.push_back(json.integer("an extent"));
  });
  if (static_cast<i64>(extents.size()) > Shape::max_rank) {
    json.refuse(
        str("tensor {} has {} dimensions, at most {} are supported", entry.name, extents.size(), Shape::max_rank));
  }
  entry.shape = Shape(std::span<const i64>(extents));
}

inline void parse_offsets(JsonCursor& json, SafetensorsEntry& entry) {
  json.expect('[', "two offsets");
  entry.begin = json.integer("an offset");
  json.expect(',', "two offsets");
  entry.end = json.integer("an offset");
  json.expect(']', "two offsets");
}

inline void parse_entry(JsonCursor& json, SafetensorsEntry& entry, const SafetensorsLimits& limits) {
  bool has_type = false, has_shape = false, has_offsets = false;
  json.object("the description of a tensor", [&](const std::string& key) {
    const auto is = [&](std::string_view name, bool& seen) {
      if (key != name) return false;
      if (std::exchange(seen, true)) json.refuse(str("duplicate key {} in tensor {}", key, entry.name));
      return true;
    };
    if (is("dtype", has_type)) return parse_type(json, entry);
    if (is("shape", has_shape)) return parse_shape(json, entry, limits);
    if (is("data_offsets", has_offsets)) return parse_offsets(json, entry);
    json.refuse(str("unknown key {} in tensor {}", shown(key), entry.name));
  });
  if (!has_type || !has_shape || !has_offsets) {
    json.refuse(str("tensor {} lacks {}", entry.name, !has_type ? "dtype" : !has_shape ? "shape" : "data_offsets"));
  }
}

inline void parse_metadata(JsonCursor& json, Metadata& metadata, const SafetensorsLimits& limits) {
  json.object("an object of strings", [&](std::string key) {
    if (static_cast<i64>(metadata.size()) == limits.metadata) json.refuse("too many entries in __metadata__");
    auto value = json.string("a string (__metadata__ holds strings only)");
    if (!metadata.try_emplace(key, std::move(value)).second)
      json.refuse(str("duplicate key {} in __metadata__", shown(key)));
  });
}

inline void check_names_unique(const std::deque<SafetensorsEntry>& tensors, const JsonCursor& json) {
  std::vector<u32> order(tensors.size());
  for (u32 i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return tensors[a].name < tensors[b].name; });
  for (size_t i = 1; i < order.size(); ++i) {
    const auto& name = tensors[order[i]].name;
    if (name == tensors[order[i - 1]].name) json.refuse(str("duplicate tensor {}", name));
  }
}

/// Offsets without hole or overlap, sizes that follow from shape and type, and an end that is the end of the file.
inline void check_ranges(SafetensorsHeader& header, std::string_view path) {
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const auto& a, const auto& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  i64 previous = 0;
  for (const auto& t : header.tensors) {
    require(t.begin == previous && t.end >= t.begin, ErrorKind::weights,
            "{}: tensor {} has offsets {} to {}, expected to begin at {}: overlap, hole or damage", path, t.name,
            t.begin, t.end, previous);
    previous = t.end;
  }
  for (const auto& t : header.tensors) {
    const auto& type = safetensors_types[type_index(t)];
    i64 bits = 1;
    bool overflow = false;
    for (const i64 extent : t.shape) overflow = overflow || __builtin_mul_overflow(bits, extent, &bits);
    overflow = overflow || __builtin_mul_overflow(bits, type.bits, &bits);
    require(!overflow, ErrorKind::weights, "{}: the size of tensor {} {} overflows", path, t.name, t.shape);
    require(bits % 8 == 0, ErrorKind::weights, "{}: tensor {} {} of {} is not a whole number of bytes", path, t.name,
            t.shape, type.name);
    require(bits / 8 == t.end - t.begin, ErrorKind::weights, "{}: tensor {} {} of {} needs {} bytes, the file has {}",
            path, t.name, t.shape, type.name, bits / 8, t.end - t.begin);
  }
  require(header.file_size - header.data_begin == previous, ErrorKind::weights,
          "{}: the tensors need {} bytes, the file has {}: cut, or something was added", path, previous,
          header.file_size - header.data_begin);
}

inline constexpr std::string_view write_again =
    "Copy or download the file again, or write it again with save_file of safetensors.torch";

/// All checks but that the types can be loaded.
inline SafetensorsHeader checked_header(std::string_view text, i64 file_size, const std::string& path,
                                        const SafetensorsLimits& limits) {
  require(valid_utf8(text), ErrorKind::weights, "{}: the header is not UTF-8: not a safetensors file", path);
  SafetensorsHeader header;
  header.data_begin = 8 + static_cast<i64>(text.size());
  header.file_size = file_size;
  JsonCursor json(text, path + ": the header");
  bool has_metadata = false;
  json.object("an opening brace", [&](std::string name) {
    if (name == "__metadata__") {
      if (std::exchange(has_metadata, true)) json.refuse("duplicate key __metadata__");
      return parse_metadata(json, header.metadata, limits);
    }
    if (static_cast<i64>(header.tensors.size()) == limits.tensors) json.refuse("too many tensors");
    if (static_cast<i64>(name.size()) > limits.name) json.refuse(str("a name of more than {} bytes", limits.name));
    if (!printable(name)) json.refuse("a name with control characters");
    header.tensors.emplace_back().name = std::move(name);
    parse_entry(json, header.tensors.back(), limits);
  });
  json.expect_end();
  check_names_unique(header.tensors, json);
  check_ranges(header, path);
  return header;
}

}  // namespace detail

/// Parses and checks a header (the text after the 8 bytes of its length) of a file of file_size bytes, in the order of
/// the reference reader: UTF-8, JSON and limits, offsets, sizes, end of file; then types that cannot be loaded.
/// Throws Error{weights}. Memory: less than three times the text.
inline SafetensorsHeader parse_safetensors_header(std::string_view text, i64 file_size, const std::string& path,
                                                  const SafetensorsLimits& limits = {}) {
  SafetensorsHeader header;
  try {
    header = detail::checked_header(text, file_size, path, limits);
  } catch (const Error& error) {
    fail(error.kind(), "{}. {}", error.what(), detail::write_again);
  }
  for (const auto& t : header.tensors) {
    require(detail::type_index(t) < detail::loadable_types, ErrorKind::weights,
            "{}: tensor {} has type {}, which cannot be loaded; convert to F32 with Python: from safetensors.torch "
            "import load_file, save_file; save_file({k: v.float() for k, v in load_file('in').items()}, 'out')",
            path, t.name, detail::safetensors_types[detail::type_index(t)].name);
  }
  return header;
}

}  // namespace dino::inline DINO_ABI
