#include <dino/nn/vit.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/reduce.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

/// The fill rule of the end-to-end golden values: a sine of its own for each tensor.
template <class T> void fill(ParamStore<T, Host>& params) {
  for (size_t j = 0; j < params.segments().size(); ++j) {
    const auto& name = params.segments()[j].name;
    const bool norm = name.find("norm") != std::string::npos, bias = name.ends_with("bias");
    const double offset = norm && !bias ? 1 : 0, scale = norm || bias ? 0.1 : 0.3, number = static_cast<double>(j);
    const auto value = params.value(static_cast<i64>(j));
    for (i64 i = 0; i < value.numel(); ++i)
      value[i] = static_cast<T>(offset + scale * std::sin((1 + 0.01 * number) * static_cast<double>(i) + 0.5 * number));
  }
}

const VitConfig tiny{.image_size = 16, .patch_size = 4, .dim = 8, .depth = 2, .heads = 2};

template <class T> struct Tiny {
  HostContext ctx{2};
  ParamStore<T, Host> params{ctx};
  nn::VisionTransformer<T, Host> net{Scope<T, Host>{params}, tiny};

  Tiny() {
    params.finalize(0);
    fill(params);
  }
  HostTensor<T> images(const Shape& shape) {
    return generate<T>(ctx, shape, [](i64 i) { return std::sin(0.05 * static_cast<double>(i)); });
  }
};

/// Nine digits are printed of each value: half a unit of the ninth is 5e-9 of the largest.
template <class T> void check_close(const HostTensor<T>& value, const std::vector<double>& expected) {
  CHECK(golden::relative_error(to_vector(value), expected) <= (sizeof(T) == 8 ? 1e-8 : 1e-5));
}

const std::vector<double> features16{1.94919405,   -0.365233076, 1.02194526,   -1.47840179,  -0.785596739, -0.296683295,
                                     -0.310213565, 0.330367794,  1.88461118,   -0.438603378, 1.07604996,   -1.48636564,
                                     -0.749987637, -0.199922889, -0.388459892, 0.360349178};
const std::vector<double> features8{1.14570156,   -0.56663891,  1.30346761,    -1.58420062,  -0.341172672, 0.112043026,
                                    -0.855284354, 0.752493617,  1.93551965,    -0.211702343, 0.995791976,  -1.57601058,
                                    -0.632976898, -0.587711424, -0.0522821364, 0.207050645};

i64 backbone_parameters(VitConfig config) {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params}, config);
  return params.parameter_count();
}

template <class T> void check_forward() {
  Tiny<T> t;
  check_close(t.net(t.images({2, 3, 16, 16})), features16);
  check_close(t.net(t.images({2, 3, 8, 8})), features8);
  check_close(t.net(t.images({1, 3, 8, 16})), {1.88500227, -0.245364919, 1.0079128, -1.60213624, -0.619359165,
                                               -0.495677104, -0.185992283, 0.323147624});
}

template <class T> void check_gradients() {
  Tiny<T> t;
  auto& params = t.params;
  Tape<Host> tape(t.ctx);
  const auto y = t.net(tape.input(std::vector{t.images({2, 3, 16, 16}), t.images({2, 3, 8, 8})}));
  const auto y16 = gather(y, {0, 1}), y8 = gather(y, {2, 3});
  const auto weight = generate<T>(t.ctx, {2, 8}, [](i64 i) { return 1 + i % 8; });
  const auto loss = add(sum(multiply(y16, y16)), sum(multiply(y8, weight)));
  tape.backward(loss);
  const double precision = sizeof(T) == 8 ? 1e-13 : 1e-5;
  CHECK(static_cast<double>(item(loss.value)) == Approx(5.4479600279223295).epsilon(precision));
  const auto grad = [&](const char* name) { return params.grad(params.find(name)); };
  check_close(grad("cls_token"),
              {-5.51967024, -7.95110377, -4.10540098, -4.13854682, -0.417902794, 5.33132368, 7.54466278, 9.25663816});
  check_close(grad("blocks.0.attn.qkv.bias").slice(0, 8), {0.187781037, -0.127276602, -0.038632504, 0.172547934,
                                                           0.0999559875, 0.117337099, -0.237456956, 0.160925804});
  check_close(grad("norm.weight"),
              {15.3582364, -0.850255223, 13.3030323, -4.10274373, -2.93510485, -3.22542388, -5.38348968, 10.7801371});
  check_close(grad("pos_embed").reshape({17, 8}).slice(5, 6),
              {0.0366081431, -0.0100879594, -0.034126576, -0.0168150747, 0.0409136279, 0.0457330661, -0.0181907111,
               -0.0440345159});
}

}  // namespace

