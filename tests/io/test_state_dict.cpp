#include <dino/io/state_dict.hpp>

#include "support/catch.hpp"

#include <array>
#include <limits>

using namespace dino;
using Catch::Matchers::Contains;

TEST_CASE("state_dict: values of every type come back as they were", "[io]") {
  const Shape shape{3};
  CHECK(tensor_data(shape, std::vector<float>{1, -2, 0.5f}).to<float>() == std::vector<float>{1, -2, 0.5f});
  CHECK(tensor_data(shape, std::vector<double>{1, 1e-300, 3}).to<double>() == std::vector<double>{1, 1e-300, 3});
  CHECK(tensor_data(shape, std::vector<i64>{1, i64{1} << 60, -3}).to<i64>() == std::vector<i64>{1, i64{1} << 60, -3});
  CHECK(tensor_data(shape, std::vector<i32>{1, -7, 3}).to<i32>() == std::vector<i32>{1, -7, 3});
  CHECK(tensor_data(shape, std::vector<u8>{0, 255, 3}).to<u8>() == std::vector<u8>{0, 255, 3});
  const auto half = tensor_data(shape, std::array{to_f16(1), to_f16(-2), to_f16(0.5f)});
  CHECK(half.dtype == DType::F16);
  CHECK(half.bytes.size() == 6);
  CHECK(half.to<f16>()[1].bits == to_f16(-2).bits);
}

TEST_CASE("state_dict: reals are converted to the real type asked for", "[io]") {
  const std::vector<float> values{1.0f, -2.5f, 0.15625f};  // exact in eight bits of significand
  const Shape shape{3};
  const auto check = [&](const TensorData& tensor) {
    CHECK(tensor.to<float>() == values);
    CHECK(tensor.to<double>() == std::vector<double>(values.begin(), values.end()));
    CHECK(tensor.to<bf16>()[2].bits == to_bf16(0.15625f).bits);
    CHECK(tensor.to<f16>()[1].bits == to_f16(-2.5f).bits);
  };
  check(tensor_data(shape, values));
  check(tensor_data(shape, std::vector<double>(values.begin(), values.end())));
  check(tensor_data(shape, std::array{to_f16(1.0f), to_f16(-2.5f), to_f16(0.15625f)}));
  check(tensor_data(shape, std::array{to_bf16(1.0f), to_bf16(-2.5f), to_bf16(0.15625f)}));
}

TEST_CASE("state_dict: i64 takes every integer type", "[io]") {
  const std::vector<i64> values{0, 1, 1};
  const bool flags[] = {false, true, true};
  CHECK(tensor_data(Shape{3}, flags).to<i64>() == values);
  CHECK(tensor_data(Shape{3}, std::vector<u8>{0, 1, 1}).to<i64>() == values);
  CHECK(tensor_data(Shape{3}, std::vector<i32>{0, 1, 1}).to<i64>() == values);
}

TEST_CASE("state_dict: other conversions are refused with both types", "[io]") {
  const auto integers = tensor_data(Shape{1, 2}, std::vector<i64>{1, 2});
  CHECK_THROWS_WITH(integers.to<float>(), Contains("type I64 and shape (1,2) cannot be read as F32"));
  CHECK_THROWS_WITH(integers.to<u8>(), Contains("cannot be read as U8"));
  CHECK_THROWS_WITH(tensor_data(Shape{1}, std::vector<float>{1}).to<i64>(), Contains("type F32"));
  CHECK_THROWS_WITH(tensor_data(Shape{3}, std::vector<float>{1}), Contains("1 values for shape (3)"));
}

TEST_CASE("state_dict: a view keeps the memory of its values", "[io]") {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto view = tensor_view("w", Shape{2, 3}, values);
  CHECK(view.name == "w");
  CHECK(view.dtype == DType::F32);
  CHECK(static_cast<const void*>(view.bytes.data()) == values.data());
  CHECK(view.bytes.size() == 24);
}

TEST_CASE("state_dict: tensors are found by name and added once", "[io]") {
  StateDict dict;
  dict.add("b", tensor_data(Shape{}, std::vector<float>{3}));
  dict.add("a", tensor_data(Shape{0, 4}, std::vector<float>{}));
  CHECK(dict.find("b") != nullptr);
  CHECK(dict.find("c") == nullptr);
  CHECK(dict.at("a").shape == Shape{0, 4});
  CHECK(dict.at("a").to<float>().empty());
  CHECK(dict.at("b").shape.rank() == 0);
  CHECK_THROWS_WITH(dict.at("c"), Contains("no tensor c among the 2"));
  CHECK_THROWS_WITH(dict.add("a", TensorData{}), Contains("already a tensor a"));
  const auto views = dict.views();
  REQUIRE(views.size() == 2);
  CHECK(views[0].name == "a");
  CHECK(views[1].bytes.data() == dict.at("b").bytes.data());
}

TEST_CASE("state_dict: unaligned bytes convert as well", "[io]") {
  const double value = 0.1;
  std::vector<u8> shifted(9);
  std::memcpy(shifted.data() + 1, &value, 8);
  const auto numbers = detail::convert_numbers<float, double>(std::span<const u8>(shifted).subspan(1));
  REQUIRE(numbers.size() == 1);
  CHECK(numbers[0] == 0.1f);
}
