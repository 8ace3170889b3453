// Reads the golden files.
#include "support/golden.hpp"

#include <dino/io/safetensors.hpp>

#include <filesystem>

namespace golden {

File::File(const std::string& name) {
  const auto folder = std::filesystem::path(__FILE__).parent_path().parent_path() / "golden";
  for (const auto& [key, data] : read_safetensors(folder / name).tensors)
    tensors_[key] = {data.shape, data.to<double>()};
}

const File::Stored& File::at(const std::string& name) const {
  INFO("golden tensor " << name);
  REQUIRE(tensors_.count(name) == 1);
  return tensors_.at(name);
}

const File& operations() {
  static const File file("ops.safetensors");
  return file;
}

void check_close(const std::string& what, const std::vector<double>& got, const std::vector<double>& expected,
                 double tolerance) {
  INFO(what);
  CHECK(relative_error(got, expected) <= tolerance);
}

}  // namespace golden
