#include <dino/data/sampler.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <set>

using namespace dino;

TEST_CASE("sampler: an epoch holds every sample at most once, and the rest is dropped", "[data]") {
  Sampler sampler(23, 5, 42);
  REQUIRE(sampler.steps_per_epoch() == 4);
  for (u64 epoch = 0; epoch < 3; ++epoch) {
    std::set<i64> seen;
    for (i64 step = 0; step < 4; ++step) {
      const auto batch = sampler.batch(epoch, step);
      REQUIRE(batch.size() == 5);
      seen.insert(batch.begin(), batch.end());
    }
    CHECK(seen.size() == 20);
    CHECK(*seen.begin() >= 0);
    CHECK(*seen.rbegin() < 23);
  }
}

TEST_CASE("sampler: a batch depends on seed, epoch and step, not on what was asked before", "[data]") {
  Sampler a(100, 7, 1), b(100, 7, 1), other(100, 7, 2);
  const auto late = a.batch(5, 3);
  b.batch(0, 0);
  b.batch(5, 0);
  CHECK(b.batch(5, 3) == late);
  CHECK(b.batch(4, 3) != late);
  CHECK(other.batch(5, 3) != late);
  CHECK(b.batch(5, 3) == late);
}

TEST_CASE("sampler: the order stays what it is", "[data]") {
  CHECK(Sampler(10, 10, 42).batch(0, 0) == std::vector<i64>{1, 9, 6, 5, 2, 4, 8, 3, 0, 7});
  CHECK(Sampler(10, 10, 42).batch(1, 0) == std::vector<i64>{2, 5, 1, 0, 6, 9, 7, 3, 8, 4});
}

TEST_CASE("sampler: every place of a permutation is equally likely", "[data]") {
  const i64 n = 6, trials = 6000;
  std::vector<std::vector<i64>> count(6, std::vector<i64>(6));
  for (i64 t = 0; t < trials; ++t) {
    const auto order = permutation(n, RngKey(3, 4), static_cast<u64>(t));
    for (size_t k = 0; k < 6; ++k) ++count[k][static_cast<size_t>(order[k])];
  }
  double chi2 = 0;
  for (const auto& row : count) {
    for (const i64 c : row) chi2 += static_cast<double>((c - 1000) * (c - 1000)) / 1000.0;
  }
  CHECK(chi2 < 53.0);  // 25 degrees of freedom: 0.1 % lie above 52.6
}

TEST_CASE("sampler: in order keeps the last, smaller batch", "[data]") {
  Sampler sampler = Sampler::in_order(7, 3);
  CHECK(sampler.steps_per_epoch() == 3);
  CHECK(sampler.batch(9, 1) == std::vector<i64>{3, 4, 5});
  CHECK(sampler.batch(9, 2) == std::vector<i64>{6});
  CHECK(Sampler::in_order(2, 5).batch(0, 0) == std::vector<i64>{0, 1});
}

TEST_CASE("sampler: cursors go on over epochs", "[data]") {
  const Sampler sampler(10, 3, 0);
  CHECK(sampler.after({0, 1}) == Cursor{0, 2});
  CHECK(sampler.after({0, 2}) == Cursor{1, 0});
  CHECK(sampler.at(0) == Cursor{0, 0});
  CHECK(sampler.at(7) == Cursor{2, 1});
  CHECK_THROWS_WITH(sampler.at(-1), "sampler: step -1");
}

TEST_CASE("sampler: replacements form a chain that depends on seed, epoch, index and attempt", "[data]") {
  std::set<i64> seen;
  for (i64 attempt = 1; attempt <= 50; ++attempt) {
    const i64 index = replacement_index(1, 2, 3, attempt, 1000000);
    CHECK(index >= 0);
    CHECK(index < 1000000);
    seen.insert(index);
  }
  CHECK(seen.size() == 50);
  CHECK(replacement_index(1, 2, 3, 1, 1000000) == replacement_index(1, 2, 3, 1, 1000000));
  CHECK(replacement_index(1, 2, 3, 1, 1000000) != replacement_index(1, 3, 3, 1, 1000000));
  CHECK(replacement_index(1, 2, 3, 1, 1000000) != replacement_index(1, 2, 4, 1, 1000000));
  CHECK(replacement_index(7, 7, 7, 7, 1) == 0);
}

TEST_CASE("sampler: an epoch of ImageNet is shuffled in well under a second", "[data]") {
  Sampler sampler(1281167, 1024, 42);
  const auto before = std::chrono::steady_clock::now();
  CHECK(sampler.batch(0, 1250).size() == 1024);
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count() < 2.0);
}

TEST_CASE("sampler: too few samples and bad sizes are refused", "[data]") {
  try {
    Sampler(63, 64, 0);
    FAIL("accepted 63 samples for a batch of 64");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::data);
    CHECK(std::string(e.what()) == "63 images cannot fill a batch of 64. Use more images or a smaller batch");
  }
  CHECK_THROWS_WITH(Sampler(0, 1, 0), "the data set is empty");
  CHECK_THROWS_WITH(Sampler(5, 0, 0), "batch size 0 is not positive");
  CHECK_THROWS_WITH(Sampler(10, 3, 0).batch(0, 3), "sampler: step 3 of 3");
}
