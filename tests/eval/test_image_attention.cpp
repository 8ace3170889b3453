#include <dino/eval/backbone.hpp>
#include <dino/eval/image_attention.hpp>

#include "support/golden.hpp"

#include <numeric>

using namespace dino;

namespace {

/// The network of tools/reference/attention.py, small: registers, three blocks.
struct Tiny {
  golden::File file{"attention.safetensors"};
  HostContext ctx{2};
  Backbone<float, HostDevice> net{ctx,
                                  {.vit = {.image_size = 12,
                                           .patch_size = 4,
                                           .dim = 12,
                                           .depth = 3,
                                           .heads = 2,
                                           .mlp_ratio = 2,
                                           .registers = 2,
                                           .layer_scale = 1,
                                           .positions = timm_positions}}};

  Tiny() {
    auto& params = net.params();
    for (i64 i = 0; i < static_cast<i64>(params.segments().size()); ++i) {
      const auto& values = file.values("vit.value." + params.segments()[static_cast<size_t>(i)].name);
      params.assign(i, std::vector<float>(values.begin(), values.end()));
    }
  }
  HostTensor<float> image() { return file.tensor<float>(ctx, "vit.image"); }
};

std::vector<double> doubles(std::span<const float> x) { return {x.begin(), x.end()}; }

}  // namespace

TEST_CASE("image attention: every block, the rollout and the patches equal PyTorch", "[eval][golden]") {
  Tiny t;
  const auto a = image_attention(t.net.vit(), t.image(), {.layers = {0, 1, 2}, .rollout = true, .patches = true});
  CHECK(a.heads == 2);
  CHECK(a.tokens == 13);
  CHECK(a.height == 2);
  CHECK(a.width == 5);
  CHECK(a.dim == 12);
  golden::check_close("attention", doubles(a.attention), t.file.values("vit.attention"), 1e-5);
  golden::check_close("rollout", doubles(a.rollout), t.file.values("vit.rollout"), 1e-5);
  golden::check_close("patches", doubles(a.patches), t.file.values("vit.patches"), 1e-5);
  const auto maps = a.maps(1);
  CHECK(maps.heads == 2);
  CHECK(maps.map(1)[9] == a.attention[(1 * 2 + 1) * 13 + 12]);
  CHECK(maps.map(0)[0] == a.attention[1 * 2 * 13 + 3]);  // behind the class token and two registers
  CHECK(a.rollout_map().map(0)[0] == a.rollout[3]);
}

TEST_CASE("image attention: blocks in the order asked for, and nothing else", "[eval]") {
  Tiny t;
  const auto all = image_attention(t.net.vit(), t.image(), {.layers = {0, 1, 2}});
  const auto some = image_attention(t.net.vit(), t.image(), {.layers = {2, 0}});
  CHECK(some.size() == 2);
  CHECK(some.maps(0).values == all.maps(2).values);
  CHECK(some.maps(1).values == all.maps(0).values);
  CHECK(some.rollout.empty());
  CHECK(some.patches.empty());
  const auto last = token_features(t.net.vit(), t.image(), {.attention = true});
  CHECK(golden::relative_error(std::vector<float>(some.attention.begin(), some.attention.begin() + 26),
                               last.attention) <= 1e-6);
  CHECK(image_attention(t.net.vit(), t.image(), {}).size() == 0);
}

TEST_CASE("image attention: what cannot be is refused", "[eval]") {
  Tiny t;
  CHECK_THROWS_WITH(image_attention(t.net.vit(), t.image(), {.layers = {3}}),
                    "layers: there is no block 3: the backbone has 3, 0 to 2");
  CHECK_THROWS(image_attention(t.net.vit(), zeros<float>(t.ctx, {2, 3, 8, 8}), {.layers = {0}}));
  auto& params = t.net.params();
  params.assign(params.find("norm.bias"), std::vector<float>(12, std::numeric_limits<float>::quiet_NaN()));
  CHECK_NOTHROW(image_attention(t.net.vit(), t.image(), {.layers = {0}}));
  CHECK_THROWS_WITH(image_attention(t.net.vit(), t.image(), {.layers = {0}, .patches = true}),
                    "the network gives numbers that are not finite");
}
