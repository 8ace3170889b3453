// A text file that grows by whole lines: a line is there completely or not at all.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dino::inline DINO_ABI {

/// Appends lines, each by one write(2), from any thread. On a full disk the line is dropped whole, also the part that did
/// fit, and the file can go on later. Throws (resources) when the file cannot be opened; append never throws.
class LineFile {
 public:
  explicit LineFile(const std::filesystem::path& path) {
    file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    require(file_ >= 0, ErrorKind::resources, "cannot write {}: {}", path.string(), std::strerror(errno));
    struct stat facts {};
    size_ = ::fstat(file_, &facts) == 0 ? static_cast<i64>(facts.st_size) : 0;
  }
  ~LineFile() { ::close(file_); }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// Writes the line and a line feed. Returns 0, or the errno for which the line was dropped.
  int append(std::string line) {
    const std::lock_guard lock(mutex_);
    line += '\n';
    if (torn_) line.insert(line.begin(), '\n');  // the rest of a line that could not be removed ends here
    size_t done = 0;
    while (done < line.size()) {
      const ssize_t n = ::write(file_, line.data() + done, line.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return drop(n < 0 ? errno : EIO, done);
      done += static_cast<size_t>(n);
    }
    size_ += static_cast<i64>(done);
    torn_ = false;
    return 0;
  }

  /// Lines dropped so far.
  i64 lost() const {
    const std::lock_guard lock(mutex_);
    return lost_;
  }

 private:
  int drop(int reason, size_t written) {
    lost_ += 1;
    if (written > 0 && ::ftruncate(file_, static_cast<off_t>(size_)) != 0) {
      size_ += static_cast<i64>(written);
      torn_ = true;
    }
    return reason;
  }

  mutable std::mutex mutex_;
  int file_ = -1;
  i64 size_ = 0, lost_ = 0;
  bool torn_ = false;
};

}  // namespace dino::inline DINO_ABI
