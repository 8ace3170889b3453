#include <dino/nn/attention.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

/// Attention with equal scores: q and k are zero, so each token gets the mean of v.
struct Averaging {
  HostContext ctx{1};
  ParamStore<double, Host> params{ctx};
  nn::Attention<double, Host> layer{Scope<double, Host>{params} / "attn", 4, 2, 0.02};

  Averaging() {
    params.finalize(0);
    const auto qkv = layer.qkv.weight.value();  // (12,4): rows q, k, v
    for (i64 i = 0; i < qkv.numel(); ++i) qkv[i] = i >= 32 && (i - 32) / 4 == i % 4 ? 1 : 0;
    const auto proj = layer.proj.weight.value();
    for (i64 i = 0; i < 16; ++i) proj[i] = i / 4 == i % 4 ? 2 : 0;
  }
};

}  // namespace

TEST_CASE("nn attention: names and shapes of the reference", "[nn]") {
  Averaging a;
  std::vector<std::string> names;
  for (const auto& s : a.params.segments()) names.push_back(s.name);
  CHECK(names == std::vector<std::string>{"attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias"});
  CHECK(a.params.segments()[0].shape == Shape{12, 4});
  CHECK(a.params.segments()[2].shape == Shape{4, 4});
}

TEST_CASE("nn attention: tokens see their own image only", "[nn]") {
  Averaging a;
  Segments segments;
  segments.add(1, 2);
  segments.add(1, 3);
  const auto x = generate<double>(a.ctx, {5, 4}, [](i64 i) { return i; });
  const auto y = to_vector(a.layer(x, segments));
  const std::vector<double> first{4, 6, 8, 10}, second{24, 26, 28, 30};  // twice the means over rows 0-1 and 2-4
  for (size_t row = 0; row < 5; ++row) {
    const std::vector<double> got(y.begin() + static_cast<i64>(row) * 4, y.begin() + static_cast<i64>(row) * 4 + 4);
    CHECK(golden::relative_error(got, row < 2 ? first : second) <= 1e-13);
  }
}

TEST_CASE("nn attention: a layout with another number of rows is refused", "[nn]") {
  Averaging a;
  Segments segments;
  segments.add(1, 4);
  CHECK_THROWS_AS(a.layer(zeros<double>(a.ctx, {5, 4}), segments), Error);
}
