#include <dino/optim/optimizer.hpp>

#include "support/two_tensors.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

/// Values after three steps of the optimizer with this name, or of the given one.
template <class O> std::vector<double> after_three(TwoTensors<double>& two, O& optimizer) {
  const UpdateSettings settings{.lr = 0.05, .weight_decay = 0.1, .clip = 0.5};
  for (int t = 0; t < 3; ++t) {
    two.set_golden_grads(t);
    auto plan = plan_update(two.params, settings);
    optimizer.step(plan, settings);
  }
  return to_vector(two.params.values());
}

template <template <class, class> class O> void check_same(const std::string& name, size_t states) {
  TwoTensors<double> a, b;
  Optimizer<double, Host> chosen(name, a.params);
  O<double, Host> direct(b.params);
  CHECK(after_three(a, chosen) == after_three(b, direct));
  CHECK(chosen.state().size() == states);
}

}  // namespace

TEST_CASE("optimizer: a name chooses the algorithm", "[optim]") {
  check_same<AdamW>("adamw", 2);
  check_same<Sgd>("sgd", 1);
  check_same<Lars>("lars", 1);
}

TEST_CASE("optimizer: updates too small for 16-bit values add up in the masters", "[optim]") {
  for (const std::string name : {"adamw", "sgd", "lars"}) {
    INFO(name);
    TwoTensors<bf16> two;
    Optimizer<bf16, Host> optimizer(name, two.params);
    two.set({1, 1, 1, 1}, {1, 1});
    const UpdateSettings settings{.lr = name == "lars" ? 0.02 : 1e-4};
    const auto value = [&] { return to_acc(to_vector(two.params.value(1))[0]); };
    for (int t = 0; t < 100; ++t) {
      two.set_grads({1, 1, 1, 1}, {1, 1});
      auto plan = plan_update(two.params, settings);
      optimizer.step(plan, settings);
      if (t == 0 && name != "lars") CHECK(value() == 1);  // the step is below half the last place, 2^-9
      CHECK(two.in_step());
    }
    CHECK(two.b()[0] < 0.995f);
    CHECK(value() < 1);
  }
}

TEST_CASE("optimizer: an empty plan is no step", "[optim]") {
  TwoTensors<double> two;
  Optimizer<double, Host> optimizer("adamw", two.params);
  const UpdateSettings settings{.lr = 1};
  const auto before = to_vector(two.params.values());
  auto plan = plan_update(two.params, settings);
  CHECK(plan.ranges.empty());
  optimizer.step(plan, settings);
  CHECK(to_vector(two.params.values()) == before);
  CHECK(two.params.segments()[0].steps == 0);
}

TEST_CASE("optimizer: an unknown name is refused with the known ones", "[optim]") {
  TwoTensors<double> two;
  CHECK_THROWS_WITH((Optimizer<double, Host>("adam", two.params)), "optimizer \"adam\": expected adamw, sgd or lars");
}
