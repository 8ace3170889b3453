#include <dino/autograd/apply.hpp>
#include <dino/nn/param.hpp>
#include <dino/ops/linear.hpp>
#include <dino/ops/map.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

namespace {
/// y = sum of a list, element by element; notes which gradients are wanted.
template <class T, class D> struct SumOfList {
  struct Attr {
    std::vector<bool>* wanted;
  };
  using Saved = Attr;
  static Tensor<T, D> forward(const Attr& at, const std::vector<Tensor<T, D>>& list, Saved* keep) {
    auto y = clone(list[0]);
    for (size_t k = 1; k < list.size(); ++k) y = add(y, list[k]);
    if (keep) *keep = at;
    return y;
  }
  static void backward(Context<D>&, Saved& s, const Tensor<T, D>& dy, Grads<T, D> dx) {
    for (i64 k = 0; k < dx.size(); ++k) {
      if (s.wanted) s.wanted->push_back(dx[k].wanted());
      dx[k].accept(dy);
    }
  }
};

template <class A, class B>
concept CanAdd = requires(const A& a, const B& b) {
  apply<ops::Add<float, Host>>({}, a, b);
};

template <class V>
concept CanReplay = requires(Tape<Host>& tape, const V& v) {
  tape.backward(v);
};

using Plain = HostTensor<float>;
using Traced = Var<float, Host>;
using Trained = Parameter<float, Host>;
}  // namespace

TEST_CASE("apply: Tensors give a Tensor, a Var among them gives a Var", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = full<float>(ctx, {2}, 1.f);
  const auto v = tape.leaf(x);
  CHECK(std::is_same_v<decltype(add(x, x)), Plain>);
  CHECK(std::is_same_v<decltype(add(v, x)), Traced>);
  CHECK(std::is_same_v<decltype(add(x, v)), Traced>);
  const auto y = add(x, v);
  CHECK(y.tape == &tape);
  CHECK(to_vector(y.value) == std::vector<float>(2, 2.f));
  CHECK(tape.records() == 1);
}

TEST_CASE("apply: parameters alone are refused when compiling, they find no tape", "[autograd]") {
  CHECK_FALSE(CanAdd<Trained, Trained>);
  CHECK(CanAdd<Trained, Plain>);
  CHECK(CanAdd<Trained, Traced>);
  CHECK(CanAdd<Plain, Plain>);
}

TEST_CASE("apply: only a Var has a backward", "[autograd]") {
  CHECK(CanReplay<Traced>);
  CHECK_FALSE(CanReplay<Plain>);
}

TEST_CASE("apply: parameters get their gradients, frozen ones none", "[autograd]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const Scope scope(params);
  const auto w = scope.param("weight", {2, 3}, normal_init(1)), b = scope.param("bias", {2}, zeros_init);
  params.finalize(1);
  const auto x = full<float>(ctx, {4, 3}, 2.f);
  for (const bool frozen : {false, true}) {
    params.segments()[0].frozen = frozen;
    params.clear_grads();
    Tape<Host> tape(ctx);
    tape.backward(linear(tape.input(x), w, b), full<float>(ctx, {4, 2}, 1.f));
    CHECK(params.has_grad(0) == !frozen);
    CHECK(params.grad(0).defined() == !frozen);
    if (!frozen) CHECK(to_vector(params.grad(0)) == std::vector<float>(6, 8.f));
    CHECK(to_vector(params.grad(1)) == std::vector<float>(2, 4.f));
  }
}

TEST_CASE("apply: with frozen parameters only, nothing is recorded", "[autograd]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const auto w = Scope(params).param("weight", {2, 3}, normal_init(1));
  params.finalize(1);
  params.segments()[0].frozen = true;
  Tape<Host> tape(ctx);
  const auto y = linear(tape.input(full<float>(ctx, {4, 3}, 2.f)), w);
  CHECK(y.slot == -1);
  CHECK(tape.records() == 0);
  CHECK_FALSE(params.grads().defined());
}

TEST_CASE("apply: a parameter that is used twice gets the sum", "[autograd]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const auto p = Scope(params).param("scale", {3}, ones_init);
  params.finalize(1);
  Tape<Host> tape(ctx);
  const auto x = tape.input(tensor<float>(ctx, {3}, {1, 2, 3}));
  tape.backward(multiply(add(multiply(x, p), p), p), full<float>(ctx, {3}, 1.f));  // (x + 1) p^2
  CHECK(to_vector(params.grad(0)) == std::vector<float>{4, 6, 8});
}

TEST_CASE("apply: a store of parameters stays where it is, handles point at it", "[autograd]") {
  CHECK_FALSE(std::is_copy_constructible_v<ParamStore<float, Host>>);
  CHECK_FALSE(std::is_move_constructible_v<ParamStore<float, Host>>);
}

TEST_CASE("apply: a list is one operand", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto one = full<float>(ctx, {2}, 1.f);
  const auto a = tape.leaf(one), b = tape.input(one), c = tape.leaf(one);
  std::vector<bool> wanted;
  const auto y = apply<SumOfList<float, Host>>({&wanted}, std::vector{a, b, c, a});
  CHECK(to_vector(y.value) == std::vector<float>(2, 4.f));
  tape.backward(y, full<float>(ctx, {2}, 3.f));
  CHECK(wanted == std::vector<bool>{true, false, true, true});
  CHECK(to_vector(tape.grad(a)) == std::vector<float>(2, 6.f));
  CHECK(to_vector(tape.grad(c)) == std::vector<float>(2, 3.f));
  const auto plain = apply<SumOfList<float, Host>>({nullptr}, std::vector{one, one});
  CHECK(std::is_same_v<decltype(plain), const Plain>);
}

TEST_CASE("apply: operands of two tapes are refused", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx), other(ctx);
  const auto x = full<float>(ctx, {2}, 1.f);
  CHECK_THROWS_WITH(add(tape.leaf(x), other.leaf(x)), "apply: operands belong to different tapes");
  CHECK_THROWS_WITH(add(tape.leaf(x), other.input(x)), "apply: operands belong to different tapes");
  const auto sum = [](const std::vector<Traced>& list) { return apply<SumOfList<float, Host>>({nullptr}, list); };
  CHECK_THROWS_WITH(sum({tape.leaf(x), other.leaf(x)}), "apply: operands belong to different tapes");
  CHECK_THROWS_WITH(sum({}), "apply: no operand is on a tape");
}

TEST_CASE("apply: an op that throws leaves no record behind", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto a = tape.leaf(full<float>(ctx, {2}, 1.f)), b = tape.leaf(full<float>(ctx, {3}, 1.f));
  CHECK_THROWS_WITH(add(a, b), "add: a is (2), b is (3)");
  CHECK(tape.records() == 0);
}
