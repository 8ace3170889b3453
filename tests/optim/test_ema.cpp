#include <dino/optim/ema.hpp>

#include "support/golden.hpp"

#include <cmath>

using namespace dino;
using Host = HostDevice;

namespace {

template <class T> void build(ParamStore<T, Host>& store, double value) {
  store.add("w", {2, 3}, {Init::Kind::constant, value});
  store.add("g", {5}, {Init::Kind::constant, value});
  store.segments()[1].frozen = true;
  store.add_buffer("running_mean", {2}, value);
  store.finalize(0);
}

}  // namespace

TEST_CASE("ema: average = m average + (1 - m) model, frozen parameters too, buffers not", "[optim]") {
  HostContext ctx(1);
  ParamStore<double, Host> average(ctx), model(ctx);
  build(average, 1);
  build(model, 3);
  ema_update(average, model, 0.9);
  CHECK(golden::relative_error(to_vector(average.value(0)), std::vector<double>(6, 1.2)) <= 1e-15);
  CHECK(golden::relative_error(to_vector(average.value(1)), std::vector<double>(5, 1.2)) <= 1e-15);
  CHECK(to_vector(average.buffers()[0].tensor) == std::vector<double>{1, 1});
  CHECK(to_vector(model.value(0)) == std::vector<double>(6, 3.0));
}

TEST_CASE("ema: momentum 1 keeps the average, momentum 0 copies the model", "[optim]") {
  HostContext ctx(1);
  ParamStore<double, Host> average(ctx), model(ctx);
  build(average, 0.1);
  build(model, 0.7);
  ema_update(average, model, 1);
  CHECK(average.value(0)[0] == 0.1);
  ema_update(average, model, 0);
  CHECK(average.value(0)[0] == 0.7);
}

TEST_CASE("ema: 16-bit teachers average masters, and read them rounded", "[optim]") {
  HostContext ctx(1);
  ParamStore<bf16, Host> average(ctx), model(ctx);
  build(average, 1);
  build(model, 3);
  for (int i = 0; i < 10; ++i) ema_update(average, model, 0.999);  // 2e-3 each: half of the last place of 1
  const double expected = 3 - 2 * std::pow(0.999, 10);
  const auto masters = to_vector(average.master(0));
  CHECK(masters[5] == Approx(expected).epsilon(1e-6));
  CHECK(to_vector(average.value(0))[5].bits == to_bf16(masters[5]).bits);
  CHECK(to_acc(to_vector(average.value(1))[4]) == to_acc(to_bf16(static_cast<float>(expected))));
  CHECK(to_acc(to_vector(model.value(0))[0]) == 3);
}

TEST_CASE("ema: stores of different sizes are refused", "[optim]") {
  HostContext ctx(1);
  ParamStore<double, Host> average(ctx), model(ctx);
  build(average, 1);
  model.add("w", {1000}, ones_init);
  model.finalize(0);
  CHECK_THROWS_WITH(ema_update(average, model, 0.9), "ema: stores of 128 and 1024 values");
}
