#include <dino/ops/normalize.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

TEST_CASE("normalize: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  CHECK(gradcheck([](auto x) { return normalize(x); }, randn(ctx, {5, 7}, 1)) <= 1e-6);
  // norms below eps: the divisor is the constant eps
  CHECK(gradcheck([](auto x) { return normalize(x, 100.0); }, randn(ctx, {5, 7}, 1)) <= 1e-6);
}

TEST_CASE("normalize: equals PyTorch", "[ops][golden]") {
  golden::check_op_in_both<1>("normalize", [](auto x) { return normalize(x); });
}

TEST_CASE("normalize: accumulation, views, threads", "[ops]") {
  check_accumulates({4, 7}, [](auto x) { return normalize(x); });
  check_view({4, 7}, [](auto x) { return normalize(x); });
  check_threads({{2000, 37}}, [](auto& x) { return normalize(x[0]); });
}

TEST_CASE("normalize: a zero row stays zero", "[ops]") {
  HostContext ctx(1);
  CHECK(to_vector(normalize(zeros<float>(ctx, {2, 3}))) == std::vector<float>(6, 0.f));
}
