#include <dino/autograd/tape.hpp>
#include <dino/ops/gather.hpp>
#include <dino/ops/layernorm.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/mlp.hpp>
#include <dino/ops/pre_norm.hpp>
#include <dino/ops/reduce.hpp>
#include <dino/ops/softmax.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

namespace {
HostTensor<float> random(HostContext& ctx, const Shape& shape, u64 stream) {
  return randn<float>(ctx, shape, RngKey(1, stream));
}

/// What a tensor of this shape adds to the counter of live bytes.
i64 cost(HostContext& ctx, const Shape& shape) {
  const i64 before = ctx.pool().live_bytes();
  const HostTensor<float> x(ctx, shape);
  return ctx.pool().live_bytes() - before;
}

/// The bytes that stay alive when the result of f has gone: the memory contract of its op. Its operands stay anyway.
template <class F> i64 kept(HostContext& ctx, const Var<float, Host>& x, const F& f) {
  const i64 before = ctx.pool().live_bytes();
  f(x);
  return ctx.pool().live_bytes() - before;
}

/// Hands value and gradient through, and notes how much memory is alive when its backward runs.
template <class T, class D> struct Witness {
  struct Attr {
    std::vector<i64>* live;
  };
  using Saved = Attr;
  static Tensor<T, D> forward(const Attr& at, const Tensor<T, D>& x, Saved* keep) {
    if (keep) *keep = at;
    return x;
  }
  static void backward(Context<D>& ctx, Saved& s, const Tensor<T, D>& dy, Grad<T, D> dx) {
    s.live->push_back(ctx.pool().live_bytes());
    dx.accept(dy);
  }
};
}  // namespace

TEST_CASE("tape: a record keeps alive exactly its Saved", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const Shape shape{300, 7};
  const auto x = tape.leaf(random(ctx, shape, 1));
  const auto gamma = random(ctx, {7}, 2), w1 = random(ctx, {20, 7}, 3), b1 = random(ctx, {20}, 4);
  const auto w2 = random(ctx, {7, 20}, 5);
  CHECK(kept(ctx, x, [](auto v) { return add(v, v); }) == 0);
  CHECK(kept(ctx, x, [](auto v) { return scale(v, 2); }) == 0);
  CHECK(kept(ctx, x, [](auto v) { return mean(v); }) == 0);
  CHECK(kept(ctx, x, [](auto v) { return multiply(v, v); }) == 0);  // its operands, which are alive anyway
  CHECK(kept(ctx, x, [](auto v) { return gelu(v); }) == 0);
  CHECK(kept(ctx, x, [&](auto v) { return linear(v, w1, b1); }) == 0);
  CHECK(kept(ctx, x, [](auto v) { return softmax(v); }) == cost(ctx, shape));  // y
  CHECK(kept(ctx, x, [&](auto v) { return layernorm(v, gamma, gamma, 1e-6); }) == 2 * cost(ctx, {300}));
  CHECK(kept(ctx, x, [&](auto v) { return mlp(v, w1, b1, w2, gamma); }) == cost(ctx, {300, 20}));  // hidden
  CHECK(kept(ctx, x, [&](auto v) { return pre_norm_mlp(v, gamma, gamma, w1, b1, w2, gamma, {}); }) ==
        cost(ctx, {300, 20}) + 2 * cost(ctx, {300}));  // hidden, and two numbers a row
  CHECK(kept(ctx, x, [](auto v) { return gather(v, {0, 1, 2}); }) == cost(ctx, {6}));              // three i64
}

TEST_CASE("tape: a sink does not keep the value whose gradient it takes", "[autograd]") {
  HostContext ctx(1);
  const Shape shape{1000};
  Tape<Host> tape(ctx);
  auto y = tape.leaf(random(ctx, shape, 1));
  const i64 before = ctx.pool().live_bytes();
  for (int layer = 0; layer < 10; ++layer) y = scale(y, 1.5);
  CHECK(ctx.pool().live_bytes() - before == 0);  // the leaf went, one result stands
  for (int layer = 0; layer < 10; ++layer) y = gelu(y);
  CHECK(ctx.pool().live_bytes() - before == 10 * cost(ctx, shape));
}

TEST_CASE("tape: memory falls during backward, record by record", "[autograd]") {
  HostContext ctx(1);
  const Shape shape{1000};
  std::vector<i64> live;
  {
    Tape<Host> tape(ctx);
    auto y = tape.leaf(random(ctx, shape, 1));
    for (int layer = 0; layer < 6; ++layer) {
      y = gelu(y);
      y = apply<Witness<float, Host>>({&live}, y);
    }
    auto loss = sum(y);
    y = {};
    tape.backward(loss);
    CHECK(tape.records() == 0);
  }
  REQUIRE(live.size() == 6);
  for (size_t i = 1; i < live.size(); ++i) CHECK(live[i] == live[i - 1] - cost(ctx, shape));
  CHECK(ctx.pool().live_bytes() == 0);
}

