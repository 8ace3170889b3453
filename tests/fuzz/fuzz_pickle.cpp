// Any bytes as the pickle inside a PyTorch file, whose container is always right: the checksum would stop most of them.
#include <dino/io/pth.hpp>

#include "reader.hpp"
#include "support/pth_files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const dino::u8* data, size_t size) {
  const std::string pickle(reinterpret_cast<const char*>(data), size);
  const auto file = pth::zip({{"a/data.pkl", pickle}, {"a/data/0", std::string(32, '\1')}, {"a/version", "3\n"}});
  return fuzz::check_reader(reinterpret_cast<const dino::u8*>(file.data()), file.size(),
                            [](const std::filesystem::path& path) { dino::read_pth(path); });
}
