#include <dino/eval/probe_features.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

struct Net {
  HostContext ctx{2};
  ParamStore<float, Host> params{ctx};
  nn::VisionTransformer<float, Host> vit;

  explicit Net(i64 registers = 0)
      : vit(Scope{params},
            {.image_size = 8, .patch_size = 4, .dim = 6, .depth = 3, .heads = 2, .registers = registers}) {
    params.finalize(4);
  }
};

std::vector<float> row_part(const std::vector<float>& rows, i64 row, i64 stride, i64 begin, i64 end) {
  return {rows.begin() + row * stride + begin, rows.begin() + row * stride + end};
}

}  // namespace

TEST_CASE("probe features: class tokens of the last blocks, then the mean of the patches", "[eval]") {
  for (const i64 registers : {0, 2}) {
    Net net(registers);
    const auto images = randn<float>(net.ctx, {3, 3, 8, 8}, RngKey(1, 2));
    const auto rows = to_vector(probe_features(net.vit, images, {2, true}));
    REQUIRE(rows.size() == 3 * 18);
    const auto cls = token_features(net.vit, images, {.tokens = TokenChoice::cls, .layers = 2});
    const auto mean = token_features(net.vit, images, {.tokens = TokenChoice::mean, .layers = 1});
    for (i64 b = 0; b < 3; ++b) {
      CHECK(row_part(rows, b, 18, 0, 12) == row_part(cls.values, b, 12, 0, 12));
      CHECK(row_part(rows, b, 18, 12, 18) == row_part(mean.values, b, 6, 0, 6));
    }
    CHECK(to_vector(probe_features(net.vit, images, {1, false})) == to_vector(net.vit(images)));
    CHECK(to_vector(probe_features(net.vit, images, {3, false})).size() == 3 * 18);
  }
}

TEST_CASE("probe features: more blocks than there are is refused", "[eval]") {
  Net net;
  const auto images = randn<float>(net.ctx, {1, 3, 8, 8}, RngKey(1, 2));
  CHECK_THROWS_WITH(probe_features(net.vit, images, {4, false}), contains("n_last_blocks = 4 must be in 1..3"));
  CHECK_THROWS_WITH(probe_features(net.vit, images, {0, false}), contains("n_last_blocks = 0"));
}

TEST_CASE("probe features: the released layout alternates class token and mean, and back", "[eval]") {
  const std::vector<float> weight{0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15};  // two rows of [c, p], width 3
  const std::vector<float> released{0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15};
  CHECK(interleave_columns(weight, 3) == released);
  CHECK(interleave_columns(released, 3, true) == weight);
  CHECK(ProbeInput{4, true}.dim(384) == 1920);
  CHECK(ProbeInput{1, true}.dim(768) == 1536);
  CHECK_THROWS_WITH(interleave_columns(weight, 5), contains("12 values for rows of 2 x 5"));
}
