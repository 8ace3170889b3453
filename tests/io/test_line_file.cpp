#include "support/catch.hpp"

#include <dino/io/line_file.hpp>

#include <fstream>
#include <iterator>

using namespace dino;

TEST_CASE("line_file: lines are added behind what is there", "[io]") {
  const auto path = std::filesystem::temp_directory_path() / ("dino_lines_" + std::to_string(::getpid()));
  std::ofstream(path) << "old\n";
  LineFile file(path);
  CHECK(file.append("one") == 0);
  CHECK(file.append("") == 0);
  CHECK(file.lost() == 0);
  std::ifstream in(path);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "old\none\n\n");
  std::filesystem::remove(path);
}

TEST_CASE("line_file: a device that is full drops the line and says why", "[io][fault][F04]") {
  LineFile file("/dev/full");
  CHECK(file.append("one") == ENOSPC);
  CHECK(file.append("two") == ENOSPC);
  CHECK(file.lost() == 2);
}

TEST_CASE("line_file: a path that cannot be opened is an error of resources", "[io][fault][F05]") {
  try {
    LineFile file("/nonexistent/x.log");
    FAIL("opened");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::resources);
    CHECK(std::string(error.what()) == "cannot write /nonexistent/x.log: No such file or directory");
  }
}
