#include <dino/nn/param.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

TEST_CASE("param: each tensor starts at a multiple of 64 values and the padding is zero", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  params.add("a", {3, 5}, ones_init);
  params.add("b", {65}, ones_init);
  params.add("c", {1}, ones_init);
  params.finalize(0);
  CHECK(params.segments()[0].offset == 0);
  CHECK(params.segments()[1].offset == 64);
  CHECK(params.segments()[2].offset == 192);
  CHECK(params.total() == 256);
  CHECK(params.parameter_count() == 81);
  const auto flat = to_vector(params.values());
  CHECK(std::count(flat.begin(), flat.end(), 1.0f) == 81);
  CHECK(flat[15] == 0);
  CHECK(params.value(1).data() == params.values().data() + 64);
}

TEST_CASE("param: zeros where a file will give the values", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  params.add("a", {3}, ones_init);
  params.finalize();
  CHECK(to_vector(params.value(0)) == std::vector<float>{0, 0, 0});
  params.assign(0, std::vector<float>{1, 2, 3});
  CHECK(to_vector(params.value(0)) == std::vector<float>{1, 2, 3});
  CHECK_THROWS_WITH(params.finalize(1), "parameters: finalize is called twice");
}

TEST_CASE("param: decay is for rank 2 or more without biases: tokens and tables included", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const auto decays = [&](const char* name, const Shape& shape) {
    return params.add(name, shape, zeros_init).segment().decay;
  };
  CHECK(decays("fc.weight", {4, 3}));
  CHECK_FALSE(decays("fc.bias", {4}));
  CHECK_FALSE(decays("norm.weight", {4}));
  CHECK(decays("pos_embed", {1, 5, 4}));
  CHECK(decays("cls_token", {1, 1, 4}));
  CHECK(decays("last_layer.weight_g", {7, 1}));
  CHECK_FALSE(decays("matrix.bias", {4, 3}));
}

TEST_CASE("param: scopes join names with dots", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const Scope<float, Host> root{params};
  const auto p = (root / "blocks" / 11 / "attn").param("weight", {2, 2}, zeros_init);
  CHECK(p.segment().name == "blocks.11.attn.weight");
  CHECK(root.param("cls_token", {1}, zeros_init).segment().name == "cls_token");
  CHECK((root / "bn").buffer("running_mean", {3}, 2) == 0);
  CHECK(params.buffers()[0].name == "bn.running_mean");
  CHECK(to_vector(params.buffers()[0].tensor) == std::vector<float>{2, 2, 2});
  CHECK(params.find("blocks.11.attn.weight") == 0);
  CHECK(params.find("nothing") == -1);
}

TEST_CASE("param: first values depend on seed and name, not on the other parameters", "[nn]") {
  HostContext ctx(1);
  const auto values = [&](u64 seed, bool crowded) {
    ParamStore<double, Host> params(ctx);
    if (crowded) params.add("before", {100}, normal_init(1));
    params.add("x.weight", {4, 4}, normal_init(1));
    params.finalize(seed);
    return to_vector(params.value(params.find("x.weight")));
  };
  CHECK(values(1, false) == values(1, true));
  CHECK(values(1, false) != values(2, false));
}

TEST_CASE("param: a gradient is there only when it was written, and is overwritten after clear_grads", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  params.add("a", {2}, zeros_init);
  params.add("b", {2}, zeros_init);
  params.finalize(0);
  CHECK_FALSE(params.has_grad(0));
  CHECK_FALSE(params.grads().defined());
  Grad<double, Host>(params.sink(0)).accept(tensor<double>(ctx, {2}, {1, 2}));
  Grad<double, Host>(params.sink(0)).accept(tensor<double>(ctx, {2}, {10, 20}));
  CHECK(to_vector(params.grad(0)) == std::vector<double>{11, 22});
  CHECK_FALSE(params.has_grad(1));
  CHECK_FALSE(params.grad(1).defined());
  params.clear_grads();
  CHECK_FALSE(params.has_grad(0));
  Grad<double, Host>(params.sink(0)).accept(tensor<double>(ctx, {2}, {5, 6}));
  CHECK(to_vector(params.grad(0)) == std::vector<double>{5, 6});
  CHECK(params.grad(0).data() == params.grads().data());
}

