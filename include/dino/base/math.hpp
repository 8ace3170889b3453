// Branch-free exp, erf, GELU and its gradient, which compilers vectorise when a plain loop calls them.
#pragma once

#include <dino/base/types.hpp>

#include <cmath>

/// float: polynomials and one rational function of our own, fitted by tools/reference/fit_math.py: no table, no call,
/// no branch. -ffast-math breaks exp (it folds (x + magic) - magic to x); -fno-math-errno -fno-trapping-math are what
/// g++ needs to vectorise.  double: the C library, for gradient checks.  A NaN stays a NaN everywhere. The bounds below
/// hold with and without fused multiply-add; the last bits differ.
namespace dino::inline DINO_ABI::math {

/// x^n, n >= 0, by repeated squaring: the same code on host and device.
DINO_SHARED_CODE constexpr double power(double x, i64 n) {
  double y = 1;
  for (; n > 0; n /= 2) {
    if (n % 2 == 1) y *= x;
    x *= x;
  }
  return y;
}

/// e^x. Relative error at most 2e-7 on [-87.3, 88.3], infinity from 88.73 on; below -87.3 subnormal, below -87.7 zero.
/// x = n ln2 + r, |r| <= ln2 / 2, e^x = 2^n p(r), p of degree 6.
DINO_SHARED_CODE inline float exp(float x) {
  constexpr float log2_e = 1.44269504f;
  constexpr float ln2_high = 0.693359375f;  // 10 bits: n * ln2_high is exact
  constexpr float ln2_low = -2.12194440e-4f;
  constexpr float magic = 0x1.8p23f;  // x + magic: x rounded to an integer, which the low bits hold
  constexpr u32 largest = __builtin_bit_cast(u32, magic + 127.0f);

  // Clamped as an integer: g++ turns a float clamp into four compares. Above it p(r) overflows to infinity by itself.
  const u32 rounded = __builtin_bit_cast(u32, x * log2_e + magic);
  const u32 bits = rounded < largest ? rounded : largest;
  const float n = __builtin_bit_cast(float, bits) - magic;
  const float r = (x - n * ln2_high) - n * ln2_low;
  const float p5 = ((0.00138389214f * r + 0.00836919341f) * r + 0.0416681021f) * r + 0.166665167f;
  const float p = ((p5 * r + 0.49999994f) * r + 1.0f) * r + 1.0f;
  const float power = __builtin_bit_cast(float, (bits << 23) + 0x3f800000u);  // 2^n, and 0 for n = -127
  const float y = p * power;
  return x < -88.0f ? 0.0f : y;
}

/// erf(x) = 2/sqrt(pi) integral_0^x exp(-t^2) dt. Odd; absolute error at most 2e-7, relative 4e-7; +-1 beyond +-3.9.
/// erf(a) = 1 - (1 + t)^4 for a >= 0, t = a p(a), with the square taken twice as (1 + t)^2 - 1 = t (t + 2).
DINO_SHARED_CODE inline float erf(float x) {
  const float a = __builtin_fabsf(x);
  const float s = a * a;
  const float odd =
      (((2.7878682e-06f * s + 0.000130496701f) * s - 0.0019763126f) * s + 0.018607311f) * s - 0.119366743f;
  const float even =
      (((-3.63009531e-05f * s + 0.00022276603f) * s - 0.00118693186f) * s + 0.0154672218f) * s - 0.282094777f;
  const float t = (odd * a + even) * a;
  const float u = t * (t + 2.0f);
  const float y = -u * (u + 2.0f);
  return __builtin_copysignf(a > 3.9f ? 1.0f : y, x);
}

/// GELU(x) = x Phi(x) = x/2 (1 + erf(x / sqrt2)), the exact one. Error at most 2e-7 max(1, |x|); beyond +-5.4 x or 0.
/// GELU(x) = max(x, 0) - a Phi(-a), a = |x|, Phi(-a) = p(a)^4: never positive for negative x.
DINO_SHARED_CODE inline float gelu(float x) {
  const float a = __builtin_fabsf(x);
  const float p4 = (((-3.40170413e-06f * a + 5.84544032e-05f) * a - 0.000307710405f) * a - 3.42992098e-05f) * a;
  const float p1 = (((p4 + 0.00379419513f) * a + 0.00465086568f) * a - 0.0501982011f) * a - 0.167733952f;
  const float p = p1 * a + 0.840896428f;
  const float square = p * p;
  const float positive = x < 0.0f ? 0.0f : x;
  const float y = positive - (a * square) * square;
  return a > 5.4f ? positive : y;
}

/// d GELU / dx = Phi(x) + x phi(x), phi the normal density. Absolute error at most 5e-7; 1 above 5.8, 0 below -5.8.
/// 1/2 plus an odd function x P(x^2) / Q(x^2); Q has positive coefficients only.
DINO_SHARED_CODE inline float gelu_grad(float x) {
  const float s = x * x;
  const float p2 = ((1.94476129e-07f * s + 3.61050952e-05f) * s + 1.8775354e-05f) * s + 0.0142364865f;
  const float p = (p2 * s - 0.0310008842f) * s + 0.797884762f;
  const float q2 = ((9.00546456e-06f * s + 0.000192468186f) * s + 0.00352364779f) * s + 0.0409889407f;
  const float q = (q2 * s + 0.294484466f) * s + 1.0f;
  const float y = x * (p / q) + 0.5f;
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
