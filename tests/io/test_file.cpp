#include <dino/io/file.hpp>

#include "support/catch.hpp"
#include "support/injected_calls.hpp"
#include "support/temporary_folder.hpp"

#include <sys/resource.h>
#include <sys/wait.h>

using namespace dino;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

int calls_left = 0;  // until an injected interruption ends

/// The old file is still there and alone after a failed write with these calls.
void check_untouched(const FileCalls& calls, const std::string& why) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old");
  {
    const Injected injected(calls);
    CHECK_THROWS_WITH(write_file_atomic(folder / "a", "something else"), Contains("cannot write ") && Contains(why));
  }
  CHECK(read_text(folder / "a", 100) == "old");
  CHECK(names_in(folder.path) == std::vector<std::string>{"a"});
}

}  // namespace

TEST_CASE("file: sizes are told in decimal units", "[io]") {
  CHECK(size_text(0) == "0 bytes");
  CHECK(size_text(999) == "999 bytes");
  CHECK(size_text(1000) == "1.0 kB");
  CHECK(size_text(1'249'999) == "1.2 MB");
  CHECK(size_text(703'000'000) == "703 MB");
  CHECK(size_text(9'150'000'000) == "9.1 GB");
  CHECK(size_text(std::numeric_limits<i64>::max()) == "9.2 EB");
}

TEST_CASE("file: a file is read whole, up to a limit", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", std::string("ab\0c", 4));
  CHECK(read_text(folder / "a", 4) == std::string("ab\0c", 4));
  CHECK(read_file(folder / "a", 4) == std::vector<u8>{'a', 'b', 0, 'c'});
  CHECK_THROWS_WITH(read_text(folder / "a", 3), Contains("a: 4 bytes is more than the limit of 3 bytes"));
  write_file_atomic(folder / "empty", "");
  CHECK(read_file(folder / "empty", 0).empty());
  try {
    read_text(folder / "none", 3, ErrorKind::usage);
    FAIL("a missing file was read");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK_THAT(error.what(), Contains("none: no such file or directory"));
  }
}

TEST_CASE("file: interrupted and short reads are continued, a cut is an error", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "abcdefg");
  FileCalls calls;
  calls.pread = [](int fd, void* to, size_t size, off_t offset) -> ssize_t {
    if (calls_left-- > 0) return errno = EINTR, -1;
    return ::pread(fd, to, std::min<size_t>(size, 2), offset);
  };
  calls_left = 3;
  const Injected injected(calls);
  CHECK(read_text(folder / "a", 100) == "abcdefg");
  const InputFile file(folder / "a", ErrorKind::data);
  u8 bytes[4];
  CHECK_THROWS_WITH(file.read_at(5, bytes), Contains("the file ends at byte 7, it was cut"));
}

TEST_CASE("file: a committed file replaces the old one and leaves nothing else", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old");
  AtomicFile file(folder / "a");
  file.reserve(1000);
  file.write("new ");
  file.write("text");
  CHECK(read_text(folder / "a", 100) == "old");
  CHECK(temporary_owner(file.temporary().filename().string()) == ::getpid());
  file.commit();
  CHECK(read_text(folder / "a", 100) == "new text");
  CHECK(names_in(folder.path) == std::vector<std::string>{"a"});
}

TEST_CASE("file: without a commit the old file stays", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
    CHECK(names_in(folder.path).size() == 2);
    CHECK_THROWS_WITH(file.publish(), Contains("published before sync()"));
  }
  CHECK(read_text(folder / "a", 100) == "old");
  CHECK(names_in(folder.path) == std::vector<std::string>{"a"});
}

TEST_CASE("file: short and interrupted writes are continued", "[io]") {
  const TemporaryFolder folder;
  FileCalls calls;
  calls.write = [](int fd, const void* from, size_t size) -> ssize_t {
    if (calls_left-- > 0) return errno = EINTR, -1;
    return ::write(fd, from, std::min<size_t>(size, 3));
  };
  calls_left = 2;
  const Injected injected(calls);
  write_file_atomic(folder / "a", "0123456789");
  CHECK(read_text(folder / "a", 100) == "0123456789");
}

TEST_CASE("file: a failure of any call leaves the old file alone", "[io][fault]") {
  FileCalls calls;
  calls.open = [](const char* path, int flags, mode_t mode) {
    return (flags & O_CREAT) ? (errno = EROFS, -1) : ::open(path, flags, mode);
  };
  check_untouched(calls, "read-only file system");
  calls = {};
  calls.write = [](int, const void*, size_t) -> ssize_t { return errno = ENOSPC, -1; };
  check_untouched(calls, "no space left (");
  calls.write = [](int, const void*, size_t) -> ssize_t { return 0; };
  check_untouched(calls, "input/output error");
  calls = {};
  calls.fsync = [](int) { return errno = EIO, -1; };
  check_untouched(calls, "input/output error");
  calls = {};
  calls.close = [](int fd) { return ::close(fd), errno = EDQUOT, -1; };
  check_untouched(calls, "no space left (");
  calls = {};
  calls.rename = [](const char*, const char*) { return errno = EACCES, -1; };
  check_untouched(calls, "permission denied");
}

