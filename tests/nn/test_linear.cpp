#include <dino/nn/linear.hpp>

#include "support/catch.hpp"

using namespace dino;
using Host = HostDevice;

TEST_CASE("nn linear: x W^T + b with the names weight and bias", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::Linear<double, Host> layer(Scope<double, Host>{params} / "fc", 3, 2);
  params.finalize(0);
  CHECK(params.find("fc.weight") == 0);
  CHECK(layer.weight.shape() == Shape{2, 3});
  CHECK(params.find("fc.bias") == 1);
  copy_from_host<double>(layer.weight.value(), std::vector<double>{1, 2, 3, 4, 5, 6});
  copy_from_host<double>(layer.bias.value(), std::vector<double>{0.5, -0.5});
  const auto x = tensor<double>(ctx, {2, 3}, {1, 0, -1, 2, 1, 0});
  CHECK(to_vector(layer(x)) == std::vector<double>{-1.5, -2.5, 4.5, 12.5});
  Tape<Host> tape(ctx);
  const auto y = layer(tape.input(x));
  tape.backward(y, tensor<double>(ctx, {2, 2}, {1, 0, 0, 1}));
  CHECK(to_vector(params.grad(0)) == std::vector<double>{1, 0, -1, 2, 1, 0});
  CHECK(to_vector(params.grad(1)) == std::vector<double>{1, 1});
}

TEST_CASE("nn linear: weights have the deviation that is asked for and biases are zero", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::Linear<double, Host> layer(Scope<double, Host>{params}, 100, 100, 0.5);
  params.finalize(9);
  double square = 0;
  for (const double x : to_vector(layer.weight.value())) square += x * x;
  CHECK(std::sqrt(square / 10000) == Approx(0.5).epsilon(0.05));
  CHECK(to_vector(layer.bias.value()) == std::vector<double>(100, 0.0));
}

TEST_CASE("nn linear: an input of another width is refused", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::Linear<double, Host> layer(Scope<double, Host>{params}, 3, 2);
  params.finalize(0);
  CHECK_THROWS_WITH(layer(zeros<double>(ctx, {2, 4})), contains("(2,4)"));
}