TEST_CASE("param: nobody wants the gradient of a frozen parameter", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const auto a = params.add("a", {2}, zeros_init);
  params.segments()[0].frozen = true;
  params.finalize(0);
  CHECK(a.sink().slot == nullptr);
}

TEST_CASE("param: copy_from gives values and buffers, and refuses another layout", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> a(ctx), b(ctx), other(ctx);
  for (auto* store : {&a, &b}) {
    store->add("w", {3, 2}, normal_init(1));
    store->add_buffer("running_mean", {2}, 0);
  }
  other.add("w", {100, 2}, normal_init(1));
  a.finalize(1);
  b.finalize(2);
  other.finalize(1);
  a.buffers()[0].tensor[1] = 7;
  b.copy_from(a);
  CHECK(to_vector(b.values()) == to_vector(a.values()));
  CHECK(b.buffers()[0].tensor[1] == 7);
  CHECK(b.values().data() != a.values().data());
  CHECK_THROWS_WITH(other.copy_from(a), contains("another layout"));
}

TEST_CASE("param: the masters of float and double are the values", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  params.add("a", {3}, normal_init(1));
  params.add("b", {2, 2}, normal_init(1));
  params.finalize(1);
  CHECK(params.masters().data() == params.values().data());
  CHECK(params.master(1).data() == params.value(1).data());
  CHECK(params.rounded() == nullptr);
  params.assign(1, std::vector<double>{1, 2, 3, 4});
  CHECK(to_vector(params.value(1)) == std::vector<double>{1, 2, 3, 4});
  CHECK(params.value(1).shape() == Shape{2, 2});
  CHECK_THROWS_WITH(params.assign(0, std::vector<double>{1, 2}), contains("2 values into (3)"));
}

TEST_CASE("param: 16-bit values are masters in float, rounded", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> single(ctx);
  ParamStore<bf16, Host> a(ctx), b(ctx);
  const auto build = [](auto& store, u64 seed) {
    store.add("w", {3, 5}, normal_init(1));
    store.add("v", {4}, normal_init(1));
    store.add_buffer("running_mean", {2}, 0.1);
    store.finalize(seed);
  };
  build(single, 1);
  build(a, 1);
  build(b, 2);
  const auto rounded = [](const ParamStore<bf16, Host>& store) {
    const auto masters = to_vector(store.masters());
    const auto values = to_vector(store.values());
    return std::equal(masters.begin(), masters.end(), values.begin(), values.end(),
                      [](float master, bf16 value) { return to_bf16(master).bits == value.bits; });
  };
  CHECK(to_vector(a.masters()) == to_vector(single.values()));  // the same draw for any T
  CHECK(rounded(a));
  CHECK(a.rounded() == a.values().data());
  b.copy_from(a);
  CHECK(to_vector(b.masters()) == to_vector(a.masters()));
  CHECK(b.masters().data() != a.masters().data());
  CHECK(rounded(b));
  const auto before = to_vector(b.value(0));
  b.assign(1, std::vector<float>{1.001f, -2, 3, 0.1f});
  CHECK(to_vector(b.master(1)) == std::vector<float>{1.001f, -2, 3, 0.1f});
  CHECK(to_acc(to_vector(b.value(1))[0]) == 1);
  CHECK(to_vector(b.value(0))[14].bits == before[14].bits);
  CHECK(rounded(b));
}

TEST_CASE("param: wrong order of calls and names used twice are refused", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const auto w = params.add("w", {2}, ones_init);
  CHECK_THROWS_WITH(params.add("w", {3}, ones_init), contains("the name w is used twice"));
  CHECK_THROWS_WITH(w.value(), contains("w is used before finalize"));
  params.finalize(0);
  CHECK_THROWS_WITH(params.finalize(0), contains("finalize is called twice"));
  CHECK_THROWS_WITH(params.add("v", {2}, ones_init), contains("v is added after finalize"));
}
