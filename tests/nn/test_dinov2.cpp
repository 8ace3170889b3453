#include <dino/autograd/gradcheck.hpp>
#include <dino/nn/dinov2.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/reduce.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

constexpr PositionRule register_rule{.offset = 0, .antialias = true};

/// The models of tools/reference/dinov2.py.
VitConfig config_of(const std::string& name) {
  VitConfig c{.image_size = 6, .patch_size = 2, .dim = 6, .depth = 2, .heads = 2, .mlp_ratio = 3};
  if (name != "plain") c.layer_scale = 1;
  if (name == "registers") c.registers = 3;
  if (name == "swiglu") {
    c.registers = 2;
    c.mlp = MlpKind::swiglu;
  }
  if (c.registers > 0) c.positions = register_rule;
  return c;
}

const golden::File& file() {
  static const golden::File golden("dinov2.safetensors");
  return golden;
}

template <class T> struct Model {
  std::string name;
  HostContext ctx{2};
  ParamStore<T, Host> params{ctx};
  nn::VisionTransformer<T, Host> net;

  explicit Model(const std::string& n) : name(n), net(Scope<T, Host>{params}, config_of(n)) {
    params.finalize(0);
    for (size_t i = 0; i < params.segments().size(); ++i) {
      const auto& segment = params.segments()[i];
      const auto value = file().tensor<T>(ctx, name + ".value." + segment.name);
      REQUIRE(value.shape() == segment.shape);
      params.assign(static_cast<i64>(i), to_vector(value));
    }
  }
  std::vector<HostTensor<T>> images() {
    std::vector<HostTensor<T>> groups;
    for (int k = 0; k < 3; ++k) groups.push_back(file().tensor<T>(ctx, name + ".images." + std::to_string(k)));
    return groups;
  }
};

template <class T> void check_golden(const std::string& name, double outputs, double gradients) {
  INFO(name);
  Model<T> m(name);
  Tape<Host> tape(m.ctx);
  const auto y = m.net.all_tokens(tape.input(m.images()));
  golden::check_close("tokens", golden::to_doubles(y.value), file().values(name + ".out"), outputs);
  tape.backward(y, file().tensor<T>(m.ctx, name + ".weight"));
  for (size_t i = 0; i < m.params.segments().size(); ++i) {
    const auto& parameter = m.params.segments()[i].name;
    REQUIRE(m.params.has_grad(static_cast<i64>(i)));
    golden::check_close(parameter, golden::to_doubles(m.params.grad(static_cast<i64>(i))),
                        file().values(name + ".grad." + parameter), gradients);
  }
}

std::vector<std::string> names_of(const VitConfig& config) {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params}, config);
  std::vector<std::string> names;
  for (const auto& s : params.segments()) names.push_back(str("{} {}", s.name, s.shape));
  return names;
}

i64 parameters_of(const VitConfig& config) {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params}, config);
  return params.parameter_count();
}

}  // namespace

TEST_CASE("dinov2: tokens and gradients of the reference, on three grids at once", "[nn][golden]") {
  for (const auto* name : {"plain", "layer_scale", "registers", "swiglu"}) {
    check_golden<double>(name, 1e-12, 1e-12);
    check_golden<float>(name, 1e-5, 1e-5);  // two blocks of float arithmetic; layer norm of 6 values magnifies it
  }
}

TEST_CASE("dinov2: class tokens and patches are found beside registers", "[nn]") {
  const auto* const name = GENERATE("layer_scale", "registers", "swiglu");
  Model<double> m(name);
  const auto images = m.images();
  const i64 special = 1 + m.net.config.registers;
  const auto all = to_vector(m.net.all_tokens(images));
  const auto segments = m.net.layout(images);
  REQUIRE(segments.size() == 3);
  std::vector<double> classes, patches;
  for (const auto& s : segments) {
    CHECK(s.special() == special);
    CHECK(s.tokens == special + s.grid_h * s.grid_w);
    for (i64 row = 0; row < s.rows(); ++row) {
      const i64 token = row % s.tokens;
      if (token > 0 && token < special) continue;
      auto& part = token == 0 ? classes : patches;
      const auto at = all.begin() + (s.row + row) * m.net.dim();
      part.insert(part.end(), at, at + m.net.dim());
    }
  }
  CHECK(golden::relative_error(to_vector(m.net(images)), classes) <= 1e-14);
  CHECK(golden::relative_error(to_vector(m.net.patch_tokens(images)), patches) <= 1e-14);
  CHECK(m.net.patch_tokens(images).shape() == Shape{2 * 9 + 10 + 2, 6});
}

