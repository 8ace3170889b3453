#include <dino/base/view.hpp>

#include "support/catch.hpp"

#include <vector>

using namespace dino;

TEST_CASE("view: a row starts after r strides, whatever the number of columns", "[base]") {
  std::vector<float> data(21);
  const Rows<float> rows{data.data() + 1, 4, 3, 5};
  CHECK(rows[0] == data.data() + 1);
  CHECK(rows[3] == data.data() + 16);
  rows[2][1] = 7.0f;
  CHECK(data[12] == 7.0f);
}

TEST_CASE("view: stride 0 repeats one row", "[base]") {
  float value = 3.0f;
  const Rows<const float> repeated{&value, 1000, 1, 0};
  CHECK(*repeated[999] == 3.0f);
}

TEST_CASE("view: a target without memory is not wanted", "[base]") {
  CHECK_FALSE(Target<float>{});
  float value = 0;
  CHECK(Target<float>{&value, false});
}

TEST_CASE("view: a target writes or adds", "[base]") {
  std::vector<double> data{1, 2, 3};
  const Target<double> write{data.data(), false}, add{data.data(), true};
  write.put(1, 10);
  add.put(1, 5);
  add.put(2, 5);
  CHECK(data == std::vector<double>{1, 15, 8});
}
