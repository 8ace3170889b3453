#include <dino/optim/sgd.hpp>

#include "support/two_tensors.hpp"

#include <dino/nn/dino_head.hpp>
#include <dino/nn/vit.hpp>

using namespace dino;
using Host = HostDevice;

namespace {

/// What plain gradient descent of rate 1 subtracts: the gradient after clipping.
std::vector<double> clipped(const std::vector<double>& g, double clip) {
  TwoTensors<double> two;
  two.set({0, 0, 0, 0}, {0, 0});
  Sgd<double, Host> optimizer(two.params, {.momentum = 0});
  const UpdateSettings settings{.lr = -1, .clip = clip};
  two.set_grads(g, {});
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  return two.p();
}

}  // namespace

TEST_CASE("update: clipping of the reference", "[optim][golden]") {
  TwoTensors<double> two;
  two.set_grads({3, 4, 0, 12}, {0.3, -0.4});
  const auto plan = plan_update(two.params, {.clip = 3});
  CHECK(to_vector(plan.norms)[0] == Approx(13).epsilon(1e-15));
  CHECK(to_vector(plan.norms)[1] == Approx(0.5).epsilon(1e-15));  // each tensor by itself: not a global norm
  const std::vector<double> expected{0.692307639, 0.923076852, 0, 2.76923056};
  CHECK(golden::relative_error(clipped({3, 4, 0, 12}, 3), expected) <= 3e-9);
}

TEST_CASE("update: a norm below the limit, and a limit of 0, leave the gradient alone", "[optim]") {
  CHECK(clipped({3, 4, 0, 12}, 13.1) == std::vector<double>{3, 4, 0, 12});
  CHECK(clipped({3, 4, 0, 12}, 0) == std::vector<double>{3, 4, 0, 12});
}

TEST_CASE("update: the plan holds tensors with a gradient that are neither frozen nor skipped", "[optim]") {
  TwoTensors<double> two;
  two.set_golden_grads(0);
  const auto indices = [&](const UpdateSettings& s) { return plan_update(two.params, s).index; };
  CHECK(indices({}) == std::vector<i64>{0, 1});
  CHECK(indices({.skip = [](const ParamSegment& s) { return s.name.find("p.") == 0; }}) == std::vector<i64>{1});
  two.params.segments()[1].frozen = true;
  CHECK(indices({}) == std::vector<i64>{0});
  two.set_grads({}, {});
  CHECK(indices({}).empty());
}

TEST_CASE("update: decay reaches tensors with the flag only", "[optim]") {
  TwoTensors<double> two;
  two.set_golden_grads(0);
  const auto plan = plan_update(two.params, {.lr = 0.5, .weight_decay = 0.25});
  REQUIRE(plan.ranges.size() == 2);
  CHECK(plan.ranges[0].decay == 1);
  CHECK(plan.ranges[1].decay == 0);
  CHECK(plan.ranges[0].adapt);
  CHECK_FALSE(plan.ranges[1].adapt);
  CHECK(plan.ranges[1].lr == 1);
}

TEST_CASE("update: norms of tensors longer than a block", "[optim]") {
  HostContext ctx(2);
  ParamStore<double, Host> params(ctx);
  constexpr i64 n = 3 * kernels::RangeTable<double>::block + 17;
  params.add("w", {n}, zeros_init);
  params.finalize(0);
  Grad<double, Host>(params.sink(0)).accept(full<double>(ctx, {n}, 2.0));
  const auto plan = plan_update(params, {});
  CHECK(item(plan.norms) == Approx(2 * std::sqrt(static_cast<double>(n))).epsilon(1e-14));
}

TEST_CASE("update: decay groups of ViT-S and its head are those of the reference", "[optim][golden]") {
  HostContext ctx(1);
  ParamStore<float, Host> params(ctx);
  const Scope<float, Host> root{params};
  const nn::VisionTransformer<float, Host> net(root / "backbone", vit_small(16));
  const nn::DinoHead<float, Host> head(root / "head", 384, {});
  i64 decayed = 0, others = 0;
  for (const auto& s : params.segments()) {
    if (s.frozen) continue;
    (s.decay ? decayed : others) += 1;
  }
  CHECK(decayed == 55);
  CHECK(others == 102);
}
