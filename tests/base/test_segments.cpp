#include <dino/base/segments.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("segments: groups follow one another without gaps", "[base]") {
  Segments segments;
  segments.add(128, 197, 14, 14);
  segments.add(512, 37, 6, 6);
  segments.add(3, 5);
  REQUIRE(segments.size() == 3);
  CHECK(segments[0] == Segment{0, 128, 197, 14, 14});
  CHECK(segments[1] == Segment{128 * 197, 512, 37, 6, 6});
  CHECK(segments[2] == Segment{128 * 197 + 512 * 37, 3, 5, 0, 0});
  CHECK(segments.rows() == 128 * 197 + 512 * 37 + 15);
  CHECK(segments.images() == 643);
}

TEST_CASE("segments: an empty layout has no rows and no images", "[base]") {
  const Segments segments;
  CHECK(segments.size() == 0);
  CHECK(segments.rows() == 0);
  CHECK(segments.images() == 0);
  CHECK(segments.begin() == segments.end());
}

TEST_CASE("segments: rows of one group, and iteration in order", "[base]") {
  CHECK(Segment{7, 3, 5, 0, 0}.rows() == 15);
  Segments segments;
  segments.add(1, 2);
  segments.add(3, 4);
  i64 next = 0;
  for (const Segment& segment : segments) {
    CHECK(segment.row == next);
    next += segment.rows();
  }
  CHECK(next == segments.rows());
}

TEST_CASE("segments: the class token and registers stand before the patches", "[base]") {
  CHECK(Segment{0, 2, 197, 14, 14}.special() == 1);
  CHECK(Segment{0, 2, 5 + 6, 2, 3}.special() == 5);
}

TEST_CASE("segments: row numbers above 2^31 are exact", "[base]") {
  Segments segments;
  segments.add(i64{1} << 22, 1025);
  segments.add(1, 1);
  CHECK(segments[1].row == (i64{1} << 22) * 1025);
}

TEST_CASE("segments: equality compares every field", "[base]") {
  Segments a, b, c;
  a.add(2, 5, 2, 2);
  b.add(2, 5, 2, 2);
  c.add(2, 5, 1, 4);
  CHECK(a == b);
  CHECK(a != c);
  b.add(1, 1);
  CHECK(a != b);
}

TEST_CASE("segments: no images or no tokens is an error and changes nothing", "[base]") {
  Segments segments;
  segments.add(2, 3);
  CHECK_THROWS_WITH(segments.add(0, 5), "segments: 0 images of 5 tokens");
  CHECK_THROWS_WITH(segments.add(4, -1), "segments: 4 images of -1 tokens");
  CHECK(segments.size() == 1);
  CHECK(segments.rows() == 6);
}
