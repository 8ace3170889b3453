#include <dino/base/philox.hpp>
#include <dino/base/types.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace dino;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }

struct Format {
  int precision;    // bits of significand, the leading one included
  int lowest;       // exponent of the smallest normal number
  double overflow;  // from here on, the rounded value is infinite
};
constexpr Format bf16_format{8, -126, 0x1.ffp127};
constexpr Format f16_format{11, -14, 65520.0};

// Round to nearest, ties to even, computed in double: exact, because |x| / step is far below 2^53.
double rounded(float x, const Format& format) {
  const double magnitude = std::fabs(static_cast<double>(x));
  if (std::isnan(x) || magnitude == 0) return x;
  if (magnitude >= format.overflow) return std::copysign(static_cast<double>(inf), x);
  const int exponent = std::max(std::ilogb(magnitude), format.lowest);
  const double step = std::ldexp(1.0, exponent - format.precision + 1);
  return std::copysign(std::nearbyint(magnitude / step) * step, x);
}

bool same(double expected, float got) {
  if (std::isnan(expected)) return std::isnan(got);
  return expected == static_cast<double>(got) && std::signbit(expected) == std::signbit(got);
}

int mismatches = 0;

void check_both(float x) {
  const bool right =
      same(rounded(x, bf16_format), to_float(to_bf16(x))) && same(rounded(x, f16_format), to_float(to_f16(x)));
  if (!right && ++mismatches < 10) FAIL_CHECK("float with bits " << std::hex << bits_of(x) << " is rounded wrongly");
}

}  // namespace

