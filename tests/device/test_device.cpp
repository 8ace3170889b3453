#include <dino/device/cpu.hpp>
#include <dino/device/device.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {
template <class C>
concept Complete = requires {
  sizeof(C);
};
}  // namespace

TEST_CASE("device: in a CPU build there is a context of the CPU only", "[device]") {
  CHECK(Complete<Context<Cpu>>);
#if !DINO_CUDA
  CHECK_FALSE(Complete<Context<Cuda>>);
#endif
}

TEST_CASE("device: a context is neither copied nor moved, tensors point at it", "[device]") {
  CHECK_FALSE(std::is_copy_constructible_v<Context<Cpu>>);
  CHECK_FALSE(std::is_move_constructible_v<Context<Cpu>>);
  CHECK_FALSE(std::is_copy_assignable_v<Context<Cpu>>);
}
