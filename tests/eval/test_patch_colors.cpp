#include <dino/eval/patch_colors.hpp>

#include "support/golden.hpp"

using namespace dino;

namespace {

struct Pictures {
  golden::File file{"attention.safetensors"};
  std::vector<float> tokens[3];
  std::vector<PatchGrid> grids;

  Pictures() {
    constexpr i64 sides[3][2] = {{6, 7}, {5, 9}, {4, 3}};
    for (size_t k = 0; k < 3; ++k) {
      const auto& values = file.values(str("colors.tokens.{}", k));
      tokens[k].assign(values.begin(), values.end());
      grids.push_back({sides[k][0], sides[k][1], tokens[k]});
    }
  }
};

template <class T> std::vector<double> doubles(const std::vector<T>& x) { return {x.begin(), x.end()}; }

}  // namespace

TEST_CASE("patch colors: equal numpy's singular value decomposition", "[eval][golden]") {
  Pictures p;
  HostContext ctx(2);
  const auto colors = patch_colors(ctx, p.grids, 10);
  REQUIRE(colors.size() == 3);
  for (size_t k = 0; k < 3; ++k) {
    CHECK(doubles(colors[k].foreground) == p.file.values(str("colors.foreground.{}", k)));
    golden::check_close(str("picture {}", k), doubles(colors[k].rgb), p.file.values(str("colors.rgb.{}", k)), 1e-5);
    if (k == 2) continue;                                                             // without an object
    CHECK(colors[k].foreground[1 * static_cast<size_t>(p.grids[k].width) + 2] == 1);  // of the object
    CHECK(colors[k].foreground[0] == 0);
  }
  CHECK(std::count(colors[2].foreground.begin(), colors[2].foreground.end(), 1) > 0);
  const auto alone = patch_colors(ctx, std::span(p.grids).first(1), 10);
  CHECK(alone[0].rgb != colors[0].rgb);  // the basis is that of all pictures
}

TEST_CASE("patch colors: the background is the side at the borders, however the tokens are turned", "[eval]") {
  Pictures p;
  HostContext ctx(1);
  const auto colors = patch_colors(ctx, p.grids, 10);
  for (auto& list : p.tokens)
    for (float& x : list) x = -x;
  const auto turned = patch_colors(ctx, p.grids, 10);
  for (size_t k = 0; k < 3; ++k) CHECK(turned[k].foreground == colors[k].foreground);
}

TEST_CASE("patch colors: a threshold takes patches away, and too high a one all: then everything is drawn", "[eval]") {
  Pictures p;
  HostContext ctx(1);
  const auto count = [&](const PatchColorOptions& options) {
    i64 n = 0;
    for (const auto& picture : patch_colors(ctx, p.grids, 10, options))
      for (const u8 x : picture.foreground) n += x;
    return n;
  };
  const i64 all = 6 * 7 + 5 * 9 + 4 * 3, usual = count({});
  CHECK(usual >= 9);
  CHECK(usual < all);
  CHECK(count({.threshold = 2}) < usual);
  CHECK(count({.threshold = -0.2}) >= usual);
  CHECK(count({.threshold = 100}) == all);
  CHECK(count({.remove_background = false}) == all);
}

TEST_CASE("patch colors: few patches, few dimensions, equal tokens", "[eval]") {
  HostContext ctx(1);
  const std::vector<float> one{1, 2}, equal(12, 3.0f), line{0, 0, 1, 0, 2, 0, 5, 0};
  const auto of_one = patch_colors(ctx, std::vector<PatchGrid>{{1, 1, one}}, 2);
  CHECK(of_one[0].rgb == std::vector<float>(3, 0.5f));
  CHECK(of_one[0].foreground == std::vector<u8>{1});
  CHECK(patch_colors(ctx, std::vector<PatchGrid>{{2, 3, equal}}, 2)[0].rgb == std::vector<float>(18, 0.5f));
  const auto of_line = patch_colors(ctx, std::vector<PatchGrid>{{1, 4, line}}, 2, {.remove_background = false});
  CHECK(of_line[0].rgb == std::vector<float>{0, .5f, .5f, .2f, .5f, .5f, .4f, .5f, .5f, 1, .5f, .5f});
  CHECK(patch_colors(ctx, {}, 2).empty());
  CHECK_THROWS(patch_colors(ctx, std::vector<PatchGrid>{{2, 2, equal}}, 2));
  const std::vector<float> bad{1, std::numeric_limits<float>::infinity()};
  CHECK_THROWS_WITH(patch_colors(ctx, std::vector<PatchGrid>{{1, 2, bad}}, 1), Catch::Matchers::Contains("not finite"));
}
