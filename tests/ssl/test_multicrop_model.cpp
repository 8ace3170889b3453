#include <dino/ssl/multicrop_model.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

struct Model {
  HostContext ctx{2};
  ParamStore<double, Host> params{ctx};
  MultiCropModel<double, Host> model;

  explicit Model(bool use_bn = false)
      : model(Scope<double, Host>{params}, {.image_size = 8, .patch_size = 4, .dim = 6, .depth = 2, .heads = 2},
              {.outputs = 5, .hidden = 7, .bottleneck = 4, .use_bn = use_bn}) {
    params.finalize(1);
  }
  HostTensor<double> crops(i64 n, i64 side, u64 key) { return randn<double>(ctx, {n, 3, side, side}, RngKey(key, 0)); }
};

}  // namespace

TEST_CASE("multicrop: parameters are backbone.* and then head.*", "[ssl]") {
  Model m;
  const auto& s = m.params.segments();
  CHECK(s.front().name == "backbone.cls_token");
  CHECK(s.back().name == "head.last_layer.weight_v");
  CHECK(m.params.find("backbone.norm.bias") + 1 == m.params.find("head.mlp.0.weight"));
}

TEST_CASE("multicrop: rows are crop-major, group after group, and equal separate passes", "[ssl]") {
  Model m;
  const auto large = m.crops(2 * 3, 8, 1), small = m.crops(4 * 3, 4, 2);
  const auto all = m.model(std::vector{large, small});
  REQUIRE(all.shape() == Shape{18, 5});
  std::vector<double> apart;
  for (const auto& group : {large, small}) {
    for (i64 crop = 0; crop < group.shape()[0] / 3; ++crop) {
      const auto images = contiguous(group.slice(crop * 3, crop * 3 + 3));
      for (const double x : to_vector(m.model(std::vector{images}))) apart.push_back(x);
    }
  }
  CHECK(golden::relative_error(to_vector(all), apart) <= 1e-13);  // sums in another order
}

TEST_CASE("multicrop: the head runs once, so its batch norm sees the crops of all groups", "[ssl]") {
  Model m(true);
  const auto large = m.crops(4, 8, 1), small = m.crops(4, 4, 2);
  const auto all = m.model(std::vector{large, small});
  const auto features = m.model.backbone(std::vector{large, small});
  CHECK(golden::relative_error(to_vector(all), to_vector(m.model.head(features))) <= 1e-13);
  const auto part = m.model(std::vector{large});
  CHECK(golden::relative_error(to_vector(all.slice(0, 4)), to_vector(part)) > 1e-3);
}
