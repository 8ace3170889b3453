#include <dino/nn/block.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

constexpr i64 dim = 4, tokens_each = 3;

struct Dropping {
  HostContext ctx{1};
  ParamStore<double, Host> params{ctx};
  nn::Block<double, Host> block;
  Segments segments;

  Dropping(i64 images, double rate) : block(Scope<double, Host>{params} / "blocks" / 0,
              {.dim = dim, .heads = 2, .hidden = 8, .drop_rate = rate, .init_std = 0.5}) {
    params.finalize(2);
    segments.add(images, tokens_each);
  }
  HostTensor<double> input() { return randn<double>(ctx, {segments.rows(), dim}, RngKey(1, 1)); }
  HostTensor<double> on_tape(const HostTensor<double>& x, u64 step) {
    Tape<Host> tape(ctx, RngKey(7, step));
    return block(tape.input(x), segments).value;
  }
};

}  // namespace

TEST_CASE("block: pre-norm branches are added to x", "[nn]") {
  Dropping d(2, 0);
  const auto x = d.input();
  const auto& b = d.block;
  const auto y = add(x, b.attn(b.norm1(x), d.segments));
  const auto expected = add(y, b.mlp(b.norm2(y)));
  CHECK(to_vector(b(x, d.segments)) == to_vector(expected));
  CHECK(to_vector(d.on_tape(x, 0)) == to_vector(expected));
}

TEST_CASE("block: with layer scale and a gated perceptron, and their names", "[nn]") {
  HostContext ctx(1);
  ParamStore<double, Host> params(ctx);
  const nn::Block<double, Host> b(
      Scope<double, Host>{params} / "blocks" / 0,
      {.dim = dim, .heads = 2, .hidden = 8, .mlp = MlpKind::swiglu, .layer_scale = 0.25, .init_std = 0.5});
  params.finalize(2);
  CHECK(params.find("blocks.0.ls1.gamma") >= 0);
  CHECK(params.find("blocks.0.mlp.w12.weight") >= 0);
  CHECK(params.find("blocks.0.mlp.fc1.weight") == -1);
  Segments segments;
  segments.add(2, tokens_each);
  const auto x = randn<double>(ctx, {segments.rows(), dim}, RngKey(1, 1));
  const auto y = add(x, scale(b.attn(b.norm1(x), segments), 0.25));  // every gamma has its first value
  const auto expected = add(y, scale(b.mlp(b.norm2(y)), 0.25));
  CHECK(golden::relative_error(to_vector(b(x, segments)), to_vector(expected)) <= 1e-15);
}

TEST_CASE("block: without layer scale there is no such parameter", "[nn]") {
  Dropping d(2, 0);
  CHECK(!d.block.ls1);
  CHECK(!d.block.ls2);
  CHECK(d.params.segments().size() == 12);
}

TEST_CASE("block: both branches are dropped for whole images, independently, at their rate", "[nn]") {
  constexpr i64 images = 2000;
  constexpr double rate = 0.25;
  Dropping d(images, rate);
  const auto x = d.input();
  const auto& b = d.block;
  const auto out = to_vector(d.on_tape(x, 1));
  // The four possible outcomes of each image: branch kept, scaled by 1 / (1 - rate), or dropped.
  const auto kept = add(x, scale(b.attn(b.norm1(x), d.segments), 1 / (1 - rate)));
  const std::vector<HostTensor<double>> after{x, kept};
  std::vector<std::vector<double>> outcome;
  for (const auto& y : after) {
    outcome.push_back(to_vector(y));
    outcome.push_back(to_vector(add(y, scale(b.mlp(b.norm2(y)), 1 / (1 - rate)))));
  }
  std::array<i64, 4> count{};
  for (i64 image = 0; image < images; ++image) {
    i64 found = -1;
    for (size_t k = 0; k < 4; ++k) {
      double difference = 0;
      for (i64 i = image * tokens_each * dim; i < (image + 1) * tokens_each * dim; ++i)
        difference = worse(difference, std::abs(out[static_cast<size_t>(i)] - outcome[k][static_cast<size_t>(i)]));
      if (difference < 1e-12) found = static_cast<i64>(k);
    }
    REQUIRE(found >= 0);
    ++count[static_cast<size_t>(found)];
  }
  const auto share = [&](size_t k) { return static_cast<double>(count[k]) / images; };
  const double five = 5 * 0.5 / std::sqrt(static_cast<double>(images));  // five deviations of a share
  CHECK(std::abs(share(0) - rate * rate) < five);
  CHECK(std::abs(share(1) - rate * (1 - rate)) < five);
  CHECK(std::abs(share(2) - rate * (1 - rate)) < five);
  CHECK(std::abs(share(3) - (1 - rate) * (1 - rate)) < five);
}

TEST_CASE("block: another step draws other masks, a tensor none", "[nn]") {
  Dropping d(50, 0.5);
  const auto x = d.input();
  CHECK(to_vector(d.on_tape(x, 1)) == to_vector(d.on_tape(x, 1)));
  CHECK(to_vector(d.on_tape(x, 1)) != to_vector(d.on_tape(x, 2)));
  Dropping same(50, 0);
  CHECK(to_vector(d.block(x, d.segments)) == to_vector(same.block(x, same.segments)));
}
