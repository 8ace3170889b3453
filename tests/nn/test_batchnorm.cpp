#include <dino/nn/batchnorm.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {

struct Normalised {
  HostContext ctx{1};
  ParamStore<double, Host> params{ctx};
  nn::BatchNorm<double, Host> layer{Scope<double, Host>{params} / "bn", 2};
  HostTensor<double> x{tensor<double>(ctx, {4, 2}, {1, 10, 2, 20, 3, 30, 6, 40})};

  Normalised() { params.finalize(0); }
};

}  // namespace

TEST_CASE("nn batchnorm: the batch normalises and the running statistics follow", "[nn]") {
  Normalised n;
  const auto y = to_vector(n.layer(n.x));
  CHECK(y[0] == Approx(-2 / std::sqrt(3.5 + 1e-5)));  // mean 3, biased variance 3.5
  CHECK(y[1] == Approx(-15 / std::sqrt(125 + 1e-5)));
  CHECK(n.params.buffers()[0].name == "bn.running_mean");
  CHECK(n.params.buffers()[0].tensor[0] == Approx(0.3));
  CHECK(n.params.buffers()[1].tensor[0] == Approx(0.9 + 0.1 * 14.0 / 3));  // unbiased
}

TEST_CASE("nn batchnorm: with running statistics rows do not influence each other and nothing is updated", "[nn]") {
  Normalised n;
  n.params.statistics = Statistics::running;
  const auto y = to_vector(n.layer(n.x));
  CHECK(y[0] == Approx(1 / std::sqrt(1 + 1e-5)));
  CHECK(to_vector(n.layer(n.x)) == y);
  CHECK(to_vector(n.params.buffers()[0].tensor) == std::vector<double>{0, 0});
  Tape<Host> tape(n.ctx);
  CHECK_THROWS_WITH(n.layer(tape.input(n.x)), contains("running statistics are for evaluation"));
}

TEST_CASE("nn batchnorm: one row is refused", "[nn]") {
  Normalised n;
  CHECK_THROWS_WITH(n.layer(contiguous(n.x.slice(0, 1))), contains("has one row"));
}
