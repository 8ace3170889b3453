#include <dino/ops/gather.hpp>
#include <dino/ops/mlp.hpp>
#include <dino/ops/pre_norm.hpp>
#include <dino/ops/shape.hpp>

#include "support/op_checks.hpp"

using namespace dino;
using namespace op_checks;

namespace {

constexpr i64 heads = 2;
const Segments layout = groups({{2, 4}, {3, 2}});  // 14 rows

/// Shapes of the operands for rows of c values: x, the norm's, both weights with their biases.
std::vector<Shape> attention_shapes(i64 rows, i64 c) {
  return {{rows, c}, {c}, {c}, {3 * c, c}, {3 * c}, {c, c}, {c}};
}
std::vector<Shape> mlp_shapes(i64 rows, i64 c, i64 hidden) {
  return {{rows, c}, {c}, {c}, {hidden, c}, {hidden}, {c, hidden}, {c}};
}

auto attention_branch(const auto& x, double rate, const Segments& segments = layout) {
  return pre_norm_attention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], heads, segments, {1e-6, rate});
}
auto mlp_branch(const auto& x, double rate, const Segments& segments = layout) {
  return pre_norm_mlp(x[0], x[1], x[2], x[3], x[4], x[5], x[6], segments, {1e-6, rate});
}
/// The same from single ops.
auto attention_chain(const auto& x, double rate) {
  const auto qkv = linear(layernorm(x[0], x[1], x[2], 1e-6), x[3], x[4]);
  return add(x[0], drop_path(linear(attention(qkv, heads, layout), x[5], x[6]), rate, layout));
}
auto mlp_chain(const auto& x, double rate) {
  return add(x[0], drop_path(mlp(layernorm(x[0], x[1], x[2], 1e-6), x[3], x[4], x[5], x[6]), rate, layout));
}

/// With a layer scale as the last operand.
auto scaled_attention(const auto& x, double rate, const Segments& segments = layout) {
  return pre_norm_attention(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], heads, segments, {1e-6, rate});
}
auto scaled_mlp(const auto& x, double rate, const Segments& segments = layout) {
  return pre_norm_mlp(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], segments, {1e-6, rate});
}
auto scaled_swiglu(const auto& x, double rate, const Segments& segments = layout) {
  return pre_norm_swiglu(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], segments, {1e-6, rate});
}
std::vector<Shape> swiglu_shapes(i64 rows, i64 c, i64 hidden) {
  return {{rows, c}, {c}, {c}, {2 * hidden, c}, {2 * hidden}, {c, hidden}, {c}};
}
std::vector<Shape> with_scale(std::vector<Shape> shapes) {
  shapes.push_back({shapes[0].cols()});
  return shapes;
}
/// y = x + drop(gamma * branch) by single ops: gamma as a row of a table that is gathered for each row of x.
auto add_scaled(const auto& x, const auto& branch, double rate) {
  const std::vector<i64> every(static_cast<size_t>(x[0].rows()), 0);
  return add(x[0], drop_path(multiply(gather(reshape(x[7], {1, x[7].cols()}), every), branch), rate, layout));
}
auto scaled_attention_chain(const auto& x, double rate) {
  const auto qkv = linear(layernorm(x[0], x[1], x[2], 1e-6), x[3], x[4]);
  return add_scaled(x, linear(attention(qkv, heads, layout), x[5], x[6]), rate);
}
auto scaled_mlp_chain(const auto& x, double rate) {
  return add_scaled(x, mlp(layernorm(x[0], x[1], x[2], 1e-6), x[3], x[4], x[5], x[6]), rate);
}
auto scaled_swiglu_chain(const auto& x, double rate) {
  const auto hidden = linear(layernorm(x[0], x[1], x[2], 1e-6), x[3], x[4]);
  return add_scaled(x, linear(swiglu(hidden), x[5], x[6]), rate);
}

