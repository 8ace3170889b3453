#include <dino/eval/linear_sweep.hpp>

#include "support/golden.hpp"

#include <set>

using namespace dino;

TEST_CASE("linear sweep: 13 rates, blocks and pooling, in the columns that hold them", "[eval]") {
  const auto heads = sweep_heads({4, true}, 10, 128);
  REQUIRE(heads.size() == 52);
  std::set<std::string> names;
  for (const auto& h : heads) CHECK(names.insert(h.name).second);
  CHECK(heads[0].name == "blocks-1-cls-lr-1e-05");
  CHECK(heads[0].lr == 5e-6);
  CHECK(heads[0].begin == 30);
  CHECK(heads[0].end == 40);
  CHECK(heads[13].name == "blocks-1-cls+mean-lr-1e-05");
  CHECK(heads[13].begin == 30);
  CHECK(heads[13].end == 50);
  CHECK(heads[38].name == "blocks-4-cls-lr-0.1");
  CHECK(heads[38].lr == 0.05);
  CHECK(heads[38].begin == 0);
  CHECK(heads[38].end == 40);
  CHECK(heads[51].end == 50);
  CHECK(sweep_heads({1, false}, 10, 256).size() == 13);
  CHECK(sweep_heads({1, true}, 10, 256).size() == 26);
  CHECK(sweep_heads({4, false}, 10, 256).size() == 26);
}

TEST_CASE("linear sweep: the best head is the first of the best, whatever is not a number", "[eval]") {
  CHECK(best_head({1, 3, 2, 3}) == 1);
  CHECK(best_head({5}) == 0);
  CHECK_THROWS_WITH(best_head({}), contains("no accuracies"));
}
