#include <dino/base/shape.hpp>

#include "support/catch.hpp"

#include <numeric>
#include <vector>

using namespace dino;

TEST_CASE("shape: extents, rank and number of elements", "[base]") {
  const Shape shape{64, 197, 384};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 64);
  CHECK(shape[1] == 197);
  CHECK(shape[2] == 384);
  CHECK(shape.numel() == i64{64} * 197 * 384);
  CHECK(std::vector<i64>(shape.begin(), shape.end()) == std::vector<i64>{64, 197, 384});
}

TEST_CASE("shape: as a matrix, the last extent are the columns and the others the rows", "[base]") {
  CHECK(Shape{64, 197, 384}.rows() == i64{64} * 197);
  CHECK(Shape{64, 197, 384}.cols() == 384);
  CHECK(Shape{7}.rows() == 1);
  CHECK(Shape{7}.cols() == 7);
  CHECK(Shape{}.rows() == 1);
  CHECK(Shape{}.cols() == 1);
}

TEST_CASE("shape: an empty shape has one element, a zero extent none", "[base]") {
  CHECK(Shape{}.rank() == 0);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{0, 5}.numel() == 0);
  CHECK(Shape{5, 0}.rows() == 5);
}

TEST_CASE("shape: sizes above 2^31 are exact", "[base]") {
  CHECK((Shape{12, 4096, 65536}.numel() == 3221225472));
  CHECK((Shape{i64{1} << 40, 3}.numel() == i64{3} << 40));
}

TEST_CASE("shape: equality looks at rank and extents", "[base]") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  CHECK(Shape{} != Shape{0});
}

TEST_CASE("shape: prints in parentheses without spaces", "[base]") {
  CHECK(str("{}", Shape{64, 197, 384}) == "(64,197,384)");
  CHECK(str("{}", Shape{1}) == "(1)");
  CHECK(str("{}", Shape{}) == "()");
}

TEST_CASE("shape: six extents fit, a seventh is refused", "[base]") {
  std::vector<i64> extents(6);
  std::iota(extents.begin(), extents.end(), 1);
  CHECK(Shape(std::span<const i64>(extents)).numel() == 720);
  extents.push_back(7);
  CHECK_THROWS_WITH(Shape(std::span<const i64>(extents)), "shape: 7 extents, at most 6");
}

TEST_CASE("shape: a negative extent is refused", "[base]") {
  CHECK_THROWS_WITH((Shape{4, -1}), "shape: extent -1 is negative");
}
