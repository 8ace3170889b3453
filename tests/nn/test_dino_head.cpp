#include <dino/nn/dino_head.hpp>
#include <dino/ops/reduce.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

struct HeadSize {
  i64 all = 0, trained = 0;
};
HeadSize head_size(i64 in, const DinoHeadConfig& config) {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::DinoHead<float, Host> head(Scope<float, Host>{params}, in, config);
  HeadSize size{params.parameter_count(), 0};
  for (const auto& s : params.segments()) size.trained += s.frozen ? 0 : s.shape.numel();
  return size;
}

std::vector<std::string> names(const ParamStore<float, Host>& params) {
  std::vector<std::string> list;
  for (const auto& s : params.segments()) list.push_back(s.name);
  return list;
}

/// The head of the end-to-end golden values, on the class tokens of the tiny ViT.
template <class T> void check_golden(double tolerance) {
  HostContext ctx(2);
  ParamStore<T, Host> params(ctx);
  const nn::DinoHead<T, Host> head(Scope<T, Host>{params}, 8,
                                   {.outputs = 7, .hidden = 6, .bottleneck = 4, .norm_last_layer = false});
  params.finalize(0);
  for (size_t j = 0; j < params.segments().size(); ++j) {
    const auto value = params.value(static_cast<i64>(j));
    const double number = static_cast<double>(j);
    for (i64 i = 0; i < value.numel(); ++i)
      value[i] = params.segments()[j].name.ends_with("weight_g")
                     ? T(1)
                     : static_cast<T>(0.3 * std::sin((1 + 0.01 * number) * static_cast<double>(i) + 0.5 * number));
  }
  const auto x =
      tensor<T>(ctx, {2, 8},
                {T(1.94919405), T(-0.365233076), T(1.02194526), T(-1.47840179), T(-0.785596739), T(-0.296683295),
                 T(-0.310213565), T(0.330367794), T(1.88461118), T(-0.438603378), T(1.07604996), T(-1.48636564),
                 T(-0.749987637), T(-0.199922889), T(-0.388459892), T(0.360349178)});
  Tape<Host> tape(ctx);
  const auto z = head(tape.input(x));
  tape.backward(sum(multiply(z, generate<T>(ctx, {2, 7}, [](i64 i) { return i + 1; }))));
  const auto check = [&](const auto& value, const std::vector<double>& expected) {
    CHECK(golden::relative_error(to_vector(value), expected) <= tolerance);
  };
  check(z.value, {-0.174563804, 0.74133778, -0.585280309, -0.39185429, 0.772672287, -0.388247818, -0.55205202,
                  -0.172095888, 0.742676182, -0.589068215, -0.390386, 0.774742048, -0.39208399, -0.551562008});
  const auto grad = [&](const char* name) { return params.grad(params.find(name)); };
  check(grad("last_layer.weight_g"),
        {-1.5513309, 8.1667612, -7.64652307, -5.86166316, 13.160266, -7.42657878, -11.5862323});
  check(grad("last_layer.weight_v").slice(0, 1), {20.5318423, -0.533907006, -10.5814882, 0.791120589});
  check(grad("mlp.0.bias"), {0.633253844, 0.722059378, -0.000568251779, 0.001378546, -0.631916369, -0.0401063053});
}

}  // namespace

TEST_CASE("dino_head: logits and gradients of the reference", "[nn][golden]") {
  check_golden<double>(1e-8);  // nine digits are printed, the input among them
  check_golden<float>(1e-5);
}

TEST_CASE("dino_head: numbers of parameters of the reference", "[nn][golden]") {
  CHECK(head_size(192, {}).all == 21958912);
  CHECK(head_size(384, {}).all == 22352128);
  CHECK(head_size(384, {}).trained == 22286592);
  CHECK(head_size(384, {.norm_last_layer = false}).trained == 22352128);
  CHECK(head_size(768, {}).all == 23138560);
  CHECK(head_size(2048, {}).all == 25760000);
}

