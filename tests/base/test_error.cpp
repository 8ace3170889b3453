#include <dino/base/error.hpp>
#include <dino/base/shape.hpp>

#include "support/catch.hpp"

#include <locale>

using namespace dino;

namespace {

struct Shaped {
  Shape shape() const { return {2, 3}; }
};

struct Counted {
  int* printed;
  friend std::ostream& operator<<(std::ostream& out, const Counted& c) { return ++*c.printed, out << "counted"; }
};

template <class F> Error caught(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return {ErrorKind::internal, ""};
}

struct CommaForPoint : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

}  // namespace

TEST_CASE("error: str fills holes in order", "[base]") {
  CHECK(str("no hole") == "no hole");
  CHECK(str("") == "");
  CHECK(str("{}", 7) == "7");
  CHECK(str("{} of {} in {}", 3, 2.5, "x.jpg") == "3 of 2.5 in x.jpg");
  CHECK(str("{}{}", std::string("a"), 'b') == "ab");
  CHECK(str("{ } {}", 1) == "{ } 1");
}

TEST_CASE("error: str keeps holes without argument and drops arguments without hole", "[base]") {
  CHECK(str("{} {}", 1) == "1 {}");
  CHECK(str("{}", 1, 2) == "1");
  CHECK(str("{}", "{}") == "{}");
}

TEST_CASE("error: whatever has a shape prints as its shape", "[base]") {
  CHECK(str("x is {}", Shaped{}) == "x is (2,3)");
  CHECK(str("x is {}", Shape{64, 197, 384}) == "x is (64,197,384)");
}

TEST_CASE("error: numbers print alike under every global locale", "[base]") {
  const std::locale old = std::locale::global(std::locale(std::locale::classic(), new CommaForPoint));
  const std::string text = str("{} {}", 1234567, 0.5);
  std::locale::global(old);
  CHECK(text == "1234567 0.5");
}

TEST_CASE("error: require throws the formatted message, internal unless a kind is given", "[base]") {
  const Error internal = caught([] { require(false, "layernorm: x is {}, gamma is {}", Shape{4, 384}, Shape{385}); });
  CHECK(internal.what() == std::string("layernorm: x is (4,384), gamma is (385)"));
  CHECK(internal.kind() == ErrorKind::internal);
  const Error data = caught([] { require(false, ErrorKind::data, "label {}, expected 0..{}", 83, 9); });
  CHECK(data.what() == std::string("label 83, expected 0..9"));
  CHECK(data.kind() == ErrorKind::data);
  CHECK_THROWS_AS(require(false, "x"), std::runtime_error);
}

TEST_CASE("error: require formats only when it fails", "[base]") {
  int printed = 0;
  require(true, "{}", Counted{&printed});
  require(true, ErrorKind::usage, "{}", Counted{&printed});
  CHECK(printed == 0);
  CHECK_THROWS_AS(require(false, "{}", Counted{&printed}), Error);
  CHECK(printed == 1);
}

TEST_CASE("error: the kind is the exit code", "[base]") {
  CHECK(caught([] { fail(ErrorKind::usage, "x"); }).exit_code() == 2);
  CHECK(caught([] { fail(ErrorKind::data, "x"); }).exit_code() == 3);
  CHECK(caught([] { fail(ErrorKind::weights, "x"); }).exit_code() == 4);
  CHECK(caught([] { fail(ErrorKind::numerical, "x"); }).exit_code() == 5);
  CHECK(caught([] { fail(ErrorKind::resources, "x"); }).exit_code() == 6);
  CHECK(caught([] { fail(ErrorKind::internal, "x"); }).exit_code() == 70);
  CHECK(caught([] { fail(ErrorKind::data, "{} of {}", 1, 2); }).what() == std::string("1 of 2"));
}
