// Messages of the library: one sink that a program may replace.
#pragma once

#include <dino/base/error.hpp>

#include <functional>
#include <iostream>
#include <mutex>

namespace dino::inline DINO_ABI {

enum class LogLevel { info, warning };

using LogSink = std::function<void(LogLevel, const std::string&)>;

namespace detail {
struct LogState {
  std::mutex mutex;
  LogSink sink = [](LogLevel level, const std::string& message) {
    std::cerr << (level == LogLevel::warning ? "warning: " : "") << message << '\n';
  };
};

inline LogState& log_state() {
  static LogState state;
  return state;
}

inline void write_log(LogLevel level, const std::string& message) {
  const std::lock_guard lock(log_state().mutex);
  if (log_state().sink) log_state().sink(level, message);
}
}  // namespace detail

/// Replaces the sink and returns the old one. A null sink is silence. The default writes to stderr.
inline LogSink set_log_sink(LogSink sink) {
  const std::lock_guard lock(detail::log_state().mutex);
  std::swap(sink, detail::log_state().sink);
  return sink;
}

template <class... Args> void log_info(std::string_view pattern, const Args&... args) {
  detail::write_log(LogLevel::info, str(pattern, args...));
}

template <class... Args> void log_warning(std::string_view pattern, const Args&... args) {
  detail::write_log(LogLevel::warning, str(pattern, args...));
}

}  // namespace dino::inline DINO_ABI
