// The bytes of a file where the kernel keeps them: read in place, not copied.
#pragma once

#include <dino/io/file.hpp>

namespace dino::inline DINO_ABI {

/// A whole file, mapped read-only; the descriptor may be closed at once, and a file that is replaced (AtomicFile) or
/// removed stays as it was. Do not map what others write to or cut in place: a page that is gone when it is read ends
/// the process with SIGBUS (POSIX, mmap), which no reader can turn into an error. Where a file cannot be mapped (some
/// network and FUSE file systems) it is read into memory instead. An empty file has no bytes and no mapping.
/// Throws what InputFile throws.
class MappedFile {
 public:
  explicit MappedFile(const InputFile& file) : size_(static_cast<size_t>(file.size())) {
    if (size_ == 0) return;
    void* const at = detail::file_calls().map(file.descriptor(), size_);
    if (at != MAP_FAILED) {
      mapping_ = static_cast<const u8*>(at);
    } else {
      copy_.resize(size_);
      file.read_at(0, copy_);
    }
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (mapping_) detail::file_calls().unmap(const_cast<u8*>(mapping_), size_);
  }

  /// False when the bytes are a copy, or none.
  bool is_mapped() const { return mapping_ != nullptr; }
  std::span<const u8> bytes() const { return {mapping_ ? mapping_ : copy_.data(), size_}; }

 private:
  size_t size_;
  const u8* mapping_ = nullptr;
  std::vector<u8> copy_;
};

}  // namespace dino::inline DINO_ABI
