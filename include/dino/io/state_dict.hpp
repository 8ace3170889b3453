// Named tensors as they stand in files: bytes with a number type and a shape.
#pragma once

#include <dino/base/shape.hpp>

#include <concepts>
#include <cstring>
#include <map>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// Number types of stored tensors, named as in safetensors files.
enum class DType : u8 { F64, I64, F32, I32, F16, BF16, U8, BOOL };

inline constexpr struct {
  const char* name;
  i64 size;  // bytes
} dtype_table[] = {{"F64", 8}, {"I64", 8}, {"F32", 4}, {"I32", 4}, {"F16", 2}, {"BF16", 2}, {"U8", 1}, {"BOOL", 1}};

constexpr i64 dtype_size(DType type) { return dtype_table[static_cast<size_t>(type)].size; }
constexpr const char* dtype_name(DType type) { return dtype_table[static_cast<size_t>(type)].name; }
inline std::ostream& operator<<(std::ostream& out, DType type) { return out << dtype_name(type); }

namespace detail {
template <class T> struct DTypeOf;
template <> struct DTypeOf<double> { static constexpr DType value = DType::F64; };
template <> struct DTypeOf<i64> { static constexpr DType value = DType::I64; };
template <> struct DTypeOf<float> { static constexpr DType value = DType::F32; };
template <> struct DTypeOf<i32> { static constexpr DType value = DType::I32; };
template <> struct DTypeOf<f16> { static constexpr DType value = DType::F16; };
template <> struct DTypeOf<bf16> { static constexpr DType value = DType::BF16; };
template <> struct DTypeOf<u8> { static constexpr DType value = DType::U8; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::BOOL; };
}  // namespace detail

/// The C++ types that can be stored, and the stored type of each.
template <class T>
concept Storable = requires {
  detail::DTypeOf<T>::value;
};
template <Storable T> inline constexpr DType dtype_of = detail::DTypeOf<T>::value;

namespace detail {
inline constexpr bool is_real(DType type) {
  return type == DType::F64 || type == DType::F32 || type == DType::F16 || type == DType::BF16;
}

/// One number of a file as another type. Reals go through float unless one side is double.
template <class To, class From> To convert_number(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<From, f16> || std::is_same_v<From, bf16>) {
    return convert_number<To>(to_float(x));
  } else if constexpr (std::is_same_v<To, f16>) {
    return to_f16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bf16>) {
    return to_bf16(static_cast<float>(x));
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From> std::vector<To> convert_numbers(std::span<const u8> bytes) {
  std::vector<To> result(bytes.size() / sizeof(From));
  if constexpr (std::is_same_v<To, From>) {
    if (!bytes.empty()) std::memcpy(result.data(), bytes.data(), bytes.size());
  } else {
    for (size_t i = 0; i < result.size(); ++i) {
      From value;  // by memcpy: the bytes of a file have no alignment
      std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
      result[i] = convert_number<To>(value);
    }
  }
  return result;
}

template <class Real> std::vector<Real> reals_from(DType type, std::span<const u8> bytes) {
  if (type == DType::F64) return convert_numbers<Real, double>(bytes);
  if (type == DType::F32) return convert_numbers<Real, float>(bytes);
  if (type == DType::F16) return convert_numbers<Real, f16>(bytes);
  return convert_numbers<Real, bf16>(bytes);
}

inline std::vector<i64> integers_from(DType type, std::span<const u8> bytes) {
  if (type == DType::I64) return convert_numbers<i64, i64>(bytes);
  if (type == DType::I32) return convert_numbers<i64, i32>(bytes);
  return convert_numbers<i64, u8>(bytes);  // U8, BOOL
}
}  // namespace detail

/// A tensor that a file keeps: numel(shape) * dtype_size(dtype) bytes, little-endian, last axis contiguous.
struct TensorData {
  DType dtype = DType::F32;
  Shape shape;
  std::vector<u8> bytes;

  /// The numbers as T. Between reals of any width the values are rounded to nearest; i64 takes every integer type and
  /// BOOL; any other T must be the stored type. Throws Error{weights}.
  template <Storable T> std::vector<T> to() const {
    if constexpr (detail::is_real(dtype_of<T>)) {
      if (detail::is_real(dtype)) return detail::reals_from<T>(dtype, bytes);
    } else if constexpr (std::is_same_v<T, i64>) {
      if (!detail::is_real(dtype)) return detail::integers_from(dtype, bytes);
    } else if constexpr (!std::is_same_v<T, bool>) {  // std::vector<bool> has no memory to copy to
      if (dtype == dtype_of<T>) return detail::convert_numbers<T, T>(bytes);
    }
    fail(ErrorKind::weights, "a tensor of type {} and shape {} cannot be read as {}", dtype, shape, dtype_of<T>);
  }
};

/// A tensor to be written, in memory of somebody else, or of its own: then copies of the view share it.
struct TensorView {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  std::span<const u8> bytes;
  std::shared_ptr<const void> owner{};  // what the bytes live and die with; null: somebody else's
};

namespace detail {
template <class R>
concept StorableRange = std::ranges::contiguous_range<R> && Storable<std::ranges::range_value_t<R>>;

template <StorableRange R> std::span<const u8> bytes_of(const Shape& shape, const R& values) {
  const auto size = static_cast<size_t>(std::ranges::size(values));
  require(static_cast<i64>(size) == shape.numel(), "tensor: {} values for shape {}", size, shape);
  return {reinterpret_cast<const u8*>(std::ranges::data(values)), size * sizeof(std::ranges::range_value_t<R>)};
}
}  // namespace detail

/// A copy of the values: any contiguous range (vector, array, span) of a storable type, shape.numel() of them.
template <detail::StorableRange R> TensorData tensor_data(const Shape& shape, const R& values) {
  const auto bytes = detail::bytes_of(shape, values);
  return {dtype_of<std::ranges::range_value_t<R>>, shape, std::vector<u8>(bytes.begin(), bytes.end())};
}

/// The values themselves under a name, not copied: they must outlive the view.
template <detail::StorableRange R> TensorView tensor_view(std::string name, const Shape& shape, const R& values) {
  return {std::move(name), dtype_of<std::ranges::range_value_t<R>>, shape, detail::bytes_of(shape, values), {}};
}

using Metadata = std::map<std::string, std::string, std::less<>>;

/// Named tensors in the order of their names, and texts about them.
struct StateDict {
  std::map<std::string, TensorData, std::less<>> tensors;
  Metadata metadata;

  /// Throws Error{internal} when the name is taken.
  void add(std::string name, TensorData tensor) {
    const auto [at, added] = tensors.try_emplace(std::move(name), std::move(tensor));
    require(added, "state_dict: there is already a tensor {}", at->first);
  }

  const TensorData* find(std::string_view name) const {
    const auto at = tensors.find(name);
    return at == tensors.end() ? nullptr : &at->second;
  }

  /// Throws Error{weights} when there is no such tensor.
  const TensorData& at(std::string_view name) const {
    const auto* tensor = find(name);
    require(tensor != nullptr, ErrorKind::weights, "there is no tensor {} among the {} of the file", name,
            tensors.size());
    return *tensor;
  }

  /// All tensors as views into this dictionary.
  std::vector<TensorView> views() const {
    std::vector<TensorView> result;
    result.reserve(tensors.size());
    for (const auto& [name, tensor] : tensors) {
      result.push_back({name, tensor.dtype, tensor.shape, tensor.bytes, {}});
    }
    return result;
  }
};

}  // namespace dino::inline DINO_ABI
