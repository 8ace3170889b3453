#include <dino/kernels/tokens.hpp>
#include <dino/tensor/create.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("tokens: sums over images are optional, and so are the patches", "[kernels]") {
  HostContext ctx(2);
  const i64 images = 3, n = 2, cols = 2;
  const auto dout = generate<double>(ctx, {images * (n + 1), cols}, [](i64 i) { return i; });
  const auto run = [&](const Target<double>& dpatches, double* dsum) {
    launch(ctx, kernels::AssembleTokensBackward<double>{
                    .dpatches = dpatches, .dsum = dsum, .dout = dout.data(), .images = images, .n = n, .cols = cols});
  };
  const auto dpatches = full<double>(ctx, {images * n, cols}, 100.0), dsum = full<double>(ctx, {n + 1, cols}, 100.0);
  run({dpatches.data(), false}, nullptr);
  CHECK(to_vector(dpatches) == std::vector<double>{2, 3, 4, 5, 8, 9, 10, 11, 14, 15, 16, 17});
  run({dpatches.data(), true}, dsum.data());
  CHECK(to_vector(dpatches) == std::vector<double>{4, 6, 8, 10, 16, 18, 20, 22, 28, 30, 32, 34});
  CHECK(to_vector(dsum) == std::vector<double>{18, 21, 24, 27, 30, 33});
  run({}, dsum.data());
  CHECK(to_vector(dsum) == std::vector<double>{18, 21, 24, 27, 30, 33});
}

TEST_CASE("tokens: registers stand between the class token and the patches, without a position", "[kernels]") {
  HostContext ctx(2);
  const auto value = [&](std::vector<float> x) { return tensor<float>(ctx, {static_cast<i64>(x.size()), 1}, x); };
  const auto patches = value({1, 2, 3, 4}), cls = value({100}), first = value({0.5f}), positions = value({10, 20});
  const auto registers = value({7, 8, 9});
  const HostTensor<float> out(ctx, {12, 1}), dsum(ctx, {6, 1}), dpatches(ctx, {4, 1});
  launch(ctx, kernels::AssembleTokens<float>{.out = out.data(),
                                             .patches = patches.data(),
                                             .cls = cls.data(),
                                             .first = first.data(),
                                             .positions = positions.data(),
                                             .images = 2,
                                             .n = 2,
                                             .cols = 1,
                                             .registers = registers.data(),
                                             .register_count = 3});
  CHECK(to_vector(out) == std::vector<float>{100.5f, 7, 8, 9, 11, 22, 100.5f, 7, 8, 9, 13, 24});
  launch(ctx, kernels::AssembleTokensBackward<float>{.dpatches = {dpatches.data(), false},
                                                     .dsum = dsum.data(),
                                                     .dout = out.data(),
                                                     .images = 2,
                                                     .n = 2,
                                                     .cols = 1,
                                                     .register_count = 3});
  CHECK(to_vector(dpatches) == std::vector<float>{11, 22, 13, 24});
  CHECK(to_vector(dsum) == std::vector<float>{201, 14, 16, 18, 24, 46});
}

TEST_CASE("tokens: rows that no index names are zero, or stay as they are", "[kernels]") {
  HostContext ctx(1);
  const auto dy = tensor<float>(ctx, {3, 1}, {1, 10, 100});
  const auto index = tensor<i64>(ctx, {3}, {2, 0, 2});
  const auto dx = full<float>(ctx, {4, 1}, 7.f);
  const auto run = [&](bool add) {
    launch(ctx, kernels::GatherRowsBackward<float>{
                    .dx = {dx.data(), add}, .dy = dy.data(), .index = index.data(), .n = 3, .rows = 4, .cols = 1});
    return to_vector(dx);
  };
  CHECK(run(false) == std::vector<float>{10, 0, 101, 0});
  CHECK(run(true) == std::vector<float>{20, 0, 202, 0});
}

TEST_CASE("tokens: the mask of drop path is a function of key and number", "[kernels]") {
  HostContext ctx(2);
  Segments segments;
  segments.add(20, 1);
  segments.add(30, 1);
  const auto x = full<double>(ctx, {50, 1}, 1.0);
  const HostTensor<double> y(ctx, {50, 1});
  const StepKey key = RngKey(3, 4);
  const double rate = 0.3;
  launch(ctx, kernels::DropPath<double>{.out = {y.data(), false},
                                        .x = x.data(),
                                        .segments = &segments,
                                        .cols = 1,
                                        .key = key,
                                        .window = {},
                                        .rate = rate});
  for (i64 i = 0; i < 50; ++i) {
    CHECK(y[i] == (static_cast<double>(key.get().uniform(static_cast<u64>(i))) >= rate ? 1 / (1 - rate) : 0.0));
  }
}
