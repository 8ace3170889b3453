// Axes of charts: rounded positions and their labels.
#pragma once

#include <dino/io/clock.hpp>
#include <dino/io/record.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace dino::inline DINO_ABI {

/// Rounded positions in [low, high], about `wanted` of them: multiples of 1, 2 or 5 times a power of ten.
inline std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (!(high > low) || !std::isfinite(high - low)) return {};
  const double raw = (high - low) / wanted, power = std::pow(10, std::floor(std::log10(raw)));
  const double step = power * (raw / power < 1.5 ? 1 : raw / power < 3 ? 2 : raw / power < 7 ? 5 : 10);
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  if (!(last - first < 100)) return {};
  for (double i = first; i <= last; ++i) ticks.push_back(i * step + 0.0);  // + 0.0: no negative zero
  return ticks;
}

/// Positions for a logarithmic axis: powers of ten, with 2 and 5 between them where there are few.
inline std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  if (!(low > 0 && high > low) || !std::isfinite(high)) return ticks;
  const double decades = std::log10(high / low), every = std::max(1.0, std::ceil(decades / 6));
  for (double e = std::floor(std::log10(low)); e <= std::ceil(std::log10(high)); ++e) {
    for (const double m : {1.0, 2.0, 5.0}) {
      const double tick = m * std::pow(10, e);
      const bool wanted = m == 1 ? std::fmod(e, every) == 0 : decades < 2.5;
      if (wanted && tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

/// "1,200", "0.25", "2e-5": as many digits as tell values that are `step` apart.
inline std::string tick_label(double value, double step) {
  const auto exponent = [](double x) { return static_cast<int>(std::floor(std::log10(std::abs(x)) + 1e-9)); };
  if (value == 0 || !std::isfinite(value) || !(step > 0)) return value == 0 ? "0" : number_text(value);
  char text[64];
  if (std::abs(value) >= 1e7 || step < 1e-4) {
    const int digits = std::clamp(exponent(value) - exponent(step), 0, 6);
    const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, digits).ptr;
    std::string out(text, end);
    const auto e = out.find('e');
    return out.substr(0, e + 1) + std::to_string(std::atoi(out.c_str() + e + 1));
  }
  if (step >= 1) return format_count(std::llround(value));
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, -exponent(step)).ptr;
  return std::string(text, end);
}

namespace detail {

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void add(double x) { low = std::min(low, x), high = std::max(high, x); }
  bool empty() const { return !(low <= high); }
  double span() const { return high - low; }
};

/// Distance between neighbouring ticks, `otherwise` where there is none.
inline double tick_step(const std::vector<double>& ticks, double otherwise) {
  return ticks.size() > 1 ? ticks[1] - ticks[0] : otherwise;
}

}  // namespace detail

}  // namespace dino::inline DINO_ABI
