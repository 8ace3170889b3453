#include <dino/tensor/copy.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

#include <limits>

using namespace dino;

TEST_CASE("copy: clone has memory of its own and no gaps", "[tensor]") {
  HostContext ctx(2);
  const auto x = generate<float>(ctx, {3, 4}, [](i64 i) { return i; });
  const auto c = clone(x.columns(1, 3));
  CHECK(c.is_contiguous());
  CHECK(to_vector(c) == std::vector<float>{1, 2, 5, 6, 9, 10});
  x[1] = 100;
  CHECK(c[0] == 1);
  CHECK(clone(HostTensor<float>(ctx, {0, 3})).shape() == Shape{0, 3});
  CHECK(clone(generate<i64>(ctx, {2}, [](i64 i) { return i + (i64{1} << 60); }))[1] == (i64{1} << 60) + 1);
}

TEST_CASE("copy: contiguous copies only what has gaps", "[tensor]") {
  HostContext ctx(1);
  const auto x = generate<float>(ctx, {3, 4}, [](i64 i) { return i; });
  CHECK(contiguous(x).data() == x.data());
  CHECK(contiguous(x.slice(1, 2)).data() == x.data() + 4);
  CHECK(contiguous(x.columns(0, 2)).data() != x.data());
}

TEST_CASE("copy: cast rounds to the other number type", "[tensor]") {
  HostContext ctx(1);
  const auto x = tensor<double>(ctx, {2, 2}, {1.0 / 3, -2.5, 1e-60, 7});
  const auto f = cast<float>(x);
  CHECK(to_vector(f) == std::vector<float>{1.0f / 3, -2.5f, 0.f, 7.f});
  CHECK(to_vector(cast<double>(f))[0] == static_cast<double>(1.0f / 3));
  const auto b = cast<bf16>(cast<float>(tensor<double>(ctx, {3}, {1, 1.00390625, 3.1415926})));
  CHECK(to_vector(cast<float>(b)) == std::vector<float>{1.f, 1.f, 3.140625f});  // 8 bits, ties to even
  const auto h = cast<f16>(tensor<float>(ctx, {2}, {65504.f, 1e6f}));
  CHECK(to_vector(cast<float>(h)) == std::vector<float>{65504.f, std::numeric_limits<float>::infinity()});
  CHECK(to_vector(cast<float>(x.columns(1, 2))) == std::vector<float>{-2.5f, 7.f});
}

TEST_CASE("copy: values come from the host and go back", "[tensor]") {
  HostContext ctx(1);
  const HostTensor<float> x(ctx, {2, 2});
  const std::vector<float> values{1, 2, 3, 4};
  copy_from_host(x, std::span<const float>(values));
  CHECK(to_vector(x) == values);
  CHECK(item(x.slice(1, 2).columns(0, 1)) == 3);
}

TEST_CASE("copy: counts that do not fit are named", "[tensor]") {
  HostContext ctx(1);
  const HostTensor<float> x(ctx, {2, 2});
  const std::vector<float> three{1, 2, 3}, two{1, 2};
  CHECK_THROWS_WITH(copy_from_host(x, std::span<const float>(three)), "copy: 3 values into (2,2)");
  CHECK_THROWS_WITH(copy_from_host(x.columns(0, 1), std::span<const float>(two)), "copy: 2 values into (2,1)");
  CHECK_THROWS_WITH(item(x), "item: (2,2) has more than one element");
}
