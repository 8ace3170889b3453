#include <dino/io/weights.hpp>
#include <dino/nn/param.hpp>
#include <dino/optim/ema.hpp>
#include <dino/optim/optimizer.hpp>

#include "support/catch.hpp"
#include "support/worst.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace dino;

namespace {

/// Two models of one layout, of which the first is trained.
template <class T, class D> struct Pair {
  Context<D>& ctx;
  ParamStore<T, D> student{ctx}, teacher{ctx};

  explicit Pair(Context<D>& context) : ctx(context) {
    for (auto* store : {&student, &teacher}) {
      store->add("w", {37, 11}, normal_init(1));
      store->add("frozen", {5, 1}, normal_init(1));
      store->add("w.bias", {3}, normal_init(1));
      store->segments()[1].frozen = true;
      store->add_buffer("running_mean", {3}, 0.5);
      store->finalize(4);
    }
  }
  /// Gradients of step t, the same on every device.
  void set_grads(u64 t) {
    student.clear_grads();
    for (const i64 i : {0, 2}) {
      Grad<float, D>(student.sink(i)).open();
      std::vector<float> values(static_cast<size_t>(student.grad(i).numel()));
      for (size_t k = 0; k < values.size(); ++k)
        values[k] = static_cast<float>(normal(RngKey(t, 9), static_cast<i64>(k) + 1000 * i));
      copy_from_host(student.grad(i), std::span<const float>(values));
    }
  }
  void train(const std::string& name, u64 steps) {
    Optimizer<T, D> optimizer(name, student);
    const UpdateSettings settings{.lr = 0.01, .weight_decay = 0.1, .clip = 3};
    for (u64 t = 0; t < steps; ++t) {
      set_grads(t);
      auto plan = plan_update(student, settings);
      optimizer.step(plan, settings);
      ema_update(teacher, student, 0.9);
    }
  }
};

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = worse(worst, std::abs(static_cast<double>(a[i]) - b[i]));
  return worst;
}

template <class T, class D> bool values_are_rounded_masters(const ParamStore<T, D>& store) {
  const auto masters = to_vector(store.masters());
  const auto values = to_vector(store.values());
  return std::equal(masters.begin(), masters.end(), values.begin(), values.end(),
                    [](float master, T value) { return to_acc(from_acc<T>(master)) == to_acc(value); });
}

template <class T, class D> StateDict state_of(const ParamStore<T, D>& store) {
  StateDict state;
  for (const auto& view : parameter_views(store, "", "x."))
    state.add(view.name, {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  return state;
}

}  // namespace

TEMPLATE_TEST_CASE("param: three steps on CUDA are those of the host, masters and values", "[cuda]", float, bf16) {
  for (const std::string name : {"adamw", "sgd", "lars"}) {
    INFO(name);
    HostContext host(1);
    Context<Cuda> ctx;
    Pair<TestType, HostDevice> expected(host);
    Pair<TestType, Cuda> pair(ctx);
    CHECK(to_vector(pair.student.masters()) == to_vector(expected.student.masters()));
    CHECK(values_are_rounded_masters(pair.student));
    expected.train(name, 3);
    pair.train(name, 3);
    // A few roundings of float in values of up to 4.
    CHECK(distance(to_vector(pair.student.masters()), to_vector(expected.student.masters())) <= 2e-6);
    CHECK(distance(to_vector(pair.teacher.masters()), to_vector(expected.teacher.masters())) <= 2e-6);
    CHECK(values_are_rounded_masters(pair.student));
    CHECK(values_are_rounded_masters(pair.teacher));
  }
}

TEMPLATE_TEST_CASE("param: a copy on CUDA has masters, values and buffers of its own", "[cuda]", float, bf16) {
  Context<Cuda> ctx;
  Pair<TestType, Cuda> pair(ctx);
  pair.train("sgd", 2);
  CHECK(to_vector(pair.teacher.masters()) != to_vector(pair.student.masters()));
  copy_from_host(pair.student.buffers()[0].tensor, std::span<const float>(std::vector<float>{1, 2, 3}));
  pair.teacher.copy_from(pair.student);
  CHECK(to_vector(pair.teacher.masters()) == to_vector(pair.student.masters()));
  CHECK(values_are_rounded_masters(pair.teacher));
  CHECK(to_vector(pair.teacher.buffers()[0].tensor) == std::vector<float>{1, 2, 3});
}

TEMPLATE_TEST_CASE("param: weights go from CUDA to the host and back, in float", "[cuda]", float, bf16) {
  HostContext host(1);
  Context<Cuda> ctx;
  Pair<TestType, Cuda> pair(ctx), other(ctx);
  pair.train("adamw", 2);
  const auto masters = to_vector(pair.student.masters());
  auto views = parameter_views(pair.student, "w");
  CHECK(views.size() == 2);
  const auto last = views.back();
  views.clear();
  CHECK(last.dtype == DType::F32);
  CHECK(last.name == ".bias");
  float value = 0;  // the view owns what it shows
  std::memcpy(&value, last.bytes.data() + 2 * sizeof(float), sizeof(float));
  CHECK(value == to_vector(pair.student.master(2))[2]);

  Pair<float, HostDevice> on_host(host);
  load_parameters(on_host.student, state_of(pair.student), "x.", "a.safetensors");
  CHECK(to_vector(on_host.student.values()) == masters);
  load_parameters(other.student, state_of(on_host.student), "x.", "a.safetensors");
  CHECK(to_vector(other.student.masters()) == masters);
  CHECK(values_are_rounded_masters(other.student));
}
