#include <dino/data/dataset.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {

struct Pair {
  Image image;
  int label;
};

/// The least that a user's own type must have.
struct Own {
  i64 count = 5;
  i64 size() const { return count; }
  Pair get(i64 i) const {
    Image image(2, 1);
    image.pixels[0] = static_cast<u8>(i);
    return {image, static_cast<int>(i % 3)};
  }
};

/// Everything that a data set may have; get() always fails.
struct Rich {
  i64 size() const { return 1281167; }
  Sample get(i64 i) const { fail(ErrorKind::data, "{} is damaged", name(i)); }
  i64 label(i64 i) const { return i % 2; }
  std::string name(i64 i) const { return str("x/{}.png", i); }
  std::vector<std::string> classes() const { return {"even", "odd"}; }
  std::string kind() const { return "rich"; }
  std::string title() const { return "rich pictures"; }
};

static_assert(data::Dataset<Own> && data::Dataset<Rich> && data::Dataset<AnyDataset> && !data::Dataset<Pair>);

}  // namespace

TEST_CASE("dataset: a type with size() and get() is enough", "[data]") {
  const AnyDataset dataset = Own{};
  REQUIRE(dataset.size() == 5);
  const Sample sample = dataset.get(4);
  CHECK(sample.image.width == 2);
  CHECK(sample.image.pixels[0] == 4);
  CHECK(sample.label == 1);
  CHECK(sample.name == "image 4");
  CHECK(dataset.label(2) == 2);
  CHECK_FALSE(dataset.labelled());
  CHECK(dataset.kind() == "custom");
  CHECK(dataset.describe() == "custom data, 5 images, no labels");
}

TEST_CASE("dataset: a type without classes() may be given their names", "[data]") {
  const AnyDataset dataset(Own{1}, {"a", "b", "c"});
  CHECK(dataset.labelled());
  CHECK(dataset.classes() == std::vector<std::string>{"a", "b", "c"});
  CHECK(dataset.describe() == "custom data, 1 image, 3 classes");
}

TEST_CASE("dataset: labels and names come without decoding", "[data]") {
  const AnyDataset dataset = Rich{};
  CHECK(dataset.label(3) == 1);
  CHECK(dataset.name(3) == "x/3.png");
  CHECK(dataset.describe() == "rich pictures, 1,281,167 images, 2 classes");
  CHECK_THROWS_WITH(dataset.get(3), "x/3.png is damaged");
}

TEST_CASE("dataset: a subset picks, repeats and orders, and a subset of a subset composes", "[data]") {
  const AnyDataset whole = Own{};
  const AnyDataset part = whole.subset({4, 0, 4, 2});
  REQUIRE(part.size() == 4);
  CHECK(part.get(0).image.pixels[0] == 4);
  CHECK(part.get(0).name == "image 4");
  CHECK(part.label(3) == 2);
  const AnyDataset last = part.subset({3});
  CHECK(last.get(0).image.pixels[0] == 2);
  CHECK(whole.size() == 5);
  CHECK(whole.first(2).size() == 2);
  CHECK(whole.first(2).get(1).image.pixels[0] == 1);
  CHECK(whole.first(99).size() == 5);
}

TEST_CASE("dataset: positions outside are refused", "[data]") {
  const AnyDataset dataset = Own{};
  CHECK_THROWS_WITH(dataset.get(5), "dataset: image 5 of 5");
  CHECK_THROWS_WITH(dataset.label(-1), "dataset: image -1 of 5");
  CHECK_THROWS_WITH(dataset.subset({0, 7}), "dataset: image 7 of 5");
}

TEST_CASE("dataset: a picture whose bytes do not fit its size is refused by name", "[data]") {
  struct Torn {
    i64 size() const { return 1; }
    Sample get(i64) const {
      Sample sample{Image(4, 2), 0, "torn.png"};
      sample.image.pixels.pop_back();
      return sample;
    }
  };
  CHECK_THROWS_WITH(AnyDataset(Torn{}).get(0),
                    "torn.png: the picture is 4x2 with 23 bytes, expected 3 bytes per pixel");
}

TEST_CASE("dataset: a program that needs labels says so", "[data]") {
  CHECK_NOTHROW(require_labels(Rich{}, "k-NN"));
  try {
    require_labels(Own{}, "linear probing");
    FAIL("accepted data without labels");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::data);
    CHECK(std::string(e.what()) ==
          "custom data has no labels, and linear probing needs them. Expected one folder per class: <class>/*.jpg");
  }
}

TEST_CASE("dataset: counts are printed with commas", "[data]") {
  CHECK(detail::with_commas(0) == "0");
  CHECK(detail::with_commas(999) == "999");
  CHECK(detail::with_commas(1000) == "1,000");
  CHECK(detail::with_commas(-123456) == "-123,456");
  CHECK(detail::with_commas(1281167) == "1,281,167");
}
