// What all programs share: exit codes, signals, the first line.
#pragma once

#include <dino/base/error.hpp>
#include <dino/io/cli.hpp>
#include <dino/io/run_dir.hpp>

#include <atomic>
#include <csignal>
#include <iostream>
#include <new>
#include <optional>

namespace programs {

/// Set by the first SIGINT or SIGTERM; the second one ends the program at once.
inline std::atomic<int>& stop_signal() {
  static std::atomic<int> signal{0};
  return signal;
}
/// The exit code of a training run: 143 after SIGTERM, 130 after another signal to stop, 0 otherwise.
inline int exit_code() { return stop_signal() == 0 ? 0 : stop_signal() == SIGTERM ? 143 : 130; }

inline void stop_on_signals() {
  const auto handler = [](int number) {
    stop_signal() = number;
    std::signal(number, SIG_DFL);
  };
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
}

/// "dino 0.1.0  g++ 12.2.0 Release AVX-512".
inline std::string banner() {
#if defined(__OPTIMIZE__)
  const char* const build = "optimised";
#else
  const char* const build = "NOT OPTIMISED (many times slower: configure with -DCMAKE_BUILD_TYPE=Release)";
#endif
  return dino::str("dino {}  {}  {}  {}", DINO_VERSION, dino::compiler_name(), build, dino::simd_level());
}

/// What a parsed command line answers by itself: problems, --help, --version. The exit code, or nothing: go on.
inline std::optional<int> answer(const dino::ParseResult& parsed) {
  for (const auto& warning : parsed.warnings) std::cerr << "warning: " << warning << '\n';
  if (!parsed.ok()) {
    std::cerr << parsed.report();
    return parsed.exit_code();
  }
  if (parsed.options.flag("version")) {
    std::cout << banner() << '\n';
    return 0;
  }
  if (!parsed.answer.empty()) {
    std::cout << parsed.answer;
    return 0;
  }
  return std::nullopt;
}

/// Runs a program's body and turns errors into one line and an exit code.
template <class F> int run_program(F body) {
  try {
    return body();
  } catch (const dino::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    if (error.kind() == dino::ErrorKind::internal) {
      std::cerr << "This is a fault of the program (dino " << DINO_VERSION
                << "). Please report it with the command you ran.\n";
    }
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory. Try a smaller --micro-batch or fewer --workers\n";
    return static_cast<int>(dino::ErrorKind::resources);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return static_cast<int>(dino::ErrorKind::internal);
  }
}

}  // namespace programs
