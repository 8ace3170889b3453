// How many threads run a kernel: the extents of grid and block, and what every device accepts.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <ostream>
#include <typeinfo>

namespace dino::inline DINO_ABI {

/// Blocks of a grid, or threads of a block.
struct Extent3 {
  i64 x = 1, y = 1, z = 1;

  i64 count() const { return x * y * z; }
  friend std::ostream& operator<<(std::ostream& out, const Extent3& e) {
    return out << '(' << e.x << ',' << e.y << ',' << e.z << ')';
  }
};

struct LaunchConfig {
  Extent3 grid = {}, block = {};
  i64 shared_bytes = 0;  // dynamic shared memory of a block
};

/// One warp for each of `count` items, `per_block` warps to a block: the kernel finds its item with global_warp().
inline LaunchConfig warps(i64 count, i64 per_block = 8) {
  return {.grid = {(count + per_block - 1) / per_block}, .block = {32 * per_block}, .shared_bytes = 0};
}

namespace detail {

template <class T> std::string type_name() {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, &status), &std::free);
  return name ? name.get() : typeid(T).name();
}

/// Throws on extents that no device takes; Args names the kernel.
template <class Args> void check_launch(const LaunchConfig& config) {
  constexpr i64 largest_shared = 227 * 1024;
  const auto& [grid, block, shared_bytes] = config;
  require(block.count() >= 32 && block.count() <= 1024 && block.count() % 32 == 0 && block.z <= 64 && grid.x > 0 &&
              grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535,
          "{}: grid {}, block {}: a block has 32 to 1024 threads in whole warps, a grid at most "
          "(2147483647,65535,65535)",
          type_name<Args>(), grid, block);
  require(shared_bytes >= 0 && shared_bytes <= largest_shared,
          "{}: {} bytes of dynamic shared memory, a block has at most {}", type_name<Args>(), shared_bytes,
          largest_shared);
}

}  // namespace detail

}  // namespace dino::inline DINO_ABI
