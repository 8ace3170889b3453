#include <dino/io/mapped_file.hpp>

#include "support/catch.hpp"
#include "support/injected_calls.hpp"
#include "support/temporary_folder.hpp"

using namespace dino;
using Catch::Matchers::Contains;

namespace {

const FileCalls unmappable = [] {
  FileCalls calls;
  calls.map = [](int, size_t) -> void* { return errno = ENODEV, MAP_FAILED; };
  return calls;
}();

std::string text_of(const MappedFile& file) { return {file.bytes().begin(), file.bytes().end()}; }

size_t mapped = 0, unmapped = 0;  // bytes

}  // namespace

TEST_CASE("mapped_file: the bytes are those of the file, at a page of their own", "[io]") {
  const TemporaryFolder folder;
  std::string text(100'000, 'a');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 >> 3);
  write_file_atomic(folder / "a", text);
  const MappedFile file(InputFile(folder / "a", ErrorKind::weights));  // the descriptor is closed by now
  CHECK(file.is_mapped());
  CHECK(text_of(file) == text);
  CHECK(reinterpret_cast<std::uintptr_t>(file.bytes().data()) % 4096 == 0);
}

TEST_CASE("mapped_file: an empty file has no bytes and asks for no mapping", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "");
  const MappedFile file(InputFile(folder / "a", ErrorKind::weights));
  CHECK_FALSE(file.is_mapped());
  CHECK(file.bytes().empty());
}

TEST_CASE("mapped_file: what cannot be mapped is read", "[io][fault]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "abcdefg");
  const Injected injected(unmappable);
  const InputFile input(folder / "a", ErrorKind::weights);
  {
    const MappedFile file(input);
    CHECK_FALSE(file.is_mapped());
    CHECK(text_of(file) == "abcdefg");
  }
  std::filesystem::resize_file(folder / "a", 3);
  CHECK_THROWS_WITH(MappedFile(input), Contains("a: the file ends at byte 3, it was cut while being read"));
}

TEST_CASE("mapped_file: a file that is replaced or removed stays as it was mapped", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old bytes");
  const MappedFile file(InputFile(folder / "a", ErrorKind::weights));
  write_file_atomic(folder / "a", "other");
  CHECK(text_of(file) == "old bytes");
  CHECK(text_of(MappedFile(InputFile(folder / "a", ErrorKind::weights))) == "other");
  std::filesystem::remove(folder / "a");
  CHECK(text_of(file) == "old bytes");
}

TEST_CASE("mapped_file: what was mapped is given back, once and whole", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "abcdefg");
  FileCalls calls;
  calls.map = [](int fd, size_t size) {
    mapped += size;
    return FileCalls{}.map(fd, size);
  };
  calls.unmap = [](void* at, size_t size) {
    unmapped += size;
    return FileCalls{}.unmap(at, size);
  };
  const Injected injected(calls);
  {
    const MappedFile file(InputFile(folder / "a", ErrorKind::weights));
    CHECK(mapped == 7);
    CHECK(unmapped == 0);
  }
  CHECK(unmapped == 7);
}
