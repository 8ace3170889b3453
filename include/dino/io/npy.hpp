// NumPy's .npy files: one array each.
#pragma once

#include <dino/io/file.hpp>
#include <dino/io/state_dict.hpp>

#include <array>

namespace dino::inline DINO_ABI {

namespace detail {

inline constexpr i64 npy_header_limit = 64 << 10;  // bytes
inline constexpr size_t npy_rank_limit = 8;        // Shape holds 6 of them

struct NpyType {
  std::string_view descr;
  DType dtype;
};
inline constexpr NpyType npy_types[] = {
    {"<f8", DType::F64}, {"<i8", DType::I64}, {"<f4", DType::F32},  {"<i4", DType::I32},
    {"<f2", DType::F16}, {"|u1", DType::U8},  {"|b1", DType::BOOL},
};

struct NpyHeader {
  DType dtype = DType::F32;
  bool narrow = false;   // |i1: one byte in the file, I32 in memory
  bool fortran = false;  // first axis contiguous
  Shape shape;
  i64 data_begin = 0;  // bytes
};

/// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (3,), }, keys in any order.
class NpyCursor {
 public:
  NpyCursor(std::string_view text, std::string_view path) : text_(text), path_(path) {}

  NpyHeader header() {
    NpyHeader result;
    bool seen[3] = {false, false, false};
    expect('{');
    while (!accept('}')) {
      const auto key = quoted();
      const size_t which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : 3;
      if (which == 3) refuse(str("unknown key {}", key));
      if (std::exchange(seen[which], true)) refuse(str("duplicate key {}", key));
      expect(':');
      if (which == 0) type(result);
      if (which == 1) result.fortran = truth();
      if (which == 2) result.shape = shape();
      if (accept(',')) continue;
      expect('}');
      break;
    }
    for (size_t i = 0; i < 3; ++i) {
      if (!seen[i]) refuse(str("there is no {}", std::array{"descr", "fortran_order", "shape"}[i]));
    }
    skip_space();
    if (at_ != text_.size()) refuse("something follows the description");
    return result;
  }

 private:
  [[noreturn]] void refuse(std::string_view why) const {
    fail(ErrorKind::weights, "{}: bad npy header: {}", path_, why);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(str("expected {} at character {}", c, at_));
  }

  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const auto end = text_.find(quote, at_);
    if (end == text_.npos) refuse("the text ends inside a string");
    const auto result = text_.substr(at_, end - at_);
    at_ = end + 1;
    return result;
  }

  void type(NpyHeader& result) {
    if (accept('[')) refuse("structured types cannot be read");
    const auto descr = quoted();
    if (descr.find('O') != descr.npos) refuse("it holds Python objects (pickle), which are never read");
    if (descr.starts_with('>')) refuse(str("{} is big-endian; save it with .astype('<...')", descr));
    result.narrow = descr == "|i1";
    if (result.narrow) return void(result.dtype = DType::I32);
    for (const auto& known : npy_types) {
      if (known.descr == descr) return void(result.dtype = known.dtype);
    }
    refuse(str("type {} cannot be read; convert it to float32", descr));
  }

  bool truth() {
    skip_space();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    refuse("fortran_order is neither True nor False");
  }

  Shape shape() {
    std::vector<i64> extents;
    expect('(');
    while (!accept(')')) {
      skip_space();
      i64 extent = 0;
      const auto [stop, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc{} || extent < 0) refuse(str("expected an extent at character {}", at_));
      at_ = static_cast<size_t>(stop - text_.data());
      if (extents.size() == npy_rank_limit) refuse(str("more than {} dimensions", npy_rank_limit));
      extents.push_back(extent);
      if (accept(',')) continue;
      if (extents.size() == 1) refuse("(n) is no tuple, expected (n,)");
      expect(')');
      break;
    }
    if (static_cast<i64>(extents.size()) > Shape::max_rank) {
      refuse(str("{} dimensions, at most {} are supported", extents.size(), Shape::max_rank));
    }
    return Shape(std::span<const i64>(extents));
  }

