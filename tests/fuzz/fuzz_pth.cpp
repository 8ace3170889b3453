// Any bytes as a PyTorch file: read, or refused with a message.
#include <dino/io/pth.hpp>
#include <dino/io/weight_names.hpp>

#include "reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const dino::u8* data, size_t size) {
  return fuzz::check_reader(data, size, [](const std::filesystem::path& path) {
    dino::hub_weights(dino::read_pth(path), "teacher", "input");
  });
}
