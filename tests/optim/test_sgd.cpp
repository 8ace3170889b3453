#include <dino/optim/sgd.hpp>

#include "support/two_tensors.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

template <class T> void check_golden() {
  TwoTensors<T> two;
  Sgd<T, Host> optimizer(two.params);
  two.check(optimizer, {.lr = 0.01, .weight_decay = 1e-4},
            {{0.4989995, -0.997999, 1.996998, 0.25399975},
             {0.496098551, -0.992197102, 1.9882942, 0.265599271},
             {0.490487201, -0.980974402, 1.9714588, 0.288038574}},
            {{0.2995, -0.194}, {}, {0.295245, -0.14294}});
}

}  // namespace

TEST_CASE("sgd: three steps of the reference", "[optim][golden]") {
  check_golden<double>();
  check_golden<float>();
  check_golden<bf16>();  // the masters, to the same tolerance as float
}

TEST_CASE("sgd: a skipped tensor keeps value, buffer and count", "[optim]") {
  TwoTensors<double> two;
  Sgd<double, Host> optimizer(two.params);
  const UpdateSettings settings{
      .lr = 0.1, .weight_decay = 0.1, .skip = [](const ParamSegment& s) { return s.name == "p.weight"; }};
  const auto before = two.p();
  two.set_golden_grads(0);
  auto plan = plan_update(two.params, settings);
  optimizer.step(plan, settings);
  CHECK(two.p() == before);
  CHECK(two.params.segments()[0].steps == 0);
  CHECK(optimizer.state()[0].first == "momentum");
  CHECK(to_vector(optimizer.state()[0].second.slice(0, 4)) == std::vector<double>(4, 0.0));
  CHECK(two.b()[0] == Approx(0.3 - 0.1 * 0.05));
}