TEST_CASE("dinov2: one packed pass equals a pass for each group of images", "[nn]") {
  Model<double> m("registers");
  std::vector<double> apart;
  for (const auto& group : m.images()) {
    for (const double x : to_vector(m.net(group))) apart.push_back(x);
  }
  CHECK(golden::relative_error(to_vector(m.net(m.images())), apart) <= 1e-13);
}

TEST_CASE("dinov2: the last attention spans class token, registers and patches", "[nn]") {
  Model<double> m("registers");
  const auto attention = m.net.last_attention(m.images()[1]);
  CHECK(attention.shape() == Shape{1, 2, 1 + 3 + 10});
  for (i64 head = 0; head < 2; ++head) {
    double total = 0;
    for (i64 k = 0; k < 14; ++k) total += attention[head * 14 + k];
    CHECK(total == Approx(1));
  }
  // A register draws attention by itself: what it holds changes its column, and so the others.
  auto values = to_vector(m.params.value(m.params.find("register_tokens")));
  for (auto& x : values) x += 1;
  m.params.assign(m.params.find("register_tokens"), values);
  CHECK(to_vector(m.net.last_attention(m.images()[1])) != to_vector(attention));
}

TEST_CASE("dinov2: gradients of the whole network match central differences", "[nn][gradcheck]") {
  Model<double> m("swiglu");
  HostContext& ctx = m.ctx;
  const auto images = m.images();
  CHECK(gradcheck([&](auto a, auto b) { return m.net.all_tokens(std::vector{a, b}); }, images[1], images[2]) <= 1e-6);
  // And those of parameters, along a random direction each.
  const auto loss = [&] {
    const auto y = m.net.patch_tokens(images);
    return static_cast<double>(item(sum(multiply(y, randn<double>(ctx, y.shape(), RngKey(4, 4))))));
  };
  m.params.clear_grads();  // those of the check above
  Tape<Host> tape(ctx);
  const auto y = m.net.patch_tokens(tape.input(images));
  tape.backward(sum(multiply(y, randn<double>(ctx, y.shape(), RngKey(4, 4)))));
  for (size_t i = 0; i < m.params.segments().size(); ++i) {
    const auto at = static_cast<i64>(i);
    INFO(m.params.segments()[i].name);
    const auto value = m.params.value(at);
    const auto start = to_vector(value), grad = to_vector(m.params.grad(at));
    const auto direction = to_vector(randn<double>(ctx, value.shape(), RngKey(5, i)));
    double slope = 0;
    for (size_t k = 0; k < grad.size(); ++k) slope += grad[k] * direction[k];
    const auto moved = [&](double step) {
      auto x = start;
      for (size_t k = 0; k < x.size(); ++k) x[k] += step * direction[k];
      m.params.assign(at, x);
      return loss();
    };
    constexpr double h = 1e-3;
    const double numeric = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    moved(0);
    CHECK(std::abs(slope - numeric) <= 1e-6 * (1 + std::abs(numeric)));
  }
}

TEST_CASE("dinov2: numbers of parameters of the published backbones", "[nn][golden]") {
  CHECK(parameters_of(dinov2(vit_small(14))) == 22056576);
  CHECK(parameters_of(dinov2(vit_base(14))) == 86580480);
  CHECK(parameters_of(dinov2(vit_large(14))) == 304368640);
  CHECK(parameters_of(dinov2(vit_giant(14))) == 1136480768);
  CHECK(parameters_of(dinov2(vit_small(14), 4)) == 22056576 + 4 * 384);
  auto without_mask = dinov2(vit_small(14));
  without_mask.mask_token = false;
  CHECK(parameters_of(without_mask) == 22056192);
  CHECK(dinov2(vit_giant(14)).hidden() == 4096);
  CHECK(dinov2(vit_small(14)).grid() == 37);
  CHECK(dinov2(vit_small(14)).positions == PositionRule{});
  CHECK(dinov2(vit_small(14), 4).positions == register_rule);
}

