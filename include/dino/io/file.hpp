// Files: bounded reading, atomic replacement, lines that are written whole, and the lock of a folder.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI {

/// The system calls behind every file of the library, in one place: a test replaces them to make call N fail, write
/// short, or end the process. Each keeps the contract of its POSIX namesake: -1 and errno on failure.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode) = [](const char* path, int flags, mode_t mode) {
    return ::open(path, flags, mode);
  };
  ssize_t (*pread)(int fd, void* to, size_t size, off_t offset) = ::pread;
  ssize_t (*write)(int fd, const void* from, size_t size) = ::write;
  /// Reserves blocks without changing the size. Not posix_fallocate: glibc emulates that by touching every block.
  int (*reserve)(int fd, off_t size) = [](int fd, off_t size) { return ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size); };
  int (*truncate)(int fd, off_t size) = ::ftruncate;
  int (*fsync)(int fd) = ::fsync;
  int (*close)(int fd) = ::close;
  int (*rename)(const char* from, const char* to) = ::rename;
  int (*unlink)(const char* path) = ::unlink;
  int (*free_space)(const char* path, struct statvfs* result) = ::statvfs;
  /// The first `size` bytes of a file, to be read in place; MAP_FAILED and errno on failure.
  void* (*map)(int fd, size_t size) = [](int fd, size_t size) {
    return ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  };
  int (*unmap)(void* at, size_t size) = ::munmap;
};

namespace detail {
inline FileCalls& file_calls() {
  static FileCalls calls;
  return calls;
}

/// The text of an errno value, in lower case like the rest of a message.
inline std::string reason(int error) {
  auto text = std::generic_category().message(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

/// Repeats a call that a signal interrupted.
template <class Call> auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}
}  // namespace detail

/// Replaces the system calls and returns the old ones. For tests: not to be called while another thread uses files.
inline FileCalls set_file_calls(const FileCalls& calls) { return std::exchange(detail::file_calls(), calls); }

/// A size for people, in decimal units: 72 bytes, 1.2 MB, 703 MB.
inline std::string size_text(i64 bytes) {
  constexpr const char* units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return str("{} bytes", bytes);
  i64 unit = 1000;
  size_t u = 0;
  while (bytes / unit >= 1000) unit *= 1000, ++u;
  if (bytes / unit >= 10) return str("{} {}", bytes / unit, units[u]);
  return str("{}.{} {}", bytes / unit, bytes % unit / (unit / 10), units[u]);
}

inline std::span<const u8> as_bytes(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

/// An open file; closed without a word when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  /// False, with errno set, when closing failed. The file is closed in any case: on Linux EINTR closes as well.
  bool close() {
    if (fd_ < 0) return true;
    return detail::file_calls().close(std::exchange(fd_, -1)) == 0 || errno == EINTR;
  }

  static Descriptor open(const std::filesystem::path& path, int flags, mode_t mode = 0666) {
    return Descriptor(
        detail::uninterrupted([&] { return detail::file_calls().open(path.c_str(), flags | O_CLOEXEC, mode); }));
  }

 private:
  int fd_;
};

/// A regular file open for reading at any position. Throws Error{kind} when it cannot be opened, is not a regular file,
/// or ends before the bytes that were asked for (it was cut while it was open).
class InputFile {
 public:
  InputFile(const std::filesystem::path& path, ErrorKind kind)
      : path_(path.string()), kind_(kind), file_(Descriptor::open(path, O_RDONLY | O_NONBLOCK)) {
    require(bool(file_), kind_, "cannot open {}: {}", path_, detail::reason(errno));
    struct stat info {};
    require(::fstat(file_.get(), &info) == 0, kind_, "cannot read {}: {}", path_, detail::reason(errno));
    require(S_ISREG(info.st_mode), kind_, "cannot read {}: {}", path_,
            S_ISDIR(info.st_mode) ? "it is a folder" : "it is not a regular file");
    size_ = info.st_size;
  }

  const std::string& path() const { return path_; }
  i64 size() const { return size_; }
  int descriptor() const { return file_.get(); }

  void read_at(i64 offset, std::span<u8> to) const {
    while (!to.empty()) {
      const auto n = detail::uninterrupted([&] {
        return detail::file_calls().pread(file_.get(), to.data(), std::min<size_t>(to.size(), 1u << 30), offset);
      });
      require(n >= 0, kind_, "cannot read {}: {}", path_, detail::reason(errno));
      require(n > 0, kind_, "{}: the file ends at byte {}, it was cut while being read", path_, offset);
      to = to.subspan(static_cast<size_t>(n));
      offset += n;
    }
  }

