// Times: a clock that nobody can set, wall time that never runs backwards, and how both are printed.
#pragma once

#include <dino/base/types.hpp>

#include <cmath>
#include <ctime>
#include <string>

namespace dino::inline DINO_ABI {

/// Seconds on a clock that only runs forwards. On Linux the time in which the machine sleeps counts as well, so that
/// wall time derived from it stays right on a laptop.
inline double monotonic_seconds() {
  timespec now{};
#ifdef CLOCK_BOOTTIME
  clock_gettime(CLOCK_BOOTTIME, &now);
#else
  clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Wall time in seconds since 1970: the wall clock as it was at construction plus the monotonic time since. Setting the
/// machine's clock during a run therefore does not change the order of its log lines.
class SteadyTime {
 public:
  SteadyTime() : wall_(static_cast<double>(std::time(nullptr))), started_(monotonic_seconds()) {}
  i64 now() const { return static_cast<i64>(wall_ + monotonic_seconds() - started_); }

 private:
  double wall_, started_;
};

namespace detail {
inline std::string utc(i64 seconds, const char* format) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

inline std::string two_digits(i64 n) { return (n < 10 ? "0" : "") + std::to_string(n); }
}  // namespace detail

/// "2026-01-23T21:40:05Z" (RFC 3339, UTC).
inline std::string rfc3339(i64 seconds) { return detail::utc(seconds, "%Y-%m-%dT%H:%M:%SZ"); }

/// "20260123T214005Z": the same without characters that trouble file names.
inline std::string file_time(i64 seconds) { return detail::utc(seconds, "%Y%m%dT%H%M%SZ"); }

/// "45s", "10m 44s", "11h 20m", "1d 03:12". Rounded to whole seconds; "--" when negative, not finite or above 10,000
/// days.
inline std::string format_duration(double seconds) {
  if (!(seconds >= 0 && seconds < 864e6)) return "--";
  const i64 s = std::llround(seconds);
  if (s < 60) return std::to_string(s) + "s";
  if (s < 3600) return std::to_string(s / 60) + "m " + detail::two_digits(s % 60) + "s";
  if (s < 86400) return std::to_string(s / 3600) + "h " + detail::two_digits(s / 60 % 60) + "m";
  return std::to_string(s / 86400) + "d " + detail::two_digits(s / 3600 % 24) + ":" + detail::two_digits(s / 60 % 60);
}

/// "3,120": thousands separated by commas.
inline std::string format_count(i64 n) {
  std::string text = std::to_string(n);
  const size_t first = n < 0 ? 1 : 0;
  for (size_t at = text.size(); at > first + 3;) text.insert(at -= 3, 1, ',');
  return text;
}

}  // namespace dino::inline DINO_ABI