void check_equal(const std::vector<std::vector<double>>& branch, const std::vector<std::vector<double>>& chain) {
  REQUIRE(branch.size() == chain.size());
  for (size_t k = 0; k < branch.size(); ++k) {
    REQUIRE(branch[k].size() == chain[k].size());
    REQUIRE(!branch[k].empty());
    for (size_t i = 0; i < branch[k].size(); ++i) {
      const double difference = std::abs(branch[k][i] - chain[k][i]);
      if (!(difference <= 1e-12 * (1 + std::abs(chain[k][i])))) FAIL("operand " << k << ", element " << i);
    }
  }
}

/// f of the operands as a list, for gradcheck, which takes them one by one.
template <class F> auto of_seven(const F& f) {
  return [f](auto x, auto gamma, auto beta, auto w_in, auto b_in, auto w_out, auto b_out) {
    return f(std::vector{x, gamma, beta, w_in, b_in, w_out, b_out});
  };
}

}  // namespace

TEST_CASE("pre_norm: result and all gradients are those of the single ops, dropped or not", "[ops]") {
  const double rate = GENERATE(0.0, 0.5);
  check_equal(run<double>(2, attention_shapes(14, 6), [&](auto& x) { return attention_branch(x, rate); }),
              run<double>(2, attention_shapes(14, 6), [&](auto& x) { return attention_chain(x, rate); }));
  check_equal(run<double>(2, mlp_shapes(14, 6, 11), [&](auto& x) { return mlp_branch(x, rate); }),
              run<double>(2, mlp_shapes(14, 6, 11), [&](auto& x) { return mlp_chain(x, rate); }));
  check_equal(run<double>(2, mlp_shapes(14, 6, 6), [&](auto& x) { return mlp_branch(x, rate); }),
              run<double>(2, mlp_shapes(14, 6, 6), [&](auto& x) { return mlp_chain(x, rate); }));
}

TEST_CASE("pre_norm: with a layer scale too, all gradients are those of the single ops", "[ops]") {
  const double rate = GENERATE(0.0, 0.5);
  const auto check = [&](const std::vector<Shape>& shapes, const auto& branch, const auto& chain) {
    check_equal(run<double>(2, with_scale(shapes), [&](auto& x) { return branch(x, rate); }),
                run<double>(2, with_scale(shapes), [&](auto& x) { return chain(x, rate); }));
  };
  check(
      attention_shapes(14, 6), [](auto& x, double r) { return scaled_attention(x, r); },
      [](auto& x, double r) { return scaled_attention_chain(x, r); });
  check(
      mlp_shapes(14, 6, 11), [](auto& x, double r) { return scaled_mlp(x, r); },
      [](auto& x, double r) { return scaled_mlp_chain(x, r); });
  check(
      swiglu_shapes(14, 6, 11), [](auto& x, double r) { return scaled_swiglu(x, r); },
      [](auto& x, double r) { return scaled_swiglu_chain(x, r); });
}

TEST_CASE("pre_norm: each gradient alone is the one of all together, with a layer scale", "[ops]") {
  HostContext ctx(2);
  const auto shapes = with_scale(swiglu_shapes(14, 6, 5));
  const auto dy = randn(ctx, {14, 6}, 99);
  const double rate = GENERATE(0.0, 0.5);
  const auto gradients = [&](i64 only) {
    Tape<Host> tape(ctx, RngKey(3, 4));
    std::vector<Var<double, Host>> x;
    for (size_t k = 0; k < shapes.size(); ++k) {
      const auto value = randn(ctx, shapes[k], k);
      x.push_back(only < 0 || only == static_cast<i64>(k) ? tape.leaf(value) : tape.input(value));
    }
    tape.backward(scaled_swiglu(x, rate), clone(dy));
    std::vector<std::vector<double>> out(shapes.size());
    for (size_t k = 0; k < shapes.size(); ++k) {
      if (only < 0 || only == static_cast<i64>(k)) out[k] = to_vector(tape.grad(x[k]));
    }
    return out;
  };
  const auto all = gradients(-1);
  for (size_t k = 0; k < shapes.size(); ++k) CHECK(gradients(static_cast<i64>(k))[k] == all[k]);
}

