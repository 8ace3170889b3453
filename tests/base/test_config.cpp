#include <dino/base/config.hpp>

#include "support/catch.hpp"

#include <string>
#include <type_traits>

#define DINO_TEST_TEXT_OF(x) #x
#define DINO_TEST_TEXT(x) DINO_TEST_TEXT_OF(x)

namespace dino::inline DINO_ABI {
struct ConfigTestType {};
}  // namespace dino::inline DINO_ABI

TEST_CASE("config: the version string is made of the three numbers", "[base]") {
  CHECK(std::string(DINO_VERSION) == std::to_string(DINO_VERSION_MAJOR) + "." + std::to_string(DINO_VERSION_MINOR) +
                                         "." + std::to_string(DINO_VERSION_PATCH));
}

TEST_CASE("config: the ABI namespace spells the major version and CUDA, and is transparent", "[base]") {
  const std::string name = DINO_TEST_TEXT(DINO_ABI);
  std::string prefix(1, 'v');
  prefix += std::to_string(DINO_VERSION_MAJOR);
  CHECK(name.starts_with(prefix));
  CHECK((name.find("cuda") != std::string::npos) == (DINO_CUDA == 1));
  CHECK(std::is_same_v<dino::ConfigTestType, dino::DINO_ABI::ConfigTestType>);
}

TEST_CASE("config: optional libraries are 0 or 1", "[base]") {
  for (const int value : {DINO_HAS_TURBOJPEG, DINO_HAS_STB, DINO_HAS_YAML}) CHECK((value == 0 || value == 1));
}