  std::string_view text_, path_;
  size_t at_ = 0;
};

inline NpyHeader read_npy_header(const InputFile& file) {
  constexpr std::string_view magic = "\x93NUMPY";
  u8 start[12] = {};
  const auto given = std::min<i64>(file.size(), 12);
  file.read_at(0, std::span(start).first(static_cast<size_t>(given)));
  const bool known = given >= 10 && std::string_view(reinterpret_cast<const char*>(start), 6) == magic;
  require(known, ErrorKind::weights, "{}: not an npy file", file.path());
  require(start[6] >= 1 && start[6] <= 3, ErrorKind::weights, "{}: npy version {}.{} is unknown", file.path(),
          int{start[6]}, int{start[7]});
  i64 length = start[8] | (start[9] << 8);
  const i64 begin = start[6] == 1 ? 10 : 12;
  if (start[6] > 1) length |= (i64{start[10]} << 16) | (i64{start[11]} << 24);
  require(length <= npy_header_limit && begin + length <= file.size(), ErrorKind::weights,
          "{}: npy header of {} bytes exceeds the file ({}) or the limit", file.path(), length, size_text(file.size()));
  std::string text(static_cast<size_t>(length), '\0');
  file.read_at(begin, {reinterpret_cast<u8*>(text.data()), text.size()});
  auto header = NpyCursor(text, file.path()).header();
  header.data_begin = begin + length;
  return header;
}

/// Bytes that the shape asks for must be the bytes of the file: checked before any of them is allocated.
inline void check_npy_size(const NpyHeader& header, const InputFile& file) {
  i64 bytes = header.narrow ? 1 : dtype_size(header.dtype);
  bool overflow = false;
  for (const i64 extent : header.shape) overflow = overflow || __builtin_mul_overflow(bytes, extent, &bytes);
  require(!overflow, ErrorKind::weights, "{}: the size of {} overflows", file.path(), header.shape);
  require(bytes == file.size() - header.data_begin, ErrorKind::weights, "{}: {} needs {} bytes, the file has {}",
          file.path(), header.shape, bytes, file.size() - header.data_begin);
}

/// From first axis contiguous to last axis contiguous.
inline std::vector<u8> from_fortran(const Shape& shape, std::span<const u8> source, size_t size) {
  std::vector<u8> result(source.size());
  std::array<i64, Shape::max_rank> index{};
  for (size_t to = 0; to < result.size(); to += size) {
    i64 from = 0;
    for (i64 axis = shape.rank(); axis-- > 0;) from = from * shape[axis] + index[static_cast<size_t>(axis)];
    std::memcpy(result.data() + to, source.data() + static_cast<size_t>(from) * size, size);
    for (i64 axis = shape.rank(); axis-- > 0;) {
      if (++index[static_cast<size_t>(axis)] < shape[axis]) break;
      index[static_cast<size_t>(axis)] = 0;
    }
  }
  return result;
}

}  // namespace detail

/// Reads an array: versions 1 to 3; f2, f4, f8, i4, i8, u1, b1 as they are, i1 as I32; Fortran order is turned into C
/// order. Pickled objects, structured and big-endian types are refused. Throws Error{weights}. Memory: the data, twice
/// for Fortran order.
inline TensorData read_npy(const std::filesystem::path& path) {
  const InputFile file(path, ErrorKind::weights);
  const auto header = detail::read_npy_header(file);
  detail::check_npy_size(header, file);
  const auto size = static_cast<size_t>(file.size() - header.data_begin);
  TensorData tensor{header.dtype, header.shape, std::vector<u8>(header.narrow ? 4 * size : size)};
  file.read_at(header.data_begin, std::span(tensor.bytes).last(size));
  for (size_t i = 0; header.narrow && i < size; ++i) {  // in place: byte 3 size + i lies behind number i
    const i32 value = static_cast<signed char>(tensor.bytes[3 * size + i]);
    std::memcpy(tensor.bytes.data() + 4 * i, &value, 4);
  }
  if (header.fortran && header.shape.rank() > 1) {
    tensor.bytes = detail::from_fortran(header.shape, tensor.bytes, static_cast<size_t>(dtype_size(header.dtype)));
  }
  return tensor;
}

/// Writes an array in C order, version 1.0. NumPy has no bf16: such a tensor is refused. Throws Error{resources}.
inline void write_npy(const std::filesystem::path& path, DType dtype, const Shape& shape, std::span<const u8> bytes) {
  require(shape.numel() * dtype_size(dtype) == static_cast<i64>(bytes.size()), "write_npy: {} of {} has {} bytes",
          shape, dtype, bytes.size());
  const auto* type = std::find_if(std::begin(detail::npy_types), std::end(detail::npy_types),
                                  [&](const auto& t) { return t.dtype == dtype; });
  require(type != std::end(detail::npy_types), "write_npy: {} has no type for {}", path.string(), dtype);
  std::string extents;
  for (i64 axis = 0; axis < shape.rank(); ++axis) {
    extents += (axis > 0 ? ", " : "") + std::to_string(shape[axis]) + (shape.rank() == 1 ? "," : "");
  }
  auto text = str("{'descr': '{}', 'fortran_order': False, 'shape': ({}), }", type->descr, extents);
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  const char prefix[] = {'\x93',
                         'N',
                         'U',
                         'M',
                         'P',
                         'Y',
                         1,
                         0,
                         static_cast<char>(text.size() & 0xff),
                         static_cast<char>(text.size() >> 8)};
  AtomicFile file(path);
  file.write(std::string_view(prefix, sizeof(prefix)));
  file.write(text);
  file.write(bytes);
  file.commit();
}

inline void write_npy(const std::filesystem::path& path, const TensorData& tensor) {
  write_npy(path, tensor.dtype, tensor.shape, tensor.bytes);
}

/// Any contiguous range of a storable type, shape.numel() of them.
template <detail::StorableRange R>
void write_npy(const std::filesystem::path& path, const Shape& shape, const R& values) {
  write_npy(path, dtype_of<std::ranges::range_value_t<R>>, shape, detail::bytes_of(shape, values));
}

}  // namespace dino::inline DINO_ABI