TEST_CASE("vit: class tokens of the reference, at the stored grid and two others", "[nn][golden]") {
  check_forward<double>();
  check_forward<float>();
}

TEST_CASE("vit: gradients of the reference through two groups of crops", "[nn][golden]") {
  check_gradients<double>();
  check_gradients<float>();
}

TEST_CASE("vit: what the class token looks at in the last block, as in the reference", "[nn][golden]") {
  Tiny<double> t;
  const auto attention = t.net.last_attention(t.images({2, 3, 16, 16}));
  CHECK(attention.shape() == Shape{2, 2, 17});
  check_close(attention.reshape({4, 17}).slice(0, 1),
              {0.122580946, 0.0352278028, 0.047432797, 0.0581362926, 0.0532745463, 0.0236754663, 0.0914786746,
               0.0725423006, 0.0353478544, 0.0507606954, 0.0594961438, 0.0537534934, 0.0201990466, 0.0897788531,
               0.0714483824, 0.0346101776, 0.0802565271});
  for (i64 row = 0; row < 4; ++row) {
    double total = 0;
    for (i64 k = 0; k < 17; ++k) total += attention[row * 17 + k];
    CHECK(total == Approx(1));
  }
}

TEST_CASE("vit: one packed pass over crop groups equals a pass for each group", "[nn]") {
  Tiny<double> t;
  const auto large = t.images({2, 3, 16, 16}), small = t.images({3, 3, 8, 8}), wide = t.images({1, 3, 8, 16});
  const auto packed = t.net(std::vector{large, small, wide});
  REQUIRE(packed.shape() == Shape{6, 8});
  std::vector<double> apart;
  for (const auto& group : {large, small, wide}) {
    for (const double x : to_vector(t.net(group))) apart.push_back(x);
  }
  CHECK(golden::relative_error(to_vector(packed), apart) <= 1e-13);  // sums in another order
}

TEST_CASE("vit: rows of the packed pass are crop-major", "[nn]") {
  Tiny<double> t;
  const auto crops = t.images({4, 3, 8, 8});  // 2 crops of 2 images
  const auto rows = to_vector(t.net(crops));
  for (i64 i = 0; i < 4; ++i) {
    const auto alone = to_vector(t.net(contiguous(crops.slice(i, i + 1))));
    const std::vector<double> row(rows.begin() + i * 8, rows.begin() + (i + 1) * 8);
    CHECK(golden::relative_error(row, alone) <= 1e-13);
  }
}

TEST_CASE("vit: all_tokens holds the class token in the first row of each image", "[nn]") {
  Tiny<double> t;
  const std::vector<HostTensor<double>> groups{t.images({2, 3, 16, 16})};
  const auto all = t.net.all_tokens(groups);
  REQUIRE(all.shape() == Shape{34, 8});
  check_close(all.slice(0, 1), {features16.begin(), features16.begin() + 8});
  check_close(all.slice(17, 18), {features16.begin() + 8, features16.end()});
}

TEST_CASE("vit: a walk shows the tokens before every block and behind the last", "[nn]") {
  Tiny<double> t;
  const std::vector groups{t.images({2, 3, 16, 16}), t.images({1, 3, 8, 12})};
  const auto segments = t.net.layout(groups);
  std::vector<HostTensor<double>> seen;
  const auto out = t.net.walk(groups, segments, [&](i64 i, const HostTensor<double>& x) {
    CHECK(i == static_cast<i64>(seen.size()));
    seen.push_back(x);
  });
  REQUIRE(seen.size() == 3);
  for (size_t i = 0; i < 2; ++i) CHECK(to_vector(t.net.blocks[i](seen[i], segments)) == to_vector(seen[i + 1]));
  CHECK(to_vector(out) == to_vector(seen[2]));
  CHECK(to_vector(out) == to_vector(t.net.trunk(groups, segments)));
  const std::vector one{groups[0]};
  const auto layout = t.net.layout(one);
  t.net.walk(one, layout, [&](i64 i, const HostTensor<double>& x) {
    if (i == 1) CHECK(to_vector(t.net.last_attention(x, layout)) == to_vector(t.net.last_attention(groups[0])));
  });
}