TEST_CASE("pre_norm: branch after branch, and x used beside them", "[ops]") {
  const auto both = [](const auto& attention_of, const auto& mlp_of) {
    return [&](auto& x) {
      auto y = x;
      y[0] = attention_of(std::vector(x.begin(), x.begin() + 7));
      auto z = std::vector(x.begin() + 7, x.end());
      z.insert(z.begin(), y[0]);
      return add(add(mlp_of(z), x[0]), scale(y[0], 3));  // gradients arrive before and beside those of the branches
    };
  };
  auto shapes = attention_shapes(14, 6);
  const auto more = mlp_shapes(14, 6, 11);
  shapes.insert(shapes.end(), more.begin() + 1, more.end());
  const auto fused_attention = [](const auto& x) { return attention_branch(x, 0); };
  const auto fused_mlp = [](const auto& x) { return mlp_branch(x, 0); };
  const auto chain_attention = [](const auto& x) { return attention_chain(x, 0); };
  const auto chain_mlp = [](const auto& x) { return mlp_chain(x, 0); };
  check_equal(run<double>(2, shapes, both(fused_attention, fused_mlp)),
              run<double>(2, shapes, both(chain_attention, chain_mlp)));
}

TEST_CASE("pre_norm: gradients match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const double rate = GENERATE(0.0, 0.5);
  const auto check = [&](const auto& f, const std::vector<Shape>& shapes) {
    const auto x = [&](u64 k) { return randn(ctx, shapes[k], k); };
    return gradcheck(of_seven(f), x(0), x(1), x(2), x(3), x(4), x(5), x(6));
  };
  CHECK(check([&](const auto& x) { return attention_branch(x, rate); }, attention_shapes(14, 4)) <= 1e-6);
  CHECK(check([&](const auto& x) { return mlp_branch(x, rate); }, mlp_shapes(14, 4, 7)) <= 1e-6);
}

TEST_CASE("pre_norm: gradients with a layer scale match central differences", "[ops][gradcheck]") {
  HostContext ctx(2);
  const double rate = GENERATE(0.0, 0.5);
  const auto check = [&](const auto& f, const std::vector<Shape>& list) {
    const auto shapes = with_scale(list);
    const auto x = [&](u64 k) { return randn(ctx, shapes[k], k); };
    const auto of_eight = [&](auto... operands) { return f(std::vector{operands...}); };
    return gradcheck(of_eight, x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7));
  };
  CHECK(check([&](const auto& x) { return scaled_attention(x, rate); }, attention_shapes(14, 4)) <= 1e-6);
  CHECK(check([&](const auto& x) { return scaled_mlp(x, rate); }, mlp_shapes(14, 4, 7)) <= 1e-6);
  CHECK(check([&](const auto& x) { return scaled_swiglu(x, rate); }, swiglu_shapes(14, 4, 3)) <= 1e-6);
}

TEST_CASE("pre_norm: without a layer scale a gated branch is its single ops as well", "[ops]") {
  HostContext ctx(2);
  std::vector<HostTensor<double>> x;
  for (const auto& shape : swiglu_shapes(14, 6, 5)) x.push_back(randn(ctx, shape, x.size()));
  const auto hidden = linear(layernorm(x[0], x[1], x[2], 1e-6), x[3], x[4]);
  const auto expected = add(x[0], linear(swiglu(hidden), x[5], x[6]));
  const HostTensor<double> none;
  const auto y = pre_norm_swiglu(x[0], x[1], x[2], x[3], x[4], x[5], x[6], none, layout, {1e-6, 0.0});
  CHECK(golden::relative_error(to_vector(y), to_vector(expected)) <= 1e-14);
}

