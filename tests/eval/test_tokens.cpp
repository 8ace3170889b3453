#include <dino/eval/backbone.hpp>
#include <dino/eval/tokens.hpp>

#include "support/augment_golden.hpp"
#include "support/golden.hpp"

#include <numeric>

using namespace dino;
using Host = HostDevice;

namespace {

const VitConfig tiny{.image_size = 16, .patch_size = 4, .dim = 6, .depth = 3, .heads = 2, .init_std = 0.2};

struct Tiny {
  HostContext ctx{2};
  Backbone<float, Host> net{ctx, {.vit = tiny, .name = "tiny", .source = "test"}, 5};

  const nn::VisionTransformer<float, Host>& vit() const { return net.vit(); }
  HostTensor<float> images(const Shape& shape) {
    return generate<float>(ctx, shape,
                           [](i64 i) { return static_cast<float>(std::sin(0.05 * static_cast<double>(i))); });
  }
};

/// The tokens after `blocks` blocks and the final norm, composed by hand: (R,C).
HostTensor<float> by_hand(const Tiny& t, const HostTensor<float>& images, i64 blocks) {
  auto config = tiny;
  config.depth = blocks;
  HostContext& ctx = images.ctx();
  ParamStore<float, Host> params(ctx);  // the same backbone, cut off
  const nn::VisionTransformer<float, Host> part(Scope<float, Host>{params}, config);
  params.finalize(0);
  const auto& all = const_cast<Backbone<float, Host>&>(t.net).params();
  for (i64 i = 0; i < static_cast<i64>(params.segments().size()); ++i)
    params.assign(i, to_vector(all.value(all.find(params.segments()[static_cast<size_t>(i)].name))));
  return part.all_tokens(std::vector{images});
}

std::vector<float> rows(const HostTensor<float>& x, i64 first, i64 count) {
  return {x.data() + first * x.cols(), x.data() + (first + count) * x.cols()};
}

template <class V> V joined(V a, const V& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Pictures of several sizes, some of them broken.
struct Pictures {
  std::vector<std::pair<i64, i64>> sizes;
  std::vector<i64> bad{};
  bool labels = false;

  i64 size() const { return static_cast<i64>(sizes.size()); }
  std::string name(i64 i) const { return str("p{}.png", i); }
  i64 label(i64 i) const { return labels ? i % 2 : -1; }
  std::vector<std::string> classes() const {
    return labels ? std::vector<std::string>{"even", "odd"} : std::vector<std::string>{};
  }
  Image image(i64 i) const {
    const auto [width, height] = sizes[static_cast<size_t>(i)];
    return augment_golden::picture(static_cast<u32>(7 + i), width, height);
  }
  Sample get(i64 i) const {
    if (std::find(bad.begin(), bad.end(), i) != bad.end()) fail(ErrorKind::data, "{}: not a PNG", name(i));
    return {image(i), label(i), name(i)};
  }
};

const WholeTransform whole{.patch = 4};

PictureFeatures extract(Tiny& t, const Pictures& pictures, const TokenRequest& request,
                        const ExtractOptions& options = {}) {
  return extract_tokens(t.ctx, t.ctx, t.vit(), AnyDataset(pictures), whole, request, options);
}

/// token_features of one prepared picture.
TokenFeatures directly(Tiny& t, const Image& image, const TokenRequest& request) {
  const auto p = whole(image, "picture");
  return token_features(t.vit(), tensor(t.ctx, {1, 3, p.height, p.width}, p.values), request);
}

}  // namespace

TEST_CASE("tokens: the class token of the last block is what the network returns", "[eval]") {
  Tiny t;
  for (const auto& shape : {Shape{2, 3, 16, 16}, Shape{3, 3, 8, 20}}) {
    const auto images = t.images(shape);
    const auto f = token_features(t.vit(), images, {});
    CHECK(f.shape == Shape{6});
    CHECK(f.values == to_vector(t.vit()(images)));
    CHECK(f.attention.empty());
  }
}

TEST_CASE("tokens: n layers are the last n blocks in their order, each after the final norm", "[eval]") {
  Tiny t;
  const auto images = t.images({2, 3, 8, 12});  // 2 x 3 patches
  const auto second = by_hand(t, images, 2), third = by_hand(t, images, 3);
  const auto cls = token_features(t.vit(), images, {.layers = 2});
  CHECK(cls.shape == Shape{12});
  const auto patch = token_features(t.vit(), images, {.tokens = TokenChoice::patch, .layers = 2});
  CHECK(patch.shape == Shape{2, 6, 6});
  const auto all = token_features(t.vit(), images, {.tokens = TokenChoice::all, .layers = 2});
  CHECK(all.shape == Shape{2, 7, 6});
  std::vector<float> expected_cls, expected_patch, expected_all;
  for (i64 b = 0; b < 2; ++b) {
    for (const auto& layer : {second, third}) {
      expected_cls = joined(expected_cls, rows(layer, 7 * b, 1));
      expected_patch = joined(expected_patch, rows(layer, 7 * b + 1, 6));
      expected_all = joined(expected_all, rows(layer, 7 * b, 7));
    }
  }
  CHECK(cls.values == expected_cls);
  CHECK(patch.values == expected_patch);
  CHECK(all.values == expected_all);
}

TEST_CASE("tokens: the mean is that of the patch tokens alone", "[eval]") {
  Tiny t;
  const auto images = t.images({2, 3, 16, 8});
  const auto mean = token_features(t.vit(), images, {.tokens = TokenChoice::mean, .layers = 3});
  const auto patch = token_features(t.vit(), images, {.tokens = TokenChoice::patch, .layers = 3});
  REQUIRE(mean.shape == Shape{18});
  std::vector<float> expected;
  for (i64 row = 0; row < 6; ++row) {  // of a picture and a layer
    for (i64 c = 0; c < 6; ++c) {
      double total = 0;
      for (i64 p = 0; p < 8; ++p)
        total += static_cast<double>(patch.values[static_cast<size_t>((row * 8 + p) * 6 + c)]);
      expected.push_back(static_cast<float>(total / 8));
    }
  }
  CHECK(golden::relative_error(mean.values, expected) <= 1e-6);  // one rounding to float
}

TEST_CASE("tokens: attention is the distribution of the class token in the last block", "[eval]") {
  Tiny t;
  const auto images = t.images({2, 3, 8, 12});
  for (const i64 layers : {1, 3}) {
    const auto f = token_features(t.vit(), images, {.layers = layers, .attention = true});
    CHECK(f.attention_shape == Shape{2, 7});
    CHECK(f.attention == to_vector(t.vit().last_attention(images)));
    for (auto at = f.attention.begin(); at != f.attention.end(); at += 7)
      CHECK(std::accumulate(at, at + 7, 0.0) == Approx(1));
  }
}

TEST_CASE("tokens: registers stand between class token and patches, and are no patches", "[eval]") {
  HostContext ctx(1);
  auto config = tiny;
  config.registers = 2;
  config.token_std = 0.5;
  const Backbone<float, Host> net(ctx, {.vit = config, .name = "tiny", .source = "test"}, 5);
  const auto images = randn<float>(ctx, {2, 3, 8, 12}, RngKey(3, 1));
  const auto tokens = net.vit().all_tokens(std::vector{images});  // (2 * 9,6)
  const auto all = token_features(net.vit(), images, {.tokens = TokenChoice::all, .attention = true});
  CHECK(all.shape == Shape{1, 9, 6});
  CHECK(all.values == to_vector(tokens));
  CHECK(all.attention_shape == Shape{2, 9});
  const auto patch = token_features(net.vit(), images, {.tokens = TokenChoice::patch});
  CHECK(patch.shape == Shape{1, 6, 6});
  CHECK(patch.values == joined(rows(tokens, 3, 6), rows(tokens, 12, 6)));
  const auto cls = token_features(net.vit(), images, {});
  CHECK(cls.values == joined(rows(tokens, 0, 1), rows(tokens, 9, 1)));
  const auto mean = token_features(net.vit(), images, {.tokens = TokenChoice::mean});
  double total = 0;
  for (i64 p = 0; p < 6; ++p) total += static_cast<double>(patch.values[static_cast<size_t>(6 * p)]);
  CHECK(mean.values[0] == Approx(total / 6));
}

TEST_CASE("tokens: more layers than blocks and unknown words are refused", "[eval]") {
  Tiny t;
  CHECK_THROWS_WITH(token_features(t.vit(), t.images({1, 3, 16, 16}), {.layers = 4}),
                    "layers = 4 must be in 1..3: the backbone has 3 blocks");
  CHECK_THROWS_AS(token_features(t.vit(), t.images({1, 3, 16, 16}), {.layers = 0}), Error);
  CHECK(token_choice("cls") == TokenChoice::cls);
  CHECK(token_choice("all") == TokenChoice::all);
  CHECK_THROWS_WITH(token_choice("none"), contains("must be one of cls, patch, mean, all"));
}

TEST_CASE("tokens: pictures of all sizes keep their order, broken ones are left out and named", "[eval]") {
  Tiny t;
  const Pictures pictures{{{16, 16}, {21, 9}, {8, 8}, {16, 16}, {3, 30}, {9, 21}, {16, 18}}, {2}, true};
  const TokenRequest request{.tokens = TokenChoice::all, .layers = 2, .attention = true};
  const auto f = extract(t, pictures, request);
  CHECK(f.names == std::vector<std::string>{"p0.png", "p1.png", "p3.png", "p5.png", "p6.png"});
  CHECK(f.labels == std::vector<i64>{0, 1, 1, 1, 0});
  CHECK(f.classes == std::vector<std::string>{"even", "odd"});
  CHECK(f.grids == std::vector<i64>{4, 4, 2, 5, 4, 4, 5, 2, 4, 4});
  CHECK(f.skipped ==
        std::vector<std::string>{"p2.png: not a PNG", "p4.png: 3 x 30 pixels are less than a patch of 4 x 4"});
  std::vector<float> values, attention;
  size_t n = 0;
  for (const i64 i : {0, 1, 3, 5, 6}) {
    const auto one = directly(t, pictures.image(i), request);
    CHECK(f.shapes[n] == one.shape);
    CHECK(f.attention_shapes[n++] == one.attention_shape);
    values = joined(values, one.values);
    attention = joined(attention, one.attention);
  }
  CHECK(f.values == values);
  CHECK(f.attention == attention);
}

TEST_CASE("tokens: batch, its pixels and threads change no value", "[eval]") {
  Tiny t;
  Pictures pictures;
  for (i64 i = 0; i < 23; ++i) pictures.sizes.emplace_back(8 + 4 * (i % 3), 8 + 4 * (i % 2));
  pictures.bad = {0, 7, 22};
  const TokenRequest request{.tokens = TokenChoice::mean, .layers = 2};
  const auto expected = extract(t, pictures, request);
  CHECK(expected.size() == 20);
  for (const i64 batch : {1, 3, 100}) {
    for (const i64 pixels : {1, 500, 1000000}) {
      std::vector<i64> done;
      const auto f = extract(t, pictures, request,
                             {.batch = batch, .batch_pixels = pixels, .on_batch = [&](i64 n) { done.push_back(n); }});
      CHECK(f.values == expected.values);
      CHECK(f.names == expected.names);
      CHECK(done.back() == 23);
      for (size_t i = 1; i < done.size(); ++i) CHECK(done[i] - done[i - 1] <= batch);
      if (pixels == 1) CHECK(done.size() == 23);
    }
  }
}

TEST_CASE("tokens: one array is demanded where it is needed, and differing sizes are named", "[eval]") {
  Tiny t;
  const Pictures pictures{{{8, 8}, {9, 10}, {12, 8}}};
  const ExtractOptions one{.max_shapes = 1};
  const TokenRequest patch{.tokens = TokenChoice::patch};
  CHECK_THROWS_WITH(extract(t, pictures, patch, one),
                    "p2.png gives 2 x 3 patches, p0.png gave 2 x 2: pictures of different sizes do not make one array. "
                    "Take cls or mean, or a file of several arrays (.safetensors)");
  CHECK_THROWS_WITH(extract(t, pictures, patch, {.max_shapes = 2}), contains("and 3 arrays are at most 2"));
  CHECK(extract(t, {{{8, 8}, {9, 10}}}, patch, one).size() == 2);
  CHECK(extract(t, pictures, {}, one).size() == 3);
  CHECK_THROWS_AS(extract(t, pictures, {.attention = true}, one), Error);
}

TEST_CASE("tokens: too many broken pictures stop the work, as does a fault of the program", "[eval]") {
  Tiny t;
  Pictures pictures;
  for (i64 i = 0; i < 30; ++i) {
    pictures.sizes.emplace_back(8, 8);
    if (i % 2 == 1) pictures.bad.push_back(i);
  }
  CHECK_THROWS_WITH(extract(t, pictures, {}), contains("11 of 30 images cannot be used, 10 are allowed. The last one: "
                                                       "p21.png: not a PNG"));
  CHECK(extract(t, pictures, {}, {.max_bad_fraction = 0.5}).skipped.size() == 15);
  pictures.bad.clear();
  const PreparePicture faulty = [](const Image&, const std::string&) -> PreparedPicture {
    fail(ErrorKind::internal, "a fault");
  };
  CHECK_THROWS_WITH(extract_tokens(t.ctx, t.ctx, t.vit(), AnyDataset(pictures), faulty, {}), contains("a fault"));
}
