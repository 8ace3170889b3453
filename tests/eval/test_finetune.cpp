#include <dino/eval/finetune.hpp>

#include "support/catch.hpp"
#include "support/tiny_finetune.hpp"

using namespace dino;
using namespace tiny_finetune;

TEST_CASE("finetune: the loss falls", "[eval]") {
  HostContext ctx(2);
  auto s = plain();
  s.label_smoothing = 0;
  Trainer trainer(ctx, s);
  double first = 0, last = 0;
  for (u64 i = 0; i < 40; ++i) {
    const double loss = trainer.step(batch(i)).loss;
    if (i < 5) first += loss / 5;
    if (i >= 35) last += loss / 5;
  }
  CHECK(first > 0.9);
  CHECK(last < 0.2);
}

TEST_CASE("finetune: a step reports the loss of its batch, and the rate of the schedule", "[eval]") {
  HostContext ctx(1);
  auto s = plain();
  s.label_smoothing = 0.2;
  Trainer trainer(ctx, s);
  const auto b = batch(0);
  const auto x = tensor(ctx, {6, 3, 8, 8}, b.groups[0]);
  const double expected = static_cast<double>(item(cross_entropy(trainer.model()(x), b.labels, 0.2)));
  const auto report = trainer.step(b);
  CHECK(report.loss == Approx(expected));
  CHECK(report.lr == Approx(1e-6));
  CHECK(report.grad_norm > 0);
  CHECK(trainer.step(batch(1)).lr == Approx((1e-6 + 2e-2) / 2));
}

TEST_CASE("finetune: mixed batches have the loss of mixed images and labels", "[eval]") {
  HostContext ctx(1);
  auto s = plain();
  s.mix = {};
  Trainer trainer(ctx, s);
  for (u64 i = 0; i < 4; ++i) {
    const auto b = batch(i);
    const auto plan = plan_mix(s.mix, s.seed, static_cast<i64>(i), 8, 8);
    REQUIRE(plan.mixes());
    auto images = b.groups[0];
    mix_images(images, 8, 8, plan);
    const MixedLabels labels{b.labels, {b.labels.rbegin(), b.labels.rend()}, std::vector<double>(6, plan.share)};
    const auto x = tensor(ctx, {6, 3, 8, 8}, images);
    const double expected = static_cast<double>(item(cross_entropy(trainer.model()(x), labels, s.label_smoothing)));
    CHECK(trainer.step(b).loss == Approx(expected));
  }
}

TEST_CASE("finetune: passes of any size give the same up to rounding", "[eval]") {
  HostContext ctx(2);
  auto s = settings();
  Trainer whole(ctx, s);
  s.micro_batch = 4;  // and a rest of 2
  Trainer parts(ctx, s);
  for (u64 i = 0; i < 5; ++i) CHECK(whole.step(batch(i)).loss == Approx(parts.step(batch(i)).loss).epsilon(1e-4));
}

TEST_CASE("finetune: equal bits for 1, 2 and 3 threads", "[eval]") {
  const auto after = [](i64 threads) {
    HostContext ctx(threads);
    Trainer trainer(ctx, settings());
    for (u64 i = 0; i < 4; ++i) trainer.step(batch(i));
    return everything(trainer);
  };
  const auto one = after(1);
  CHECK(after(2) == one);
  CHECK(after(3) == one);
}

TEST_CASE("finetune: what is not decayed, and the rates of layers", "[eval]") {
  HostContext ctx(1);
  Trainer trainer(ctx, settings());
  for (const auto& segment : trainer.params().segments()) {
    INFO(segment.name);
    const bool token = segment.name == "backbone.cls_token" || segment.name == "backbone.pos_embed";
    CHECK(segment.decay == (!token && segment.shape.rank() > 1));
    if (token) CHECK(segment.rate == Approx(0.75 * 0.75 * 0.75));
    if (segment.name.starts_with("head.")) CHECK(segment.rate == 1);
  }
}

TEST_CASE("finetune: a loss that is no number changes nothing but the count", "[eval]") {
  HostContext ctx(1);
  Trainer trainer(ctx, plain());
  const auto before = everything(trainer);
  auto broken = batch(0);
  broken.groups[0][77] = std::numeric_limits<float>::quiet_NaN();
  CHECK(trainer.step(broken).skipped);
  CHECK(everything(trainer) == before);
  CHECK(trainer.steps_done() == 1);
  CHECK_FALSE(trainer.step(batch(1)).skipped);
}

TEST_CASE("finetune: what cannot be trained is refused", "[eval]") {
  HostContext ctx(1);
  auto s = settings();
  s.classes = 1;
  CHECK_THROWS_WITH(Trainer(ctx, s), "finetune: 1 class: there is nothing to tell apart");
  s = settings();
  s.micro_batch = 0;
  CHECK_THROWS_WITH(Trainer(ctx, s), contains("micro-batch 0 must be positive"));
  Trainer trainer(ctx, settings());
  auto b = batch(0);
  b.labels[2] = 3;
  CHECK_THROWS_WITH(trainer.step(b), "cross_entropy: label 3 for 3 classes");
  b.images = 5;
  CHECK_THROWS_WITH(trainer.step(b), "finetune: a batch of 5 images, expected 6");
}