 private:
  std::string path_;
  ErrorKind kind_;
  Descriptor file_;
  i64 size_ = 0;
};

/// The whole file. Throws Error{kind} when it is larger than limit (bytes): checked before anything is allocated.
template <class Bytes = std::vector<u8>>
Bytes read_file(const std::filesystem::path& path, i64 limit, ErrorKind kind = ErrorKind::data) {
  const InputFile file(path, kind);
  require(file.size() <= limit, kind, "{}: {} is more than the limit of {}", file.path(), size_text(file.size()),
          size_text(limit));
  Bytes bytes(static_cast<size_t>(file.size()), 0);
  file.read_at(0, {reinterpret_cast<u8*>(bytes.data()), bytes.size()});
  return bytes;
}

inline std::string read_text(const std::filesystem::path& path, i64 limit, ErrorKind kind = ErrorKind::data) {
  return read_file<std::string>(path, limit, kind);
}

/// Free bytes for this user on the file system of a folder. Throws Error{resources}.
inline i64 free_space(const std::filesystem::path& folder) {
  struct statvfs info {};
  const auto rc = detail::uninterrupted([&] { return detail::file_calls().free_space(folder.c_str(), &info); });
  require(rc == 0, ErrorKind::resources, "cannot read the free space of {}: {}", folder.string(),
          detail::reason(errno));
  return static_cast<i64>(info.f_bavail) * static_cast<i64>(info.f_frsize);
}

namespace detail {
[[noreturn]] inline void fail_write(const std::filesystem::path& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    struct statvfs info {};
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    const bool known = file_calls().free_space(folder.c_str(), &info) == 0;
    fail(ErrorKind::resources, "cannot write {}: no space left ({} free)", path.string(),
         known ? size_text(static_cast<i64>(info.f_bavail) * static_cast<i64>(info.f_frsize)) : "unknown");
  }
  fail(ErrorKind::resources, "cannot write {}: {}", path.string(), reason(error));
}

/// Makes a rename in the folder last through a power loss.
inline void sync_folder(const std::filesystem::path& folder) {
  const auto fd = Descriptor::open(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  if (!fd) fail_write(folder, errno);
  const auto rc = uninterrupted([&] { return file_calls().fsync(fd.get()); });
  if (rc != 0 && errno != EINVAL) fail_write(folder, errno);  // EINVAL: a file system that cannot sync folders
}

inline std::string random_hex() {
  char text[8];
  u32 value = std::random_device{}();
  for (auto& c : text) c = "0123456789abcdef"[value & 15u], value >>= 4;
  return {text, sizeof(text)};
}
}  // namespace detail

/// A file that appears under its name complete or not at all:
///     AtomicFile file(path);  file.write(bytes);  file.commit();
/// Written as .tmp-<label>-<pid>-<random> in the same folder (O_EXCL); sync() is fsync and a checked close; publish()
/// is rename and fsync of the folder. Without publish() the temporary file is removed, the old one stays as it was.
/// A failed fsync is never repeated: the kernel may have dropped the pages. Throws Error{resources}.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target) : AtomicFile(target, target.filename().string()) {}
  AtomicFile(std::filesystem::path target, std::string_view label) : target_(std::move(target)), file_(-1) {
    for (int attempt = 0; attempt < 16 && !file_; ++attempt) {
      const auto name = str(".tmp-{}-{}-{}", label.substr(0, 200), ::getpid(), detail::random_hex());
      temporary_ = target_.parent_path() / name;
      file_ = Descriptor::open(temporary_, O_WRONLY | O_CREAT | O_EXCL);
      if (!file_ && errno != EEXIST) break;
    }
    if (!file_) detail::fail_write(target_, errno);
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!published_) detail::file_calls().unlink(temporary_.c_str());
  }

  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& temporary() const { return temporary_; }

  /// Asks for the space at once, so that a full disk is found before the writing. Does nothing where unsupported.
  void reserve(i64 size) {
    if (size <= 0) return;
    const auto rc = detail::uninterrupted([&] { return detail::file_calls().reserve(file_.get(), size); });
    if (rc != 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) detail::fail_write(target_, errno);
  }

  void write(std::span<const u8> bytes) {
    while (!bytes.empty()) {
      const auto n = detail::uninterrupted([&] {
        return detail::file_calls().write(file_.get(), bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
      });
      if (n <= 0) detail::fail_write(target_, n == 0 ? EIO : errno);
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }
  void write(std::string_view text) { write(as_bytes(text)); }

  void sync() {
    const auto rc = detail::uninterrupted([&] { return detail::file_calls().fsync(file_.get()); });
    if (rc != 0) detail::fail_write(target_, errno);
    if (!file_.close()) detail::fail_write(target_, errno);
  }

  void publish() {
    require(!file_, "AtomicFile: {} is published before sync()", target_.string());
    if (detail::file_calls().rename(temporary_.c_str(), target_.c_str()) != 0) detail::fail_write(target_, errno);
    published_ = true;
    detail::sync_folder(target_.parent_path());
  }

  void commit() {
    sync();
    publish();
  }

 private:
  std::filesystem::path target_, temporary_;
  Descriptor file_;
  bool published_ = false;
};

/// Replaces a file as a whole, or leaves it untouched. Throws Error{resources}.
inline void write_file_atomic(const std::filesystem::path& path, std::span<const u8> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}
inline void write_file_atomic(const std::filesystem::path& path, std::string_view text) {
  write_file_atomic(path, as_bytes(text));
}

/// The process that wrote .tmp-<label>-<pid>-<random>; nothing for any other name.
inline std::optional<pid_t> temporary_owner(std::string_view name) {
  if (!name.starts_with(".tmp-")) return std::nullopt;
  const auto last = name.rfind('-');
  const auto before = name.rfind('-', last - 1);
  if (last == 4 || before == 4 || name.size() - last != 9) return std::nullopt;
  if (name.find_first_not_of("0123456789abcdef", last + 1) != name.npos) return std::nullopt;
  pid_t pid = 0;
  const char* end = name.data() + last;
  const auto [stop, error] = std::from_chars(name.data() + before + 1, end, pid);
  if (error != std::errc{} || stop != end || pid <= 0) return std::nullopt;
  return pid;
}

/// Removes what killed writers left in the folder and returns the names. A file of this very process id counts as left
/// behind (in a container the number is the same after each start), so call it while no AtomicFile is open there.
inline std::vector<std::string> remove_stale_temporaries(const std::filesystem::path& folder) {
  std::vector<std::string> removed;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const auto name = entry.path().filename().string();
    const auto pid = temporary_owner(name);
    if (!pid || !entry.is_regular_file(ignored)) continue;
    const bool alive = *pid != ::getpid() && (::kill(*pid, 0) == 0 || errno == EPERM);
    if (!alive && detail::file_calls().unlink(entry.path().c_str()) == 0) removed.push_back(name);
  }
  std::sort(removed.begin(), removed.end());
  return removed;
}

