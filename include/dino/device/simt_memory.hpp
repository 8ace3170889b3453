// Shared memory, asynchronous copies and call sites of the host executor of CUDA kernels.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/philox.hpp>
#include <dino/device/fiber.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#if DINO_FIBER_TSAN
extern "C" {  // of the TSan run time; no header declares them
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace dino::inline DINO_ABI::simt {

/// A place in a kernel. As the default of a last parameter here() is the place of the call. clang 14 has no
/// std::source_location, and g++ 12 takes the place of the declaration for Site{__builtin_FILE(), __builtin_LINE()}.
struct Site {
  const char* file;
  int line;

  static constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }

  bool operator==(const Site& other) const {
    return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
  }
  friend std::ostream& operator<<(std::ostream& out, const Site& s) {
    if (s.line == 0) return out << "its end";
    const char* const slash = std::strrchr(s.file, '/');
    return out << (slash ? slash + 1 : s.file) << ':' << s.line;
  }
};

inline std::string hex(u32 mask) {
  char text[11];
  std::snprintf(text, sizeof(text), "0x%08x", mask);
  return text;
}

/// "0-30,32-62": numbers in ascending order.
inline std::string thread_ranges(const std::vector<size_t>& list) {
  std::string text;
  for (size_t i = 0; i < list.size();) {
    size_t end = i;
    while (end + 1 < list.size() && list[end + 1] == list[end] + 1) ++end;
    if (!text.empty()) text += ',';
    text += end == i ? str("{}", list[i]) : str("{}-{}", list[i], list[end]);
    i = end + 1;
  }
  return text;
}

/// While it lives, TSan looks away: what the executor does between threads is not what the kernel does.
class Unseen {
#if DINO_FIBER_TSAN
 public:
  Unseen() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Unseen() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;
#else
 public:
  Unseen() {}
  ~Unseen() {}
#endif
};

/// A copy of 16 bytes that cp_async has started; or the end of a group.
struct AsyncCopy {
  void* to;
  const void* from;  // null: zeros
  bool commit;
};

/// The shared memory of a block: [guard][variable][guard] ... Each variable has exactly the alignment of its type,
/// and at first every byte is 0xFF: not a number as float, bf16 and f16, -1 as integer. Guards are looked at when the
/// block ends; under ASan they cannot be touched at all.
class Arena {
 public:
  static constexpr size_t static_limit = 48 * 1024;  // of a block, without asking the driver
  static constexpr size_t total_limit = 163 * 1024;  // on sm_80
  static constexpr size_t guard = 64;

  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { drop(); }

  void begin_block() {
#if DINO_FIBER_TSAN
    memory_.reset();  // new memory: TSan would take another block's access for one of this block
#endif
    if (!memory_) memory_.reset(static_cast<std::byte*>(std::aligned_alloc(4096, bytes)));
    unpoison(memory_.get(), bytes);
    variables_.clear();
    end_ = tags;
    static_bytes_ = 0;
    total_bytes_ = 0;
  }

  void* find(const void* key, size_t size, size_t align, const char* name, Site where) {
    for (const auto& v : variables_) {
      if (v.key == key) return memory_.get() + v.offset;
    }
    const bool dynamic = align == 16 && std::strncmp(name, "dynamic", 7) == 0;
    total_bytes_ += size;
    if (!dynamic) static_bytes_ += size;
    require(static_bytes_ <= static_limit, "static shared memory: {} bytes with '{}' at {}, a block has at most {}",
            static_bytes_, name, where, static_limit);
    require(total_bytes_ <= total_limit, "shared memory: {} bytes with '{}' at {}, a block has at most {} on sm_80",
            total_bytes_, name, where, total_limit);
    const size_t unit = std::max<size_t>(2 * align, 32);
    const size_t offset = (end_ + guard + unit - 1) / unit * unit + (dynamic ? 0 : align % unit);
    end_ = offset + size + guard;
    variables_.push_back({key, offset, size, name});
    std::memset(memory_.get() + offset, 0xff, size);
    std::memset(memory_.get() + offset - guard, pattern, guard);
    std::memset(memory_.get() + offset + size, pattern, guard);
    poison(memory_.get() + offset - guard, guard);
    poison(memory_.get() + offset + size, guard);
    return memory_.get() + offset;
  }

  /// What is wrong with the guards, or nothing.
  std::string end_block() {
    unpoison(memory_.get(), bytes);
    for (const auto& v : variables_) {
      for (size_t i = 0; i < guard; ++i) {
        if (memory_[v.offset + v.size + i] != std::byte{pattern}) {
          return str("write outside '{}', {} bytes behind its end", v.name, i);
        }
        if (memory_[v.offset - 1 - i] != std::byte{pattern}) {
          return str("write outside '{}', {} bytes before its begin", v.name, i + 1);
        }
      }
    }
    return {};
  }
  void drop() {
    if (memory_) unpoison(memory_.get(), bytes);
  }

  bool holds(const void* at) const { return at >= memory_.get() && at < memory_.get() + bytes; }
  void* tag(size_t number) { return memory_.get() + 8 * number; }

 private:
  struct Variable {
    const void* key;
    size_t offset, size;
    const char* name;
  };
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  static constexpr size_t bytes = 256 * 1024;
  static constexpr size_t tags = 8 * 34;
  static constexpr unsigned char pattern = 0xa5;

#if DINO_FIBER_ASAN
  static void poison(void* at, size_t n) { __asan_poison_memory_region(at, n); }
  static void unpoison(void* at, size_t n) { __asan_unpoison_memory_region(at, n); }
#else
  static void poison(void*, size_t) {}
  static void unpoison(void*, size_t) {}
#endif

  std::unique_ptr<std::byte[], Free> memory_;
  std::vector<Variable> variables_;
  size_t end_ = 0, static_bytes_ = 0, total_bytes_ = 0;
};

}  // namespace dino::inline DINO_ABI::simt
