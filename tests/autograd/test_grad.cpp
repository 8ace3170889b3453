#include <dino/autograd/grad.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

namespace {
struct Fixture {
  HostContext ctx{1};
  GradSlot<Host> slot;
  Fixture() {
    slot.ctx = &ctx;
    slot.shape = {3};
  }
  Grad<float, Host> sink() { return Sink<Host>{&slot}; }
  std::vector<float> value() const { return to_vector(slot.tensor<float>()); }
};

void write(const Target<float>& to, float value) {
  for (i64 i = 0; i < 3; ++i) to.put(i, value);
}
}  // namespace

TEST_CASE("grad: open gives pointer and verb together: the first writer overwrites, the next ones add", "[autograd]") {
  Fixture f;
  CHECK(f.slot.storage == nullptr);  // no memory before the first write
  const auto first = f.sink().open();
  REQUIRE(first.ptr != nullptr);
  CHECK_FALSE(first.add);
  write(first, 2);
  const auto second = f.sink().open();
  CHECK(second.ptr == first.ptr);
  CHECK(second.add);
  write(second, 3);
  CHECK(f.value() == std::vector<float>(3, 5.f));
}

TEST_CASE("grad: a sink that nobody wants is null", "[autograd]") {
  Fixture f;
  Grad<float, Host> none{Sink<Host>{}};
  CHECK_FALSE(none.wanted());
  CHECK_FALSE(none.open());
  CHECK(none.open().ptr == nullptr);
  none.accept(full<float>(f.ctx, {3}, 1.f));  // no effect
  CHECK(f.sink().wanted());
}

TEST_CASE("grad: accept shares the first gradient and makes it private before the next write", "[autograd]") {
  Fixture f;
  const auto dy = full<float>(f.ctx, {3}, 2.f);
  f.sink().accept(dy);
  CHECK(f.slot.data == dy.data());
  write(f.sink().open(), 3);
  CHECK(f.slot.data != dy.data());
  CHECK(f.value() == std::vector<float>(3, 5.f));
  CHECK(to_vector(dy) == std::vector<float>(3, 2.f));  // its owner sees no change
}

TEST_CASE("grad: a shared gradient that nobody else holds is written in place", "[autograd]") {
  Fixture f;
  auto dy = full<float>(f.ctx, {3}, 2.f);
  const float* const at = dy.data();
  f.sink().accept(dy);
  dy = {};
  write(f.sink().open(), 3);
  CHECK(f.slot.data == at);
  CHECK(f.value() == std::vector<float>(3, 5.f));
}

TEST_CASE("grad: the second gradient to be accepted is added, also when it is the first one again", "[autograd]") {
  Fixture f;
  const auto dy = full<float>(f.ctx, {3}, 2.f);
  f.sink().accept(dy);
  f.sink().accept(dy);
  CHECK(f.value() == std::vector<float>(3, 4.f));
  CHECK(to_vector(dy) == std::vector<float>(3, 2.f));
}

TEST_CASE("grad: a view of columns is accepted as its copy", "[autograd]") {
  Fixture f;
  f.slot.shape = {3, 1};
  f.sink().accept(generate<float>(f.ctx, {3, 2}, [](i64 i) { return i; }).columns(1, 2));
  CHECK(f.value() == std::vector<float>{1, 3, 5});
}

TEST_CASE("grad: a fixed slot keeps its memory and is never shared", "[autograd]") {
  Fixture f;
  const auto flat = full<float>(f.ctx, {8}, -1.f);
  f.slot.storage = flat.storage();
  f.slot.data = flat.data() + 2;
  f.slot.fixed = true;
  const auto dy = full<float>(f.ctx, {3}, 2.f);
  f.sink().accept(dy);
  f.sink().accept(dy);
  write(f.sink().open(), 1);
  CHECK(to_vector(flat) == std::vector<float>{-1, -1, 5, 5, 5, -1, -1, -1});
  f.slot.written = false;  // the next step
  f.sink().accept(dy);
  CHECK(to_vector(flat) == std::vector<float>{-1, -1, 2, 2, 2, -1, -1, -1});
}

TEST_CASE("grad: a list of sinks is indexed like its operands", "[autograd]") {
  Fixture a, b;
  const std::vector<Sink<Host>> sinks{{&a.slot}, {}, {&b.slot}};
  const Grads<float, Host> list(sinks);
  CHECK(list.size() == 3);
  CHECK(list[0].wanted());
  CHECK_FALSE(list[1].wanted());
  write(list[2].open(), 7);
  CHECK(b.value() == std::vector<float>(3, 7.f));
  CHECK_FALSE(a.slot.written);
}

TEST_CASE("grad: a gradient of another size is refused", "[autograd]") {
  Fixture f;
  CHECK_THROWS_WITH(f.sink().accept(full<float>(f.ctx, {2}, 1.f)), "gradient: (2) for a value of (3)");
}