TEST_CASE("vit: the attention of every block, from the tokens that a walk shows", "[nn][golden]") {
  Tiny<double> t;
  const std::vector groups{t.images({2, 3, 16, 16})};
  const auto layout = t.net.layout(groups);
  t.net.walk(groups, layout, [&](i64 i, const HostTensor<double>& x) {
    if (i == 2) return;
    const auto all = t.net.block_attention(i, x, layout, 0, 17);
    REQUIRE(all.shape() == Shape{2, 2, 17, 17});
    const auto first = t.net.block_attention(i, x, layout);
    for (i64 map = 0; map < 4; ++map)
      for (i64 k = 0; k < 17; ++k) CHECK(first[map * 17 + k] == Approx(all[map * 17 * 17 + k]).epsilon(1e-13));
    if (i == 1) {
      CHECK(golden::relative_error(to_vector(first), to_vector(t.net.last_attention(groups[0]))) <= 1e-13);
      check_close(first.reshape({4, 17}).slice(0, 1).columns(0, 3), {0.122580946, 0.0352278028, 0.047432797});
    }
    CHECK_THROWS_WITH(t.net.block_attention(2, x, layout), contains("block 2 of a backbone with blocks 0..1"));
  });
}

TEST_CASE("vit: numbers of parameters of the reference", "[nn][golden]") {
  CHECK(backbone_parameters(vit_tiny(16)) == 5524416);
  CHECK(backbone_parameters(vit_tiny(8)) == 5526720);
  CHECK(backbone_parameters(vit_small(16)) == 21665664);
  CHECK(backbone_parameters(vit_small(8)) == 21670272);
  CHECK(backbone_parameters(vit_base(16)) == 85798656);
  CHECK(backbone_parameters(vit_base(8)) == 85807872);
  CHECK(backbone_parameters({.image_size = 32, .patch_size = 4, .dim = 192, .depth = 12, .heads = 3}) == 5360832);
  CHECK(backbone_parameters({.image_size = 32, .patch_size = 4, .dim = 192, .depth = 9, .heads = 12, .mlp_ratio = 2}) ==
        2695680);
  CHECK(backbone_parameters({.image_size = 32, .patch_size = 4, .dim = 384, .depth = 12, .heads = 6}) == 21338496);
}

TEST_CASE("vit: names, order and shapes are those of torch hub and timm", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params}, vit_small(16));
  REQUIRE(params.segments().size() == 150);
  const std::vector<std::pair<std::string, Shape>> expected{{"cls_token", {1, 1, 384}},
                                                            {"pos_embed", {1, 197, 384}},
                                                            {"patch_embed.proj.weight", {384, 3, 16, 16}},
                                                            {"patch_embed.proj.bias", {384}},
                                                            {"blocks.0.norm1.weight", {384}},
                                                            {"blocks.0.norm1.bias", {384}},
                                                            {"blocks.0.attn.qkv.weight", {1152, 384}},
                                                            {"blocks.0.attn.qkv.bias", {1152}},
                                                            {"blocks.0.attn.proj.weight", {384, 384}},
                                                            {"blocks.0.attn.proj.bias", {384}},
                                                            {"blocks.0.norm2.weight", {384}},
                                                            {"blocks.0.norm2.bias", {384}},
                                                            {"blocks.0.mlp.fc1.weight", {1536, 384}},
                                                            {"blocks.0.mlp.fc1.bias", {1536}},
                                                            {"blocks.0.mlp.fc2.weight", {384, 1536}},
                                                            {"blocks.0.mlp.fc2.bias", {384}},
                                                            {"blocks.1.norm1.weight", {384}}};
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(params.segments()[i].name == expected[i].first);
    CHECK(params.segments()[i].shape == expected[i].second);
  }
  CHECK(params.segments()[148].name == "norm.weight");
  CHECK(params.segments()[149].name == "norm.bias");
}