TEST_CASE("pre_norm: a tensor gets the same numbers as a variable, and nothing is dropped", "[ops]") {
  HostContext ctx(2);
  const auto values = [&](const std::vector<Shape>& shapes) {
    std::vector<HostTensor<double>> x;
    for (size_t k = 0; k < shapes.size(); ++k) x.push_back(randn(ctx, shapes[k], k));
    return x;
  };
  const auto on_tape = [&](const auto& x, const auto& f) {
    Tape<Host> tape(ctx);
    return to_vector(f(tape.input(x)).value);
  };
  const auto a = values(attention_shapes(14, 6)), m = values(mlp_shapes(14, 6, 11));
  CHECK(to_vector(attention_branch(a, 0.5)) == on_tape(a, [](const auto& x) { return attention_branch(x, 0); }));
  CHECK(to_vector(mlp_branch(m, 0.5)) == on_tape(m, [](const auto& x) { return mlp_branch(x, 0); }));
}

TEST_CASE("pre_norm: the same bits for any number of threads", "[ops]") {
  const auto large = groups({{20, 37}});
  check_threads(attention_shapes(740, 48), [&](auto& x) { return attention_branch(x, 0, large); });
  check_threads(mlp_shapes(740, 48, 96), [&](auto& x) { return mlp_branch(x, 0, large); });
  check_threads(with_scale(swiglu_shapes(740, 48, 64)), [&](auto& x) { return scaled_swiglu(x, 0, large); });
}

TEST_CASE("pre_norm: views of columns", "[ops]") {
  HostContext ctx(1);
  const auto operand = [&](const std::vector<Shape>& shapes, const auto& first) {
    std::vector x{first};
    Tape<Host>& tape = *first.tape;
    for (size_t k = 1; k < shapes.size(); ++k) x.push_back(tape.leaf(randn(ctx, shapes[k], k)));
    return x;
  };
  check_view({14, 6}, [&](auto x) { return attention_branch(operand(attention_shapes(14, 6), x), 0); });
  check_view({14, 6}, [&](auto x) { return mlp_branch(operand(mlp_shapes(14, 6, 11), x), 0); });
}

TEST_CASE("pre_norm: shapes that do not fit are named", "[ops]") {
  HostContext ctx(1);
  const auto z = [&](const std::vector<Shape>& shapes) {
    std::vector<HostTensor<float>> x;
    for (const auto& s : shapes) x.push_back(zeros<float>(ctx, s));
    return x;
  };
  auto shapes = mlp_shapes(14, 6, 11);
  shapes[5] = {6, 10};
  CHECK_THROWS_WITH(mlp_branch(z(shapes), 0), contains("11 values a row for a weight (6,10)"));
  shapes = mlp_shapes(14, 6, 11);
  shapes[3] = {11, 5};
  CHECK_THROWS_WITH(mlp_branch(z(shapes), 0), contains("x is (14,6), weights are (11,5) and (6,11)"));
  shapes = mlp_shapes(14, 6, 11);
  shapes[1] = {5};
  CHECK_THROWS_WITH(mlp_branch(z(shapes), 0), contains("gamma is (5)"));
  CHECK_THROWS_WITH(attention_branch(z(attention_shapes(13, 6)), 0), contains("qkv is (13,18) for 2 heads and 14"));
  shapes = with_scale(swiglu_shapes(14, 6, 11));
  shapes[7] = {5};
  CHECK_THROWS_WITH(scaled_swiglu(z(shapes), 0), contains("layer scale: x is (14,6), gamma is (5)"));
  Tape<Host> tape(ctx);
  const auto x = tape.input(z(mlp_shapes(13, 6, 11)));
  CHECK_THROWS_WITH(mlp_branch(x, 0.5), contains("x is (13,6), 14 tokens expected"));
  CHECK_THROWS_WITH(mlp_branch(x, 1), contains("rate 1 is outside"));
}
