// The one exception type, and the checks that throw it.
#pragma once

#include <dino/base/config.hpp>

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace dino::inline DINO_ABI {

/// What kind of thing went wrong; the value is the exit code of a program that stops because of it.
enum class ErrorKind : int {
  usage = 2,      // command line or configuration
  data = 3,       // images, labels, data sets
  weights = 4,    // weights or checkpoints
  numerical = 5,  // NaN, collapse
  resources = 6,  // disk, memory, device, permissions
  internal = 70,  // a wrong call inside the program: shapes, invariants
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

namespace detail {

/// Anything that has a shape prints as its shape, everything else by <<.
template <class A> void print_argument(std::ostream& out, const A& a) {
  if constexpr (requires { a.shape(); }) {
    out << a.shape();
  } else {
    out << a;
  }
}

inline void print_pattern(std::ostream& out, std::string_view pattern) { out << pattern; }

template <class A, class... Rest>
void print_pattern(std::ostream& out, std::string_view pattern, const A& a, const Rest&... rest) {
  const auto hole = pattern.find("{}");
  if (hole == std::string_view::npos) {
    out << pattern;
    return;
  }
  out << pattern.substr(0, hole);
  print_argument(out, a);
  print_pattern(out, pattern.substr(hole + 2), rest...);
}

}  // namespace detail

/// The pattern with each {} replaced by the next argument; tensors print as their shapes.
template <class... Args> std::string str(std::string_view pattern, const Args&... args) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  detail::print_pattern(out, pattern, args...);
  return out.str();
}

/// Throws Error{kind} with the formatted message.
template <class... Args> [[noreturn]] void fail(ErrorKind kind, std::string_view pattern, const Args&... args) {
  throw Error(kind, str(pattern, args...));
}

/// Checks what a caller inside the program promised. The message is formatted only when the check fails:
///     require(gamma.shape() == Shape{x.cols()}, "layernorm: x is {}, gamma is {}", x, gamma);
template <class... Args> void require(bool condition, std::string_view pattern, const Args&... args) {
  if (!condition) [[unlikely]] fail(ErrorKind::internal, pattern, args...);
}

/// Checks what a user or a file promised.
template <class... Args>
void require(bool condition, ErrorKind kind, std::string_view pattern, const Args&... args) {
  if (!condition) [[unlikely]] fail(kind, pattern, args...);
}

}  // namespace dino::inline DINO_ABI
