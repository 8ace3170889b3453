// What the fuzz targets of readers share: the input as a file, and the memory that reading it may take.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <sanitizer/allocator_interface.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {

using dino::i64, dino::u8;

inline std::atomic<i64> live{0}, peak{0};

inline void count_allocation(const volatile void*, size_t bytes) {
  const i64 now = live += static_cast<i64>(bytes);
  if (now > peak) peak = now;
}
inline void count_release(const volatile void* at) {
  live -= static_cast<i64>(__sanitizer_get_allocated_size(const_cast<const void*>(at)));
}

/// The file that holds the input.
inline int input_file() {
  static const int file = memfd_create("input", 0);
  return file;
}
inline std::filesystem::path input_path() { return "/proc/self/fd/" + std::to_string(input_file()); }

/// Calls read(path) for a file of these bytes. An Error of kind `weights` is a right answer; so is success. Any other
/// exception, and more than 4 times the file and 16 MiB of memory, end the program.
template <class Read> int check_reader(const u8* data, size_t size, Read read) {
  static const bool counting = __sanitizer_install_malloc_and_free_hooks(count_allocation, count_release) != 0;
  static const std::filesystem::path path = input_path();
  const int file = input_file();
  if (!counting || file < 0 || ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) {
    std::perror("fuzz: no file in memory");
    std::abort();
  }
  const i64 before = live;
  peak = before;
  try {
    read(path);
  } catch (const dino::Error& error) {
    if (error.kind() != dino::ErrorKind::weights) {
      std::fprintf(stderr, "fuzz: %s\n", error.what());
      std::abort();
    }
  }
  const i64 used = peak - before, allowed = 4 * static_cast<i64>(size) + (i64{16} << 20);
  if (used > allowed) {
    std::fprintf(stderr, "fuzz: %lld bytes of memory for a file of %zu\n", static_cast<long long>(used), size);
    std::abort();
  }
  return 0;
}

}  // namespace fuzz
