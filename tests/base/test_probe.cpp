#include <dino/base/probe.hpp>

#include "support/catch.hpp"

#include <string>

using dino::probe::Build;

namespace {

// What print_difference writes about two builds; empty when it finds none.
std::string difference(const Build& a, const Build& b) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  const bool differs = dino::probe::print_difference(file, a, b);
  std::rewind(file);
  char text[1024] = {};
  const std::string message(text, std::fread(text, 1, sizeof text, file));
  std::fclose(file);
  CHECK(differs == !message.empty());
  return message;
}

constexpr Build sse{"a.cpp", "0.1.0", "SSE2", 16, 0};

}  // namespace

TEST_CASE("probe: equal builds pass, whatever the file is called", "[base]") {
  Build other = sse;
  other.file = "b.cpp";
  CHECK(difference(sse, other) == "");
}

TEST_CASE("probe: other vector instructions name both files and the remedy", "[base][fault][F39]") {
  CHECK(difference(sse, {"b.cpp", "0.1.0", "AVX-512", 64, 0}) ==
        "dino: a.cpp was compiled with alignment 16 (SSE2), b.cpp with 64 (AVX-512): compile every file of a program "
        "with the same -march\n");
}

TEST_CASE("probe: equal alignment with other instructions is a difference", "[base][fault][F39]") {
  CHECK(difference(sse, {"b.cpp", "0.1.0", "SSE4.2", 16, 0}).find("16 (SSE4.2)") != std::string::npos);
}

TEST_CASE("probe: another DINO_CUDA and another version are named", "[base][fault][F39]") {
  CHECK(
      difference(sse, {"b.cpp", "0.1.0", "SSE2", 16, 1}) ==
      "dino: a.cpp was compiled with DINO_CUDA=0, b.cpp with DINO_CUDA=1: link every file of a program to dino::cuda, "
      "or every file to dino::dino\n");
  CHECK(difference(sse, {"b.cpp", "0.2.0", "SSE2", 16, 1}) ==
        "dino: a.cpp was compiled with dino 0.1.0, b.cpp with 0.2.0: use one version in the whole program\n");
}
