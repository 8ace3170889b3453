#include <dino/nn/mlp.hpp>
#include <dino/ops/map.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

TEST_CASE("nn mlp: fc2(gelu(fc1(x))), result and gradients", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::Mlp<double, Host> layer(Scope<double, Host>{params} / "mlp", 5, 7, 0.5);
  params.finalize(4);
  std::vector<std::string> names;
  for (const auto& s : params.segments()) names.push_back(s.name);
  CHECK(names == std::vector<std::string>{"mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias"});
  CHECK(params.segments()[0].shape == Shape{7, 5});
  CHECK(params.segments()[2].shape == Shape{5, 7});
  const auto x = randn<double>(ctx, {3, 5}, RngKey(1, 2)), dy = randn<double>(ctx, {3, 5}, RngKey(1, 3));
  const auto run = [&](const auto& f) {
    params.clear_grads();
    Tape<Host> tape(ctx);
    const auto leaf = tape.leaf(x);
    const auto y = f(leaf);
    tape.backward(y, clone(dy));
    std::vector<double> all = to_vector(y.value);
    for (const double g : to_vector(tape.grad(leaf))) all.push_back(g);
    for (i64 i = 0; i < 4; ++i) {
      for (const double g : to_vector(params.grad(i))) all.push_back(g);
    }
    return all;
  };
  const auto fused = run([&](const auto& v) { return layer(v); });
  const auto plain = run([&](const auto& v) { return layer.fc2(gelu(layer.fc1(v))); });
  CHECK(golden::relative_error(fused, plain) <= 1e-13);
}

TEST_CASE("nn mlp: gated, w3(silu(x1) * x2) of [x1, x2] = w12(x)", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::Mlp<double, Host> layer(Scope<double, Host>{params} / "mlp", 5, 7, 0.5, MlpKind::swiglu);
  params.finalize(4);
  std::vector<std::string> names;
  for (const auto& s : params.segments()) names.push_back(s.name);
  CHECK(names == std::vector<std::string>{"mlp.w12.weight", "mlp.w12.bias", "mlp.w3.weight", "mlp.w3.bias"});
  CHECK(params.segments()[0].shape == Shape{14, 5});
  CHECK(params.segments()[2].shape == Shape{5, 7});
  const auto x = randn<double>(ctx, {3, 5}, RngKey(1, 2));
  const auto hidden = layer.fc1(x);
  using Silu = ops::Map<kernels::Silu, double, Host>;
  const auto gate = apply<Silu>({}, hidden.columns(0, 7));
  const auto expected = layer.fc2(multiply(gate, hidden.columns(7, 14)));
  CHECK(golden::relative_error(to_vector(layer(x)), to_vector(expected)) <= 1e-15);
}