TEST_CASE("dinov2: names, order and shapes are those of torch hub", "[nn]") {
  auto c = dinov2({.patch_size = 2, .dim = 6, .depth = 1, .heads = 2, .mlp = MlpKind::swiglu}, 4);
  CHECK(names_of(c) == std::vector<std::string>{"cls_token (1,1,6)",
                                                "pos_embed (1,1370,6)",
                                                "register_tokens (1,4,6)",
                                                "mask_token (1,6)",
                                                "patch_embed.proj.weight (6,3,2,2)",
                                                "patch_embed.proj.bias (6)",
                                                "blocks.0.norm1.weight (6)",
                                                "blocks.0.norm1.bias (6)",
                                                "blocks.0.attn.qkv.weight (18,6)",
                                                "blocks.0.attn.qkv.bias (18)",
                                                "blocks.0.attn.proj.weight (6,6)",
                                                "blocks.0.attn.proj.bias (6)",
                                                "blocks.0.ls1.gamma (6)",
                                                "blocks.0.norm2.weight (6)",
                                                "blocks.0.norm2.bias (6)",
                                                "blocks.0.mlp.w12.weight (32,6)",
                                                "blocks.0.mlp.w12.bias (32)",
                                                "blocks.0.mlp.w3.weight (6,16)",
                                                "blocks.0.mlp.w3.bias (6)",
                                                "blocks.0.ls2.gamma (6)",
                                                "norm.weight (6)",
                                                "norm.bias (6)"});
  CHECK(parameters_of({.dim = 6, .depth = 1, .heads = 2}) < parameters_of(dinov2({.dim = 6, .depth = 1, .heads = 2})));
  CHECK(names_of(VitConfig{.dim = 6, .depth = 1, .heads = 2}).size() == 4 + 12 + 2);  // DINO has none of it
}

TEST_CASE("dinov2: first values, and what takes weight decay", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  auto c = dinov2({.patch_size = 2, .dim = 64, .depth = 1, .heads = 2}, 4);
  c.layer_scale = 1e-5;
  const nn::VisionTransformer<double, Host> net(Scope<double, Host>{params}, c);
  params.finalize(3);
  const auto values = [&](const char* name) { return to_vector(params.value(params.find(name))); };
  const auto decays = [&](const char* name) { return params.segments()[static_cast<size_t>(params.find(name))].decay; };
  CHECK(values("blocks.0.ls1.gamma") == std::vector<double>(64, 1e-5));
  CHECK(values("blocks.0.ls2.gamma") == std::vector<double>(64, 1e-5));
  CHECK(values("mask_token") == std::vector<double>(64, 0.0));
  for (const auto* name : {"cls_token", "register_tokens"}) {
    double largest = 0;
    for (const double x : values(name)) largest = std::max(largest, std::abs(x));
    CHECK(largest < 5e-6);
    CHECK(largest > 1e-6);
    CHECK(decays(name));
  }
  CHECK(decays("mask_token"));
  CHECK(!decays("blocks.0.ls1.gamma"));
}

TEST_CASE("dinov2: settings that cannot be are refused", "[nn]") {
  HostContext ctx(1);
  const auto make = [&](const VitConfig& config) {
    ParamStore<float, Host> params(ctx);
    return nn::VisionTransformer<float, Host>(Scope<float, Host>{params}, config).dim();
  };
  CHECK_THROWS_WITH(make({.registers = -1}), contains("registers -1"));
  CHECK_THROWS_WITH(make({.layer_scale = -0.5}), contains("layer_scale -0.5"));
  CHECK_THROWS_WITH(make({.positions = {.offset = -0.1}}), contains("offset of positions -0.1"));
}
