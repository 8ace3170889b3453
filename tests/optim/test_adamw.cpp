#include <dino/optim/adamw.hpp>

#include "support/two_tensors.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

template <class T> void check_golden() {
  TwoTensors<T> two;
  AdamW<T, Host> optimizer(two.params);
  two.check(optimizer, {.lr = 0.01, .weight_decay = 0.04},
            {{0.489800001, -0.989600001, 1.9892, 0.2599},
             {0.479952261, -0.979552341, 1.9787525, 0.26944786},
             {0.470180269, -0.969580508, 1.96838099, 0.278920093}},
            {{0.290000002, -0.19}, {0.280348183, -0.18034818}, {0.270768172, -0.170768168}});
}

}  // namespace

TEST_CASE("adamw: three steps of the reference", "[optim][golden]") {
  check_golden<double>();
  check_golden<float>();
  check_golden<bf16>();  // the masters, to the same tolerance as float
}

TEST_CASE("adamw: a tensor without gradient is left alone and its count stays", "[optim]") {
  TwoTensors<double> two;
  AdamW<double, Host> optimizer(two.params);
  const UpdateSettings settings{.lr = 0.01, .weight_decay = 0.4};
  const auto before = two.p();
  for (int t = 0; t < 3; ++t) {
    two.set_grads({}, {1, 1});
    auto plan = plan_update(two.params, settings);
    optimizer.step(plan, settings);
  }
  CHECK(two.p() == before);
  CHECK(two.params.segments()[0].steps == 0);
  CHECK(two.params.segments()[1].steps == 3);
  CHECK(to_vector(optimizer.state()[0].second.slice(0, 4)) == std::vector<double>(4, 0.0));
  // Its first update is corrected as a first one: p - lr sign(g), after decay.
  two.set_grads({0.1, -0.2, 0.3, -0.4}, {1, 1});
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  for (size_t i = 0; i < 4; ++i) CHECK(two.p()[i] == Approx(before[i] * 0.996 - (i % 2 ? -0.01 : 0.01)).epsilon(1e-6));
}

TEST_CASE("adamw: a rate of 0 changes the moments and not the values", "[optim]") {
  TwoTensors<double> two;
  AdamW<double, Host> optimizer(two.params);
  const UpdateSettings settings{.lr = 0, .weight_decay = 0.4};
  const auto before = two.p();
  two.set_golden_grads(0);
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  CHECK(two.p() == before);
  CHECK(optimizer.state()[0].first == "m");
  CHECK(optimizer.state()[0].second[0] == Approx(0.01));
  CHECK(optimizer.state()[1].first == "v");
  CHECK(optimizer.state()[1].second[0] == Approx(1e-5));
  CHECK(two.params.segments()[0].steps == 1);
}

TEST_CASE("adamw: other settings than the defaults", "[optim]") {
  TwoTensors<double> two;
  AdamW<double, Host> optimizer(two.params, {.beta1 = 0, .beta2 = 0, .eps = 1});
  const UpdateSettings settings{.lr = 0.5};
  two.set_grads({1, -1, 3, 0}, {});
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  CHECK(two.p() == std::vector<double>{0.25, -0.75, 1.625, 0.25});  // p - lr g / (|g| + 1)
}
