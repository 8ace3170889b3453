#include <dino/tensor/create.hpp>
#include <dino/tensor/tensor.hpp>

#include "support/catch.hpp"

using namespace dino;

namespace {
HostTensor<float> iota(HostContext& ctx, const Shape& shape) {
  return generate<float>(ctx, shape, [](i64 i) { return i; });
}
}  // namespace

TEST_CASE("tensor: a copy aliases, and memory goes back with the last handle", "[tensor]") {
  HostContext ctx(1);
  {
    auto a = iota(ctx, {2, 3});
    const auto b = a;
    CHECK(b.data() == a.data());
    CHECK(a.use_count() == 2);
    a[4] = 40;
    CHECK(b[4] == 40);
    a = {};
    CHECK(!a.defined());
    CHECK(b.use_count() == 1);
    CHECK(ctx.pool().live_bytes() > 0);
  }
  CHECK(ctx.pool().live_bytes() == 0);
}

TEST_CASE("tensor: rows are all extents but the last", "[tensor]") {
  HostContext ctx(1);
  const HostTensor<float> x(ctx, {2, 3, 5});
  CHECK(x.rows() == 6);
  CHECK(x.cols() == 5);
  CHECK(x.row_stride() == 5);
  CHECK(x.numel() == 30);
  CHECK(x.is_contiguous());
  CHECK(&x.ctx() == &ctx);
  CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
  CHECK(HostTensor<float>(ctx, {7}).rows() == 1);
  CHECK(HostTensor<float>(ctx, {0, 3}).numel() == 0);
}

TEST_CASE("tensor: a slice is a view of the first axis", "[tensor]") {
  HostContext ctx(1);
  const auto x = iota(ctx, {4, 2, 3});
  const auto s = x.slice(1, 3);
  CHECK(s.shape() == Shape{2, 2, 3});
  CHECK(s.data() == x.data() + 6);
  CHECK(s.is_contiguous());
  CHECK(s[0] == 6);
  CHECK(x.slice(2, 2).shape() == Shape{0, 2, 3});
  CHECK(to_vector(iota(ctx, {5}).slice(3, 5)) == std::vector<float>{3, 4});
  const auto part = s.storage();
  CHECK(part == x.storage());
}

TEST_CASE("tensor: columns are a view with gaps between rows", "[tensor]") {
  HostContext ctx(1);
  const auto x = iota(ctx, {2, 2, 5});
  const auto c = x.columns(1, 4);
  CHECK(c.shape() == Shape{2, 2, 3});
  CHECK(c.row_stride() == 5);
  CHECK_FALSE(c.is_contiguous());
  CHECK(to_vector(c) == std::vector<float>{1, 2, 3, 6, 7, 8, 11, 12, 13, 16, 17, 18});
  CHECK(to_vector(c.columns(1, 2)) == std::vector<float>{2, 7, 12, 17});
  CHECK(to_vector(c.slice(1, 2)) == std::vector<float>{11, 12, 13, 16, 17, 18});
  CHECK(x.columns(0, 5).is_contiguous());
}

TEST_CASE("tensor: columns of one row have no gaps", "[tensor]") {
  HostContext ctx(1);
  const auto row = iota(ctx, {1, 6}).columns(2, 5), vector = iota(ctx, {6}).columns(2, 5);
  CHECK(row.is_contiguous());
  CHECK(to_vector(row.reshape({3, 1})) == std::vector<float>{2, 3, 4});
  CHECK(to_vector(vector.reshape({3, 1}).slice(1, 3)) == std::vector<float>{3, 4});
  CHECK(to_vector(vector.slice(1, 3)) == std::vector<float>{3, 4});
}

TEST_CASE("tensor: reshape keeps the elements", "[tensor]") {
  HostContext ctx(1);
  const auto x = iota(ctx, {2, 6});
  const auto y = x.reshape({3, 2, 2});
  CHECK(y.data() == x.data());
  CHECK(y.rows() == 6);
  CHECK(y.row_stride() == 2);
  CHECK(to_vector(y) == to_vector(x));
}

TEST_CASE("tensor: views that do not exist are named", "[tensor]") {
  HostContext ctx(1);
  const auto x = iota(ctx, {4, 6});
  CHECK_THROWS_WITH(x.reshape({5, 5}), "reshape: (4,6) to (5,5)");
  CHECK_THROWS_WITH(x.columns(0, 3).reshape({12}), "reshape: (4,3) is a view of columns");
  CHECK_THROWS_WITH(x.slice(2, 5), "slice: [2, 5) of (4,6)");
  CHECK_THROWS_WITH(x.slice(3, 2), "slice: [3, 2) of (4,6)");
  CHECK_THROWS_WITH(x.slice(-1, 2), "slice: [-1, 2) of (4,6)");
  CHECK_THROWS_WITH(x.columns(0, 7), "columns: [0, 7) of (4,6)");
  CHECK_THROWS_WITH(x.columns(-1, 2), "columns: [-1, 2) of (4,6)");
  CHECK_THROWS_WITH(HostTensor<float>().slice(0, 0), "slice: [0, 0) of ()");
}
