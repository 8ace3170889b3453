// Any bytes as a safetensors file: read, or refused with a message; mapped, the same tensors or the same message.
#include <dino/io/safetensors_map.hpp>
#include <dino/io/weight_names.hpp>

#include "reader.hpp"

namespace {

/// What map_safetensors makes of the file must be what read_safetensors makes of it.
void check_map(const std::filesystem::path& path, const dino::StateDict* read, const std::string& refusal) {
  std::string why;
  bool equal = true;
  try {
    const auto map = dino::map_safetensors(path);
    equal = read && map.metadata == read->metadata && map.tensors.size() == read->tensors.size();
    for (const auto& t : map.tensors) {
      const auto* other = read ? read->find(t.name) : nullptr;
      equal = equal && other && other->dtype == t.dtype && other->shape == t.shape &&
              std::ranges::equal(other->bytes, t.bytes) &&
              reinterpret_cast<std::uintptr_t>(t.bytes.data()) % static_cast<size_t>(dtype_size(t.dtype)) == 0;
    }
  } catch (const dino::Error& error) {
    why = error.what();
  }
  if (equal && why == refusal) return;
  std::fprintf(stderr, "fuzz: mapped otherwise than read: '%s', '%s'\n", why.c_str(), refusal.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const dino::u8* data, size_t size) {
  fuzz::check_reader(data, size, [](const std::filesystem::path& path) {
    dino::verify_safetensors(path);
    dino::hub_weights(dino::read_safetensors(path), "teacher", "input");
  });
  fuzz::check_reader(data, size, [](const std::filesystem::path& path) { dino::map_safetensors(path); });
  // Beside one another, without a limit: both have kept theirs.
  std::optional<dino::StateDict> read;
  std::string refusal;
  const std::filesystem::path path = fuzz::input_path();
  try {
    read = dino::read_safetensors(path);
  } catch (const dino::Error& error) {
    refusal = error.what();
  }
  check_map(path, read ? &*read : nullptr, refusal);
  return 0;
}
