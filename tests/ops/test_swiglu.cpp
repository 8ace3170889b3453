#include <dino/ops/swiglu.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("swiglu: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const auto f = [](auto x) { return swiglu(x); };
  CHECK(gradcheck(f, randn(ctx, {1, 2}, 1)) <= 1e-6);
  CHECK(gradcheck(f, randn(ctx, {5, 14}, 2)) <= 1e-6);
  CHECK(gradcheck(f, randn(ctx, {3, 2 * 96}, 3)) <= 1e-6);
}

TEST_CASE("swiglu: equals the product of the single ops", "[ops]") {
  const auto both = [](auto& x) { return swiglu(x[0]); };
  HostContext ctx(1);
  const auto x = run<double>(2, {{4, 10}}, both);
  const auto wide = dino::randn<double>(ctx, {4, 10}, RngKey(5, 0)),
             dy = dino::randn<double>(ctx, {4, 5}, RngKey(6, 0));
  Tape<Host> tape(ctx);
  const auto gate = tape.leaf(clone(wide.columns(0, 5))), value = tape.leaf(clone(wide.columns(5, 10)));
  using Silu = ops::Map<kernels::Silu, double, Host>;
  const auto y = multiply(apply<Silu>({}, gate), value);
  tape.backward(y, dy);
  CHECK(golden::relative_error(x[0], to_vector(y.value)) <= 1e-15);
  const auto dgate = to_vector(tape.grad(gate)), dvalue = to_vector(tape.grad(value));
  std::vector<double> dx;
  for (std::ptrdiff_t r = 0; r < 4; ++r) {
    dx.insert(dx.end(), dgate.begin() + 5 * r, dgate.begin() + 5 * (r + 1));
    dx.insert(dx.end(), dvalue.begin() + 5 * r, dvalue.begin() + 5 * (r + 1));
  }
  CHECK(golden::relative_error(x[1], dx) <= 1e-15);
}

TEST_CASE("swiglu: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 6}, [](auto x) { return swiglu(x); });
  check_view({4, 6}, [](auto x) { return swiglu(x); });
  check_threads({{700, 2 * 96}}, [](auto& x) { return swiglu(x[0]); });
}

TEST_CASE("swiglu: an odd number of columns is refused", "[ops]") {
  HostContext ctx(1);
  CHECK_THROWS_WITH(swiglu(zeros<float>(ctx, {4, 7})), contains("swiglu: x is (4,7), an even number of columns"));
}
