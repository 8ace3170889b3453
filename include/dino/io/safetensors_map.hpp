// safetensors files read in place: tensors are views of the mapped file.
#pragma once

#include <dino/io/mapped_file.hpp>
#include <dino/io/safetensors.hpp>

namespace dino::inline DINO_ABI {

/// Tensors of a file in the order of their names, and its texts. Each tensor owns what it shows: a copy of one of them
/// outlives this object.
struct SafetensorsMap {
  std::vector<TensorView> tensors;
  Metadata metadata;

  const TensorView* find(std::string_view name) const {
    const auto at =
        std::lower_bound(tensors.begin(), tensors.end(), name,
                         [](const TensorView& tensor, std::string_view wanted) { return tensor.name < wanted; });
    return at == tensors.end() || at->name != name ? nullptr : &*at;
  }

  /// Throws Error{weights} when there is no such tensor.
  const TensorView& at(std::string_view name) const {
    const auto* tensor = find(name);
    require(tensor != nullptr, ErrorKind::weights, "there is no tensor {} among the {} of the file", name,
            tensors.size());
    return *tensor;
  }
};

/// The numbers of a view, in place; T must be the stored type, and not bool, which a file may fill with other bytes
/// than 0 and 1. Throws Error{weights} when it is not, or when the bytes are not aligned to it (those of
/// map_safetensors are).
template <Storable T> std::span<const T> numbers_of(const TensorView& t) {
  static_assert(!std::is_same_v<T, bool>, "read the bytes of a BOOL tensor");
  require(t.dtype == dtype_of<T>, ErrorKind::weights, "tensor {} of type {} and shape {} cannot be viewed as {}",
          t.name, t.dtype, t.shape, dtype_of<T>);
  require(reinterpret_cast<std::uintptr_t>(t.bytes.data()) % alignof(T) == 0, ErrorKind::weights,
          "tensor {} of type {} does not begin at a multiple of {} bytes; copy it", t.name, t.dtype, alignof(T));
  return {reinterpret_cast<const T*>(t.bytes.data()), t.bytes.size() / sizeof(T)};
}

/// Reads a file as read_safetensors does, with all of its checks first and the same errors, but leaves the tensors
/// where the file is mapped (MappedFile says which files not to map). Tensors that do not begin at a multiple of their
/// number's size, which files of this library never have, are copied; numbers_of takes all of them. Memory: the header
/// and those copies. Checksums, where the file has them, read every byte once; without them only what is used is read.
/// Throws Error{weights}.
inline SafetensorsMap map_safetensors(const std::filesystem::path& path, const SafetensorsLimits& limits = {}) {
  const InputFile input(path, ErrorKind::weights);
  auto header = read_safetensors_header(input, limits);
  const auto sums = detail::stored_sums(header, input.path());
  const auto file = std::make_shared<const MappedFile>(input);
  const auto data = file->bytes().subspan(static_cast<size_t>(header.data_begin));
  SafetensorsMap map;
  map.tensors.reserve(header.tensors.size());
  for (size_t i = 0; !header.tensors.empty(); ++i, header.tensors.pop_front()) {
    auto& entry = header.tensors.front();
    auto bytes = data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin));
    if (!sums.empty()) detail::check_sum(crc32c(bytes), sums[i], entry.name, input.path());
    TensorView tensor{std::move(entry.name), entry.dtype, entry.shape, bytes, file};
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % static_cast<size_t>(dtype_size(entry.dtype)) != 0) {
      const auto copy = std::make_shared<const std::vector<u8>>(bytes.begin(), bytes.end());
      tensor.bytes = *copy;
      tensor.owner = copy;
    }
    map.tensors.push_back(std::move(tensor));
  }
  std::sort(map.tensors.begin(), map.tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  map.metadata = std::move(header.metadata);
  return map;
}

}  // namespace dino::inline DINO_ABI
