#include <dino/io/suggest.hpp>

#include "support/catch.hpp"

#include <string>

using namespace dino;

TEST_CASE("suggest: what is meant is two edits away, or shares four letters", "[io]") {
  const std::vector<std::string_view> keys{"batch_size", "k_dim",          "k", "lr", "student_temp",
                                           "final_lr",   "norm_last_layer"};
  CHECK(suggest("bacth_size", keys) == "batch_size");
  CHECK(suggest("batchsize", keys) == "batch_size");
  CHECK(suggest("student_tmp", keys) == "student_temp");
  CHECK(suggest("studio", keys) == "student_temp");
  CHECK(suggest("norm_layer", keys) == "norm_last_layer");
  CHECK(suggest("kdim", keys) == "k_dim");
  CHECK(suggest("lrr", keys) == "lr");
  CHECK(suggest("zz", keys).empty());  // everything short is two edits away from it
  CHECK(suggest("momentum", keys).empty());
  CHECK(suggest(std::string(100, 'b'), keys).empty());
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abcd", "abdc") == 1);
}
