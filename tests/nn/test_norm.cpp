#include <dino/nn/norm.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

TEST_CASE("nn norm: starts as the plain normalisation with eps 1e-6", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::LayerNorm<double, Host> layer(Scope<double, Host>{params} / "norm1", 4);
  params.finalize(0);
  CHECK(params.find("norm1.weight") == 0);
  CHECK(params.find("norm1.bias") == 1);
  const auto x = tensor<double>(ctx, {2, 4}, {1, 2, 3, 4, 1e-3, -1e-3, 1e-3, -1e-3});
  const auto y = to_vector(layer(x));
  CHECK(y[0] == Approx(-1.5 / std::sqrt(1.25 + 1e-6)));
  CHECK(y[4] == Approx(1e-3 / std::sqrt(2e-6)));  // here eps is as large as the variance
}

TEST_CASE("nn norm: weight and bias get gradients", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::LayerNorm<double, Host> layer(Scope<double, Host>{params}, 2);
  params.finalize(0);
  Tape<Host> tape(ctx);
  const auto y = layer(tape.input(tensor<double>(ctx, {1, 2}, {3, 1})));
  tape.backward(y, tensor<double>(ctx, {1, 2}, {2, 5}));
  CHECK(to_vector(params.grad(1)) == std::vector<double>{2, 5});
  CHECK(params.grad(0)[0] == Approx(2).epsilon(1e-5));  // x^ = 1, -1 up to eps
  CHECK(params.grad(0)[1] == Approx(-5).epsilon(1e-5));
}