TEST_CASE("file: reserving space fails on a full disk only", "[io]") {
  const TemporaryFolder folder;
  FileCalls calls;
  calls.reserve = [](int, off_t) { return errno = EOPNOTSUPP, -1; };
  {
    const Injected injected(calls);
    AtomicFile file(folder / "a");
    CHECK_NOTHROW(file.reserve(100));
  }
  calls.reserve = [](int, off_t) { return errno = ENOSPC, -1; };
  const Injected injected(calls);
  AtomicFile file(folder / "a");
  CHECK_THROWS_WITH(file.reserve(100), Contains("no space left"));
}

TEST_CASE("file: a real size limit leaves the old file alone", "[io][fault]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old");
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 4096;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    write_file_atomic(folder / "a", std::string(10000, 'x'));
  } catch (const Error& error) {
    message = error.what();
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK_THAT(message, Contains("a: file too large"));
  CHECK(read_text(folder / "a", 100) == "old");
  CHECK(names_in(folder.path) == std::vector<std::string>{"a"});
}

TEST_CASE("file: a missing folder is named", "[io][fault][F05]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(write_file_atomic(folder / "none/a", "x"), Contains("none/a: no such file or directory"));
}

TEST_CASE("file: only names of temporary files have an owner", "[io]") {
  CHECK(temporary_owner(".tmp-12500-4711-0123abcd") == 4711);
  CHECK(temporary_owner(".tmp-a-b-1-0123abcd") == 1);
  for (const char* name : {"", ".tmp-", ".tmp--", ".tmp-a", ".tmp-a-1", ".tmp-4711-0123abcd", ".tmp-a-0-0123abcd",
                           ".tmp-a-x-0123abcd", ".tmp-a-1-0123abc", ".tmp-a-1-0123abcx", "tmp-a-1-0123abcd",
                           ".tmp-a-99999999999-0123abcd", ".tmp-a--0123abcd"}) {
    CHECK(temporary_owner(name) == std::nullopt);
  }
}

TEST_CASE("file: leavings of dead processes are removed and named", "[io][fault][F01]") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder / "a");
    file.write("half of it");
    ::_exit(0);  // as a kill: no destructor runs
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  const auto left = names_in(folder.path);
  REQUIRE(left.size() == 1);
  const auto alive = str(".tmp-a-{}-0123abcd", ::getppid());
  write_file_atomic(folder / alive, "x");
  write_file_atomic(folder / ".tmp-notes", "x");
  CHECK(remove_stale_temporaries(folder.path) == left);
  CHECK(names_in(folder.path) == std::vector<std::string>{alive, ".tmp-notes"});
  CHECK(remove_stale_temporaries(folder / "none").empty());
}

TEST_CASE("file: lines are added whole or not at all", "[io][fault]") {
  const TemporaryFolder folder;
  append_line(folder / "log", "one");
  LineFile log(folder / "log");
  log.append("two");
  CHECK(read_text(folder / "log", 100) == "one\ntwo\n");
  CHECK_THROWS_WITH(log.append("a\nb"), Contains("contains a line end"));
  FileCalls calls;
  calls.write = [](int fd, const void* from, size_t size) { return ::write(fd, from, size / 2); };
  {
    const Injected injected(calls);
    CHECK_THROWS_WITH(log.append("a line that does not fit"), Contains("no space left"));
  }
  CHECK(read_text(folder / "log", 100) == "one\ntwo\n");
  log.append("three");
  CHECK(read_text(folder / "log", 100) == "one\ntwo\nthree\n");
}

TEST_CASE("file: a folder in use is refused with its owner", "[io][fault][F25]") {
  const TemporaryFolder folder;
  {
    const FolderLock lock(folder.path);
    CHECK_THROWS_WITH(FolderLock(folder.path), Contains(folder.path.string() + " is in use by process " +
                                                        std::to_string(::getpid()) + " on host "));
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        const FolderLock second(folder.path);
      } catch (const Error& error) {
        ::_exit(error.exit_code());
      }
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 6);
  }
  CHECK_NOTHROW(FolderLock(folder.path));
  CHECK_THROWS_WITH(FolderLock(folder / "none"), Contains("none/.lock: no such file or directory"));
}

TEST_CASE("file: free space is a number of the file system", "[io]") {
  const TemporaryFolder folder;
  CHECK(free_space(folder.path) > 0);
  CHECK_THROWS_WITH(free_space(folder / "none"), Contains("cannot read the free space of"));
}
