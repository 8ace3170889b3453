// Branch-free exp, erf, GELU and its gradient, which compilers vectorise when a plain loop calls them.
#pragma once

#include <dino/base/types.hpp>

#include <cmath>

/// float: polynomials and rational functions of our own, fitted by tools/reference/fit_math.py; no table, no call, no branch, and
/// results that do not depend on whether the compiler contracts a * b + c. Built with -ffast-math they are wrong: it folds
/// (x + magic) - magic to x.  double: the C library, for gradient checks.  A NaN stays a NaN everywhere.
namespace dino::inline DINO_ABI::math {

namespace detail {

inline constexpr float log2_e = 1.44269504f;
inline constexpr float ln2_high = 0.693359375f;         // 10 bits: n * ln2_high is exact for |n| < 2^14
inline constexpr float ln2_low = -2.12194440e-4f;
inline constexpr float round_magic = 0x1.8p23f;         // x + magic has no bits behind the point: x rounded to nearest
inline constexpr float exp_low = -88.0f;                // n = -127 there: the factor 2^n becomes exactly 0
inline constexpr float exp_high = 88.37f;               // n = 127 there: the largest finite factor

/// P(s) / Q(s), both of degree 5, Q(0) = 1: the form of all fits below. Positive denominators, so no cancellation in them.
struct Rational {
  float p0, p1, p2, p3, p4, p5, q1, q2, q3, q4, q5;

  DINO_SHARED_CODE constexpr float operator()(float s) const {
    const float p = ((((p5 * s + p4) * s + p3) * s + p2) * s + p1) * s + p0;
    const float q = ((((q5 * s + q4) * s + q3) * s + q2) * s + q1) * s + 1.0f;
    return p / q;
  }
};

// clang-format off
/// erf(x) / x as a function of x^2, |x| <= 3.8. Relative error of the fit 5.4e-8.
DINO_SHARED_CODE constexpr Rational erf_fit() {
  return {1.12837911f, 0.185768262f, 0.0522506833f, 0.00359556731f, 0.000286268565f, 2.15733212e-06f,
          0.497965753f, 0.112296343f, 0.0146278637f, 0.00113074819f, 3.92659822e-05f};
}
/// (Phi(x) - 1/2) / x as a function of x^2, |x| <= 5.4, Phi the normal distribution function. Relative error 4.6e-8.
DINO_SHARED_CODE constexpr Rational normal_fit() {
  return {0.398942262f, 0.0329447873f, 0.00462362403f, 0.00015983035f, 6.3176717e-06f, 2.36553319e-08f,
          0.249246791f, 0.0281313192f, 0.00183371396f, 7.08964435e-05f, 1.22125948e-06f};
}
/// (d/dx [x Phi(x)] - 1/2) / x as a function of x^2, |x| <= 5.8. Relative error 2.9e-7.
DINO_SHARED_CODE constexpr Rational gelu_slope_fit() {
  return {0.797884762f, -0.0310008842f, 0.0142364865f, 1.8775354e-05f, 3.61050952e-05f, 1.94476129e-07f,
          0.294484466f, 0.0409889407f, 0.00352364779f, 0.000192468186f, 9.00546456e-06f};
}
// clang-format on

}  // namespace detail

/// e^x. Relative error at most 1e-7 on [-87.3, 88.3]; below -87.7 exactly 0; above 88.37 it stays at 2.4e38, finite.
/// x = n ln2 + r, |r| <= ln2 / 2, e^x = 2^n P(r), P of degree 6.
DINO_SHARED_CODE inline float exp(float x) {
  using namespace detail;
  const float low = x < exp_low ? exp_low : x;
  const float clamped = low > exp_high ? exp_high : low;
  const float shifted = clamped * log2_e + round_magic;
  const float n = shifted - round_magic;
  const float r = (clamped - n * ln2_high) - n * ln2_low;
  const float tail = (((0.00138388691f * r + 0.00836919155f) * r + 0.0416681021f) * r + 0.166665167f) * r + 0.49999994f;
  const float p = (tail * r) * r + r + 1.0f;
  // The low bits of `shifted` hold n; its own high bits leave at the top.
  const u32 power = (__builtin_bit_cast(u32, shifted) << 23) + 0x3f800000u;
  return p * __builtin_bit_cast(float, power);
}

/// erf(x) = 2/sqrt(pi) integral_0^x exp(-t^2) dt. Odd; absolute error at most 5e-7; exactly +-1 beyond +-3.8.
DINO_SHARED_CODE inline float erf(float x) {
  const float y = x * detail::erf_fit()(x * x);
  const float upper = x > 3.8f ? 1.0f : y;
  return x < -3.8f ? -1.0f : upper;
}

/// GELU(x) = x Phi(x) = x/2 (1 + erf(x / sqrt2)), the exact one. Error at most 3e-7 max(1, |x|); x beyond 5.4, 0 below -5.4.
DINO_SHARED_CODE inline float gelu(float x) {
  const float y = x * (x * detail::normal_fit()(x * x) + 0.5f);
  const float upper = x > 5.4f ? x : y;
  return x < -5.4f ? 0.0f : upper;
}

/// d GELU / dx = Phi(x) + x phi(x), phi the normal density. Absolute error at most 4e-7; exactly 1 beyond 5.8, 0 below -5.8.
DINO_SHARED_CODE inline float gelu_grad(float x) {
  const float y = x * detail::gelu_slope_fit()(x * x) + 0.5f;
  const float upper = x > 5.8f ? 1.0f : y;
  return x < -5.8f ? 0.0f : upper;
}

DINO_SHARED_CODE inline double exp(double x) { return std::exp(x); }
DINO_SHARED_CODE inline double erf(double x) { return std::erf(x); }
DINO_SHARED_CODE inline double gelu(double x) { return 0.5 * x * std::erfc(-0.70710678118654752440 * x); }
DINO_SHARED_CODE inline double gelu_grad(double x) {
  constexpr double inverse_sqrt_2pi = 0.39894228040143267794;
  return 0.5 * std::erfc(-0.70710678118654752440 * x) + x * inverse_sqrt_2pi * std::exp(-0.5 * x * x);
}

}  // namespace dino::inline DINO_ABI::math
