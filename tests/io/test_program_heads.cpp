#include <dino/io/program_heads.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("program_heads: each program says its name, what it does and a call of its own", "[io]") {
  for (const auto p : all_programs) {
    const auto name = std::string(program_name(p)), head = program_head(p);
    INFO(head);
    CHECK(head.starts_with(name + " "));
    CHECK(head.find("\n  " + name + " --") != std::string::npos);
    CHECK(head.ends_with("default.\n"));
    for (const auto other : all_programs) {
      if (other != p) CHECK(head.find(program_name(other)) == std::string::npos);
    }
  }
}