TEST_CASE("tape: x + x, and a sum that is used twice", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(tensor<float>(ctx, {2}, {3, -1}));
  const auto s = add(x, x);               // 2x
  const auto t = add(s, multiply(s, s));  // 2x + 4x^2
  const auto y = add(scale(t, 10), t);    // 22x + 44x^2
  const auto dy = tensor<float>(ctx, {2}, {1, 2});
  tape.backward(y, dy);
  CHECK(to_vector(tape.grad(x)) == std::vector<float>{22 + 88 * 3, 2 * (22 - 88)});
  CHECK(to_vector(dy) == std::vector<float>{1, 2});  // shared along the way, never written
}

TEST_CASE("tape: x + f(x), whose sum is used twice", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(tensor<float>(ctx, {2}, {3, -1}));
  const auto s = add(x, scale(x, 4));
  const auto y = add(s, scale(s, 2));
  const auto dy = tensor<float>(ctx, {2}, {1, 2});
  tape.backward(y, dy);
  CHECK(to_vector(tape.grad(x)) == std::vector<float>{15, 30});
  CHECK(to_vector(dy) == std::vector<float>{1, 2});
}

TEST_CASE("tape: an op that gets the same value twice writes its targets one after the other", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(tensor<float>(ctx, {3}, {3, -1, 0.5f}));
  tape.backward(multiply(x, x), tensor<float>(ctx, {3}, {1, 10, 100}));
  CHECK(to_vector(tape.grad(x)) == std::vector<float>{6, -20, 100});
}

TEST_CASE("tape: gradients flow to leaves, not to inputs; what the loss does not use gets none", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.input(random(ctx, {4}, 1));
  const auto w = tape.leaf(random(ctx, {4}, 2)), unused = tape.leaf(random(ctx, {4}, 3));
  const auto beside = gelu(unused);  // recorded, but the loss does not depend on it
  const auto y = multiply(x, w);
  CHECK(x.slot == -1);
  CHECK(tape.records() == 2);
  tape.backward(sum(y));
  CHECK(to_vector(tape.grad(w)) == to_vector(x.value));
  CHECK_FALSE(tape.grad(unused).defined());
  CHECK_FALSE(tape.grad(beside).defined());
  CHECK_THROWS_WITH(tape.grad(x), "grad: not a leaf of this tape");
}

TEST_CASE("tape: what follows an input alone is not recorded", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const i64 before = ctx.pool().live_bytes();
  auto y = tape.input(std::vector{random(ctx, {100}, 1)})[0];
  for (int layer = 0; layer < 5; ++layer) y = gelu(y);
  CHECK(tape.records() == 0);
  CHECK(ctx.pool().live_bytes() - before == cost(ctx, {100}));
}

TEST_CASE("tape: a network that was entered with a Tensor trains nothing, and backward says so", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto y = sum(gelu(tape.input(random(ctx, {4}, 1))));  // no parameter on the way
  CHECK_THROWS_WITH(tape.backward(y), "backward: no gradient was recorded; enter the network with tape.input(x)");
  CHECK(std::is_same_v<decltype(sum(gelu(random(ctx, {4}, 1)))), HostTensor<float>>);  // no Var, so no backward
}

TEST_CASE("tape: a tape replays once", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto y = sum(tape.leaf(random(ctx, {4}, 1)));
  tape.backward(y);
  CHECK_THROWS_WITH(tape.backward(y), "backward: this tape has been replayed already");
}

TEST_CASE("tape: wrong values and gradients are named", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx), other(ctx);
  const auto x = tape.leaf(random(ctx, {2, 3}, 1));
  CHECK_THROWS_WITH(other.backward(x, random(ctx, {2, 3}, 2)), "backward: the value belongs to another tape");
  CHECK_THROWS_WITH(tape.backward(x, random(ctx, {3, 2}, 2)), "backward: value is (2,3), gradient is (3,2)");
  CHECK_THROWS_WITH(tape.backward(x), "backward: the loss is (2,3), expected one element");
  CHECK_THROWS_WITH(other.grad(x), "grad: not a leaf of this tape");
}

TEST_CASE("tape: each stochastic op of a pass has a key of its own", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> a(ctx, RngKey(1, 1)), b(ctx, RngKey(1, 1)), c(ctx, RngKey(1, 2));
  const u64 first = a.next_key().get().key, second = a.next_key().get().key;
  CHECK(first != second);
  CHECK(b.next_key().get().key == first);
  CHECK(c.next_key().get().key != first);
  b.set_random_state(a.random_state());
  CHECK(b.next_key().get().key == a.next_key().get().key);
}
