#include <dino/io/index_list.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("index_list: numbers and ranges, in their order", "[io]") {
  CHECK(index_list("0") == std::vector<i64>{0});
  CHECK(index_list("3,0") == std::vector<i64>{3, 0});
  CHECK(index_list("0..3") == std::vector<i64>{0, 1, 2, 3});
  CHECK(index_list("7,2..4,9..9") == std::vector<i64>{7, 2, 3, 4, 9});
  CHECK(index_list("0..9999")->size() == 10000);
}

TEST_CASE("index_list: nothing for any other text", "[io]") {
  for (const auto* bad : {"", ",", "0,", "a", "-1", "1..0", "1..", "..1", "1...2", "0 1", "1,1", "0..3,2", "10000",
                          "0..99999999999999999999", "1.5", "+1"}) {
    INFO(bad);
    CHECK_FALSE(index_list(bad).has_value());
  }
}
