#include <dino/io/crc32c.hpp>

#include "support/catch.hpp"

#include <numeric>
#include <string_view>
#include <vector>

using namespace dino;

namespace {
std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

std::vector<u8> counting(size_t n) {
  std::vector<u8> data(n);
  for (size_t i = 0; i < n; ++i) data[i] = static_cast<u8>(i * 131 + i / 7);
  return data;
}
}  // namespace

TEST_CASE("crc32c: known answers of RFC 3720 and of short texts", "[io][golden]") {
  CHECK(crc32c({}) == 0u);
  CHECK(crc32c(bytes("a")) == 0xc1d04330u);
  CHECK(crc32c(bytes("abc")) == 0x364b3fb7u);
  CHECK(crc32c(bytes("123456789")) == 0xe3069283u);
  CHECK(crc32c(std::vector<u8>(32, 0)) == 0x8a9136aau);
  CHECK(crc32c(std::vector<u8>(32, 0xff)) == 0x62a8ab43u);
  std::vector<u8> ascending(32);
  std::iota(ascending.begin(), ascending.end(), u8{0});
  CHECK(crc32c(ascending) == 0x46dd794eu);
  const float one_two[] = {1, 2};
  CHECK(crc32c({reinterpret_cast<const u8*>(one_two), sizeof(one_two)}) == 0x28c0c9b1u);
}

TEST_CASE("crc32c: tables give the known answer where an instruction is used", "[io]") {
  CHECK(~detail::crc32c_by_tables(~0u, bytes("123456789")) == 0xe3069283u);
  for (size_t n = 0; n < 70; ++n) {
    const auto data = counting(n);
    CHECK(~detail::crc32c_by_tables(~0u, data) == crc32c(data));
  }
}

TEST_CASE("crc32c: a sum continues over any cut", "[io]") {
  const auto data = counting(67);
  const std::span<const u8> all(data);
  for (size_t cut = 0; cut <= data.size(); ++cut) {
    CHECK(crc32c(all.subspan(cut), crc32c(all.first(cut))) == crc32c(all));
  }
}

TEST_CASE("crc32c: unaligned data have the sum of their values", "[io]") {
  const auto data = counting(200);
  const std::span<const u8> all(data);
  for (size_t shift = 0; shift < 9; ++shift) {
    const std::vector<u8> moved(data.begin() + static_cast<long>(shift), data.begin() + static_cast<long>(shift) + 101);
    CHECK(crc32c(all.subspan(shift, 101)) == crc32c(moved));
  }
}

TEST_CASE("crc32c: every flipped bit changes the sum", "[io]") {
  auto data = counting(40);
  const auto sum = crc32c(data);
  for (size_t bit = 0; bit < 8 * data.size(); ++bit) {
    data[bit / 8] ^= static_cast<u8>(1u << (bit % 8));
    CHECK(crc32c(data) != sum);
    data[bit / 8] ^= static_cast<u8>(1u << (bit % 8));
  }
}
