#include <dino/device/cpu.hpp>
#include <dino/device/step_state.hpp>

#include "support/catch.hpp"

using namespace dino;

TEST_CASE("step_state: what is read is what was set last", "[device]") {
  Context<Cpu> ctx(1);
  StepState<Cpu> state(ctx);
  const auto lr = state.lr(), weight_decay = state.weight_decay(), momentum = state.momentum(),
             temp = state.teacher_temp();
  CHECK(lr.get() == 0);
  CHECK(temp.get() == 1);
  for (const double t : {1.0, 2.0}) {
    state.set({.step = static_cast<u64>(t), .lr = t / 8, .weight_decay = t / 4, .momentum = t / 2, .teacher_temp = 3 * t});
    CHECK(*state.step() == static_cast<u64>(t));
    CHECK(lr.get() == t / 8);
    CHECK(weight_decay.get() == t / 4);
    CHECK(momentum.get() == t / 2);
    CHECK(temp.get() == 3 * t);
  }
}

TEST_CASE("step_state: a number by value needs no memory", "[device]") {
  CHECK(StepScalar().get() == 0);
  CHECK(StepScalar(0.25).get() == 0.25);
}

TEST_CASE("step_state: a key is that of its step and op, whether the step is given or read", "[device]") {
  Context<Cpu> ctx(1);
  StepState<Cpu> state(ctx);
  StepKey read(5, 6, state.step());
  for (const u64 step : {0u, 7u}) {
    state.set({.step = step});
    StepKey given = RngKey(5, mix(6, step));
    for (const u64 op : {0u, 3u}) {
      read.op = given.op = op;
      CHECK(read.get().key == RngKey(RngKey(5, mix(6, step)).key, op).key);
      CHECK(given.get().key == read.get().key);
    }
  }
}
