#include <dino/optim/lars.hpp>

#include "support/two_tensors.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

template <class T> void check_golden() {
  TwoTensors<T> two;
  Lars<T, Host> optimizer(two.params);
  two.check(
      optimizer, {.lr = 0.3, .weight_decay = 1e-2},
      {{0.499870748, -0.999741495, 1.99960609, 0.250489313}, {0.49962666, -0.999253319, 1.99886517, 0.251426715}, {}},
      {{0.285, -0.02}, {0.2415, 0.502}, {}});
}

}  // namespace

TEST_CASE("lars: steps of the reference", "[optim][golden]") {
  check_golden<double>();
  check_golden<float>();
  check_golden<bf16>();  // the masters, to the same tolerance as float
}

TEST_CASE("lars: the trust ratio is 1 when a norm is 0", "[optim]") {
  TwoTensors<double> two;
  Lars<double, Host> optimizer(two.params);
  two.set({0, 0, 0, 0}, {1, 1});
  const UpdateSettings settings{.lr = 0.5};
  two.set_grads({1, -2, 3, 4}, {0, 2});
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  CHECK(two.p() == std::vector<double>{-0.5, 1, -1.5, -2});
  CHECK(two.b() == std::vector<double>{1, 0});
}

TEST_CASE("lars: vectors take no decay and no ratio", "[optim]") {
  TwoTensors<double> two;
  Lars<double, Host> optimizer(two.params);
  const UpdateSettings settings{.lr = 0.5, .weight_decay = 100};
  two.set_grads({}, {0.2, 0.4});
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  CHECK(two.b()[0] == Approx(0.2));
  CHECK(two.b()[1] == Approx(-0.4));
}