/// A log that grows by whole lines: one write each, and a line that did not fit is cut off again.
class LineFile {
 public:
  explicit LineFile(std::filesystem::path path)
      : path_(std::move(path)), file_(Descriptor::open(path_, O_WRONLY | O_CREAT | O_APPEND)) {
    if (!file_) detail::fail_write(path_, errno);
  }

  /// Adds the line and its end. Throws Error{resources}; the file then ends as before.
  void append(std::string_view line) {
    require(line.find('\n') == line.npos, "LineFile: a line of {} contains a line end", path_.string());
    struct stat before {};
    if (::fstat(file_.get(), &before) != 0) detail::fail_write(path_, errno);
    const auto text = std::string(line) + '\n';
    const auto n =
        detail::uninterrupted([&] { return detail::file_calls().write(file_.get(), text.data(), text.size()); });
    if (n == static_cast<ssize_t>(text.size())) return;
    const int error = n < 0 ? errno : ENOSPC;
    if (n > 0 && detail::file_calls().truncate(file_.get(), before.st_size) != 0) detail::fail_write(path_, errno);
    detail::fail_write(path_, error);
  }

 private:
  std::filesystem::path path_;
  Descriptor file_;
};

inline void append_line(const std::filesystem::path& path, std::string_view line) { LineFile(path).append(line); }

/// Keeps other processes out of a folder while it lives: flock on its .lock, which names the owner. The kernel drops
/// the lock when the process ends, however it ends. Throws Error{resources} when the folder is taken.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : file_(Descriptor::open(folder / ".lock", O_RDWR | O_CREAT)) {
    const auto path = folder / ".lock";
    if (!file_) detail::fail_write(path, errno);
    if (detail::uninterrupted([&] { return ::flock(file_.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) detail::fail_write(path, errno);
      const auto owner = read_text(path, 1024, ErrorKind::resources);
      fail(ErrorKind::resources, "{} is in use by {}", folder.string(), owner.empty() ? "another process" : owner);
    }
    char host[256] = "";
    if (::gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
    const auto text = str("process {} on host {}", ::getpid(), host);
    const auto& calls = detail::file_calls();
    if (calls.truncate(file_.get(), 0) != 0) detail::fail_write(path, errno);
    if (calls.write(file_.get(), text.data(), text.size()) < 0) detail::fail_write(path, errno);
  }

 private:
  Descriptor file_;
};

}  // namespace dino::inline DINO_ABI
