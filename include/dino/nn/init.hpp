// How parameters get their first values: one random stream per name.
#pragma once

#include <dino/tensor/create.hpp>

#include <string>

namespace dino::inline DINO_ABI {

/// A distribution of first values. The i-th element depends on (seed, name, i) only: adding a layer changes no other
/// one.
struct Init {
  enum class Kind { constant, normal, uniform };
  Kind kind = Kind::constant;
  double scale = 0;  // the constant; the standard deviation; the bound of the uniform distribution

  double operator()(RngKey key, i64 i) const {
    if (kind == Kind::constant) return scale;
    if (kind == Kind::normal) return scale * dino::normal(key, i);
    return scale * (2.0 * static_cast<double>(key.block(static_cast<u64>(i)).x[0]) * 0x1p-32 - 1.0);
  }
};

inline constexpr Init zeros_init{Init::Kind::constant, 0};
inline constexpr Init ones_init{Init::Kind::constant, 1};
/// N(0, std^2). The reference truncates at +-2, a hundred deviations away: it never acts.
constexpr Init normal_init(double std) { return {Init::Kind::normal, std}; }
/// U(-bound, bound).
constexpr Init uniform_init(double bound) { return {Init::Kind::uniform, bound}; }

}  // namespace dino::inline DINO_ABI
