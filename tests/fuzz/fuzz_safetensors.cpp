// Any bytes as a safetensors file: read, or refused with a message.
#include <dino/io/weight_names.hpp>
#include <dino/io/safetensors.hpp>

#include "reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const dino::u8* data, size_t size) {
  return fuzz::check_reader(data, size, [](const std::filesystem::path& path) {
    dino::verify_safetensors(path);
    dino::hub_weights(dino::read_safetensors(path), "teacher", "input");
  });
}