TEST_CASE("vit: drop rates are linear in depth and block 0 never drops", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const VitConfig config{
      .image_size = 8, .patch_size = 4, .dim = 4, .depth = 12, .heads = 1, .mlp_ratio = 1, .drop_path = 0.1};
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params}, config);
  REQUIRE(net.blocks.size() == 12);
  for (size_t i = 0; i < 12; ++i) CHECK(net.blocks[i].drop_rate == Approx(0.1 * static_cast<double>(i) / 11));
  CHECK(net.blocks[0].drop_rate == 0);
  VitConfig single = config;
  single.depth = 1;
  ParamStore<float, Host> other(ctx);
  CHECK(nn::VisionTransformer<float, Host>(Scope<float, Host>{other}, single).blocks[0].drop_rate == 0);
}

TEST_CASE("vit: drop path acts on a tape only", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  VitConfig config = tiny;
  config.drop_path = 0.9;
  const nn::VisionTransformer<double, Host> net(Scope<double, Host>{params}, config);
  params.finalize(0);
  fill(params);
  const auto images =
      generate<double>(ctx, {2, 3, 16, 16}, [](i64 i) { return std::sin(0.05 * static_cast<double>(i)); });
  check_close(net(images), features16);
  Tape<Host> tape(ctx, RngKey(1, 2));
  CHECK(golden::relative_error(to_vector(net(tape.input(images)).value), features16) > 0.01);
}

TEST_CASE("vit: first values have the distributions of the reference", "[nn]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const nn::VisionTransformer<float, Host> net(Scope<float, Host>{params},
                                               {.image_size = 32, .patch_size = 4, .dim = 96, .depth = 2, .heads = 3});
  params.finalize(1);
  const double bound = 1 / std::sqrt(48.0);
  for (size_t i = 0; i < params.segments().size(); ++i) {
    const auto& name = params.segments()[i].name;
    double total = 0, square = 0, largest = 0;
    const auto value = to_vector(params.value(static_cast<i64>(i)));
    for (const float x : value) {
      total += static_cast<double>(x);
      square += static_cast<double>(x) * static_cast<double>(x);
      largest = std::max(largest, std::abs(static_cast<double>(x)));
    }
    const double n = static_cast<double>(value.size()), mean = total / n, deviation = std::sqrt(square / n);
    INFO(name);
    if (name.starts_with("patch_embed")) {
      CHECK(largest <= bound);
      CHECK(largest > 0.9 * bound);
    } else if (name.find("norm") != std::string::npos) {
      CHECK(deviation == (name.ends_with("weight") ? 1 : 0));
    } else if (name.ends_with("bias")) {
      CHECK(largest == 0);
    } else {
      CHECK(deviation == Approx(0.02).epsilon(5 / std::sqrt(n)));  // five deviations of the estimate, doubled
      CHECK(std::abs(mean) <= 5 * 0.02 / std::sqrt(n));
    }
  }
}

TEST_CASE("vit: impossible sizes and images are refused", "[nn]") {
  HostContext ctx(1);
  const auto make = [&](const VitConfig& config) {
    ParamStore<float, Host> params(ctx);
    return nn::VisionTransformer<float, Host>(Scope<float, Host>{params}, config).dim();
  };
  CHECK_THROWS_WITH(make({.image_size = 30, .patch_size = 16}),
                    "vit: image_size 30 must be a multiple of patch_size 16");
  CHECK_THROWS_WITH(make({.dim = 100, .heads = 3}), "vit: embed_dim 100 must be a multiple of num_heads 3");
  CHECK_THROWS_WITH(make({.depth = 0}), contains("depth 0"));
  Tiny<double> t;
  CHECK_THROWS_WITH(t.net(t.images({2, 1, 16, 16})), "vit: images are (2,1,16,16), expected (B,3,H,W)");
}