TEST_CASE("types: all bf16 values survive the way to float and back", "[base]") {
  int wrong = 0, nans = 0;
  for (u32 i = 0; i < 65536; ++i) {
    const bf16 x{static_cast<u16>(i)};
    const float value = to_float(x);
    if (std::isnan(value)) ++nans;
    const u32 expected = std::isnan(value) ? (i | 0x40u) : i;  // a signalling NaN becomes quiet
    if (to_bf16(value).bits != expected || bits_of(value) != i << 16) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(nans == 2 * 127);
}

TEST_CASE("types: all f16 values survive the way to float and back", "[base]") {
  int wrong = 0, nans = 0;
  for (u32 i = 0; i < 65536; ++i) {
    const f16 x{static_cast<u16>(i)};
    const float value = to_float(x);
    if (std::isnan(value)) {
      ++nans;
      if (!std::isnan(to_float(to_f16(value))) || ((to_f16(value).bits ^ i) & 0x8000u) != 0) ++wrong;
    } else if (to_f16(value).bits != i) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
  CHECK(nans == 2 * 1023);
}

TEST_CASE("types: f16 values are what the format says", "[base]") {
  int wrong = 0;
  for (u32 i = 0; i < 0x7c00u; ++i) {
    const int exponent = static_cast<int>(i >> 10);
    const double fraction = static_cast<double>(i & 0x3ffu);
    const double expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0 + fraction, exponent - 25);
    if (static_cast<double>(to_float(f16{static_cast<u16>(i)})) != expected) ++wrong;
    if (static_cast<double>(to_float(f16{static_cast<u16>(i | 0x8000u)})) != -expected) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(to_float(f16{0x7c00}) == inf);
  CHECK(to_float(f16{0xfc00}) == -inf);
  CHECK(to_float(f16{0x7bff}) == 65504.0f);
}

TEST_CASE("types: rounding equals the reference for random floats of all exponents", "[base]") {
  mismatches = 0;
  RngStream random(RngKey(1, stream_of("types")), 0);
  for (int i = 0; i < 500000; ++i) check_both(__builtin_bit_cast(float, random.bits()));
  for (int i = 0; i < 500000; ++i) {  // exponents of f16 and its subnormals: 2^-27 to 2^17
    const u32 exponent = 100 + static_cast<u32>(random.below(45));
    check_both(__builtin_bit_cast(float, (random.bits() & 0x807fffffu) | (exponent << 23)));
  }
  CHECK(mismatches == 0);
}

TEST_CASE("types: ties go to even, and their neighbours to the nearest", "[base]") {
  mismatches = 0;
  for (u32 i = 0; i < 65535; ++i) {
    const float a = to_float(bf16{static_cast<u16>(i)});
    const u32 tie = bits_of(a) + 0x8000u;
    for (const u32 bits : {tie - 1, tie, tie + 1}) check_both(__builtin_bit_cast(float, bits));
  }
  for (u32 i = 0; i < 0x7c00u; ++i) {  // the middle of two neighbours, exact in float
    const double next = i == 0x7bffu ? 65536.0 : static_cast<double>(to_float(f16{static_cast<u16>(i + 1)}));
    const float tie = static_cast<float>((static_cast<double>(to_float(f16{static_cast<u16>(i)})) + next) / 2);
    for (const float x : {std::nextafter(tie, 0.0f), tie, std::nextafter(tie, inf)}) {
      check_both(x);
      check_both(-x);
    }
  }
  CHECK(mismatches == 0);
}

TEST_CASE("types: overflow, underflow, zeros and infinities", "[base]") {
  CHECK(to_f16(65519.996f).bits == 0x7bff);
  CHECK(to_f16(65520.0f).bits == 0x7c00);
  CHECK(to_f16(-1e30f).bits == 0xfc00);
  CHECK(to_f16(0x1p-24f).bits == 1);
  CHECK(to_f16(0x1p-25f).bits == 0);  // a tie: to even
  CHECK(to_f16(0x1.000002p-25f).bits == 1);
  CHECK(to_f16(-0x1p-30f).bits == 0x8000);
  CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(to_bf16(std::numeric_limits<float>::denorm_min()).bits == 0);
  for (const float x : {0.0f, -0.0f, inf, -inf}) {
    CHECK(bits_of(to_float(to_bf16(x))) == bits_of(x));
    CHECK(bits_of(to_float(to_f16(x))) == bits_of(x));
  }
}

TEST_CASE("types: a NaN stays a quiet NaN of the same sign", "[base]") {
  for (const u32 bits : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu, 0x7f802000u}) {
    const float nan = __builtin_bit_cast(float, bits);
    const u32 brain = to_bf16(nan).bits, half = to_f16(nan).bits;
    CHECK((brain & 0x7fc0u) == 0x7fc0u);
    CHECK((half & 0x7e00u) == 0x7e00u);
    CHECK((brain >> 15) == (bits >> 31));
    CHECK((half >> 15) == (bits >> 31));
  }
}

#if defined(__FLT16_MANT_DIG__) && defined(__SSE2__) && defined(__GNUC__) && !defined(__clang__)
TEST_CASE("types: f16 equals the half type of the compiler", "[base]") {
  RngStream random(RngKey(2, stream_of("types")), 0);
  int wrong = 0;
  for (int i = 0; i < 200000; ++i) {
    const float x =
        __builtin_bit_cast(float, (random.bits() & 0x87ffffffu) | 0x30000000u | (random.bits() & 0x18000000u));
    const _Float16 half = static_cast<_Float16>(x);
    if (__builtin_bit_cast(u16, half) != to_f16(x).bits) ++wrong;
    if (static_cast<float>(half) != to_float(to_f16(x))) ++wrong;
  }
  CHECK(wrong == 0);
}
#endif

TEST_CASE("types: sums are kept in float, for double in double", "[base]") {
  STATIC_REQUIRE(std::is_same_v<acc_t<float>, float>);
  STATIC_REQUIRE(std::is_same_v<acc_t<bf16>, float>);
  STATIC_REQUIRE(std::is_same_v<acc_t<f16>, float>);
  STATIC_REQUIRE(std::is_same_v<acc_t<double>, double>);
  CHECK(to_acc(bf16{0x3fc0}) == 1.5f);
  CHECK(to_acc(f16{0x3e00}) == 1.5f);
  CHECK(to_acc(0.1) == 0.1);
  CHECK(from_acc<bf16>(1.5f).bits == 0x3fc0);
  CHECK(from_acc<f16>(1.5f).bits == 0x3e00);
  CHECK(from_acc<double>(0.1) == 0.1);
}

TEST_CASE("types: storage types have the size of what they store", "[base]") {
  STATIC_REQUIRE(sizeof(bf16) == 2);
  STATIC_REQUIRE(sizeof(f16) == 2);
  STATIC_REQUIRE(Number<bf16>);
  STATIC_REQUIRE(Number<i64>);
  STATIC_REQUIRE_FALSE(Number<char>);
  STATIC_REQUIRE(std::is_trivially_copyable_v<bf16>);
}
