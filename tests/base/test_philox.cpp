#include <dino/base/philox.hpp>

#include "support/catch.hpp"

#include <set>
#include <vector>

using namespace dino;

namespace {
std::vector<u32> words(const PhiloxBlock& block) { return {block.x, block.x + 4}; }
}  // namespace

TEST_CASE("philox: known answers of Random123", "[base]") {
  CHECK(words(philox({{0, 0, 0, 0}}, 0, 0)) == std::vector<u32>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words(philox({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u)) ==
        std::vector<u32>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0)) ==
        std::vector<u32>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: to_unit covers [0, 1) in steps of 2^-24", "[base]") {
  CHECK(to_unit(0) == 0.0f);
  CHECK(to_unit(255) == 0.0f);
  CHECK(to_unit(256) == 0x1p-24f);
  CHECK(to_unit(0x80000000u) == 0.5f);
  CHECK(to_unit(~0u) == 1.0f - 0x1p-24f);
}

TEST_CASE("philox: stream_of is FNV-1a", "[base]") {
  // Published test values of the 64-bit hash.
  STATIC_REQUIRE(stream_of("") == 0xcbf29ce484222325u);
  STATIC_REQUIRE(stream_of("a") == 0xaf63dc4c8601ec8cu);
  STATIC_REQUIRE(stream_of("foobar") == 0x85944171f73967e8u);
  CHECK(stream_of("\xc3\xa9") != stream_of("e"));  // bytes above 127 are taken unsigned
}

TEST_CASE("philox: mix is splitmix64 in its second word", "[base]") {
  // The first three outputs of splitmix64 seeded with 1234567.
  STATIC_REQUIRE(mix(1234567, 0) == 6457827717110365317u);
  STATIC_REQUIRE(mix(1234567, 1) == 3203168211198807973u);
  STATIC_REQUIRE(mix(1234567, 2) == 9817491932198370423u);
}

TEST_CASE("philox: a block depends on every word of key, index and draw", "[base]") {
  std::set<std::vector<u32>> seen;
  const u64 high = u64{1} << 32;
  for (const u64 seed : {u64{0}, u64{1}, high}) {
    for (const u64 stream : {u64{0}, u64{1}, high}) {
      for (const u64 index : {u64{0}, u64{1}, high}) {
        for (const u64 draw : {u64{0}, u64{1}, high}) seen.insert(words(RngKey(seed, stream).block(index, draw)));
      }
    }
  }
  CHECK(seen.size() == 81);
}

TEST_CASE("philox: uniform of a key is the first word of its block", "[base]") {
  const RngKey key(42, stream_of("blocks.0.attn.qkv.weight"));
  for (const u64 index : {u64{0}, u64{1}, u64{1} << 40}) CHECK(key.uniform(index) == to_unit(key.block(index).x[0]));
}

TEST_CASE("philox: a stream yields the blocks of its index, word by word", "[base]") {
  const RngKey key(7, 9);
  RngStream stream(key, 5);
  for (u64 draw = 0; draw < 3; ++draw) {
    for (const u32 word : words(key.block(5, draw))) CHECK(stream.bits() == word);
  }
}

TEST_CASE("philox: equal key and index give equal sequences, another index another one", "[base]") {
  RngStream a(RngKey(1, 2), 3), b(RngKey(1, 2), 3), c(RngKey(1, 2), 4);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const i64 draw = a.below(1000);
    CHECK(draw == b.below(1000));
    differs = differs || draw != c.below(1000);
  }
  CHECK(differs);
}

TEST_CASE("philox: uniform numbers lie in their interval with the right mean and variance", "[base]") {
  RngStream stream(RngKey(3, 1), 0);
  const int n = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = stream.uniform(-2.0, 4.0);
    if (!(x >= -2.0 && x < 4.0)) FAIL("outside: " << x);
    sum += x;
    squares += (x - 1.0) * (x - 1.0);
  }
  CHECK(sum / n == Approx(1.0).margin(0.03));       // 5 standard errors
  CHECK(squares / n == Approx(3.0).margin(0.045));  // 36 / 12
  for (int i = 0; i < 1000; ++i) {
    const float x = stream.uniform();
    if (!(x >= 0.0f && x < 1.0f)) FAIL("outside: " << x);
  }
}

TEST_CASE("philox: below is uniform over its range", "[base]") {
  RngStream stream(RngKey(11, 0), 0);
  for (const i64 n : {i64{1}, i64{2}, i64{3}, i64{7}, i64{10}}) {
    const i64 draws = 20000;
    std::vector<i64> count(static_cast<size_t>(n));
    for (i64 i = 0; i < draws; ++i) {
      const i64 x = stream.below(n);
      if (x < 0 || x >= n) FAIL("outside: " << x);
      ++count[static_cast<size_t>(x)];
    }
    double chi2 = 0;
    const double expected = static_cast<double>(draws) / static_cast<double>(n);
    for (const i64 c : count)
      chi2 += (static_cast<double>(c) - expected) * (static_cast<double>(c) - expected) / expected;
    CHECK(chi2 < 30.0);  // 9 degrees of freedom pass 30 with probability 4e-4; the sequence is fixed
  }
}

TEST_CASE("philox: below has no bias where a plain remainder has one", "[base]") {
  // With n = 3 * 2^61 a remainder of 64 bits would fall into the lower third in half of all draws.
  RngStream stream(RngKey(12, 0), 0);
  const i64 third = i64{1} << 61, n = 3 * third;
  int low = 0;
  const int draws = 6000;
  for (int i = 0; i < draws; ++i) low += stream.below(n) < third ? 1 : 0;
  CHECK(low == Approx(draws / 3).margin(183));  // 5 standard deviations
}