TEST_CASE("dino_head: names of the reference, with batch norm and with one layer", "[nn]") {
  HostContext ctx(1);
  const DinoHeadConfig small{.outputs = 5, .hidden = 4, .bottleneck = 3};
  ParamStore<float, Host> plain(ctx), normed(ctx), single(ctx);
  const nn::DinoHead<float, Host> a(Scope<float, Host>{plain}, 2, small);
  CHECK(names(plain) == std::vector<std::string>{"mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias",
                                                 "mlp.4.weight", "mlp.4.bias", "last_layer.weight_g",
                                                 "last_layer.weight_v"});
  auto with_bn = small;
  with_bn.use_bn = true;
  const nn::DinoHead<float, Host> b(Scope<float, Host>{normed}, 2, with_bn);
  CHECK(names(normed) == std::vector<std::string>{"mlp.0.weight", "mlp.0.bias", "mlp.1.weight", "mlp.1.bias",
                                                  "mlp.3.weight", "mlp.3.bias", "mlp.4.weight", "mlp.4.bias",
                                                  "mlp.6.weight", "mlp.6.bias", "last_layer.weight_g",
                                                  "last_layer.weight_v"});
  REQUIRE(normed.buffers().size() == 4);
  CHECK(normed.buffers()[0].name == "mlp.1.running_mean");
  CHECK(normed.buffers()[3].name == "mlp.4.running_var");
  auto one = small;
  one.layers = 1;
  const nn::DinoHead<float, Host> c(Scope<float, Host>{single}, 2, one);
  CHECK(names(single) ==
        std::vector<std::string>{"mlp.weight", "mlp.bias", "last_layer.weight_g", "last_layer.weight_v"});
  CHECK(single.segments()[0].shape == Shape{3, 2});
}

TEST_CASE("dino_head: the last layer has no bias, gain 1, and its gain is frozen by default", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::DinoHead<double, Host> head(Scope<double, Host>{params}, 6, {.outputs = 9, .hidden = 8, .bottleneck = 16});
  params.finalize(3);
  CHECK(params.find("last_layer.bias") == -1);
  const auto gain = params.find("last_layer.weight_g");
  CHECK(to_vector(params.value(gain)) == std::vector<double>(9, 1.0));
  CHECK(params.segments()[static_cast<size_t>(gain)].frozen);
  double largest = 0;
  for (const double v : to_vector(params.value(params.find("last_layer.weight_v"))))
    largest = std::max(largest, std::abs(v));
  CHECK(largest <= 0.25);  // 1 / sqrt(16)
  CHECK(largest > 0.2);
  Tape<Host> tape(ctx);
  const auto z = head(tape.input(randn<double>(ctx, {5, 6}, RngKey(1, 1))));
  tape.backward(sum(z));
  CHECK_FALSE(params.has_grad(gain));
  CHECK(params.has_grad(params.find("last_layer.weight_v")));
  for (const double cosine : to_vector(z.value)) CHECK(std::abs(cosine) <= 1 + 1e-12);
}

TEST_CASE("dino_head: batch norm in the head uses the statistics of all rows", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::DinoHead<double, Host> head(Scope<double, Host>{params}, 6,
                                        {.outputs = 9, .hidden = 8, .bottleneck = 4, .use_bn = true});
  params.finalize(3);
  const auto x = randn<double>(ctx, {6, 6}, RngKey(1, 1));
  const auto together = to_vector(head(x)), part = to_vector(head(contiguous(x.slice(0, 3))));
  CHECK(golden::relative_error(std::vector<double>(together.begin(), together.begin() + 27), part) > 0.01);
  CHECK(params.buffers()[0].tensor[0] != 0);
  params.statistics = Statistics::running;
  const auto all = to_vector(head(x)), some = to_vector(head(contiguous(x.slice(0, 3))));
  CHECK(golden::relative_error(std::vector<double>(all.begin(), all.begin() + 27), some) <= 1e-13);
}

TEST_CASE("dino_head: impossible sizes are refused", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const Scope<float, Host> scope{params};
  CHECK_THROWS_WITH((nn::DinoHead<float, Host>(scope, 8, {.outputs = 1})), contains("outputs 1"));
  CHECK_THROWS_WITH((nn::DinoHead<float, Host>(scope, 8, {.layers = 0})), contains("0 layers"));
}
