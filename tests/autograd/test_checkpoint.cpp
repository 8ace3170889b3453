#include <dino/autograd/checkpoint.hpp>
#include <dino/nn/param.hpp>
#include <dino/ops/drop_path.hpp>
#include <dino/ops/linear.hpp>
#include <dino/ops/map.hpp>
#include <dino/ops/reduce.hpp>

#include "support/golden.hpp"

using namespace dino;
using Host = HostDevice;

namespace {
constexpr i64 images = 12, width = 5;

/// A small network with parameters and drop path, whose middle is checkpointed or not.
struct Network {
  ParamStore<float, Host> params;
  Parameter<float, Host> first, second, last;
  Segments segments;

  explicit Network(HostContext& ctx)
      : params(ctx),
        first(Scope(params).param("first", {width, width}, normal_init(0.5))),
        second(Scope(params).param("second", {width, width}, normal_init(0.5))),
        last(Scope(params).param("last", {width, width}, normal_init(0.5))) {
    params.finalize(3);
    segments.add(images, 2);
  }

  auto block(const auto& x) const {
    const auto inside = [this](const auto& v) { return drop_path(gelu(linear(v, second)), 0.3, segments); };
    return add(x, drop_path(linear(gelu(inside(x)), first), 0.4, segments));  // first is used outside as well
  }
  auto nested(const auto& x) const {
    const auto part = [this](const auto& v) { return drop_path(gelu(linear(v, second)), 0.3, segments); };
    return add(x, drop_path(linear(gelu(checkpoint(part, x)), first), 0.4, segments));
  }

  enum class Mode { plain, checkpointed, nested };

  /// Result, gradient of the input, gradients of all parameters.
  std::vector<std::vector<float>> run(Mode mode, BatchWindow window = {}) {
    auto& ctx = params.ctx();
    params.clear_grads();
    Tape<Host> tape(ctx, RngKey(5, 6), window);
    const auto x = tape.leaf(randn<float>(ctx, {2 * images, width}, RngKey(1, 1)));
    const auto before = drop_path(linear(x, first), 0.2, segments);
    const auto middle = mode == Mode::plain          ? block(before)
                        : mode == Mode::checkpointed ? checkpoint([this](const auto& v) { return block(v); }, before)
                                                     : checkpoint([this](const auto& v) { return nested(v); }, before);
    const auto after = drop_path(linear(middle, last), 0.2, segments);  // keys go on where the stretch ended
    const auto y = add(after, scale(before, 2));
    tape.backward(y, randn<float>(ctx, y.shape(), RngKey(1, 2)));
    std::vector<std::vector<float>> out{to_vector(y.value), to_vector(tape.grad(x))};
    for (i64 i = 0; i < 3; ++i) out.push_back(to_vector(params.grad(i)));
    return out;
  }
};
using Mode = Network::Mode;
}  // namespace

TEST_CASE("checkpoint: the same result, gradients and masks, also nested and inside a larger graph", "[autograd]") {
  HostContext ctx(2);
  Network network(ctx);
  const auto plain = network.run(Mode::plain);
  for (const auto mode : {Mode::checkpointed, Mode::nested}) {
    const auto out = network.run(mode);
    CHECK(out[0] == plain[0]);
    // The stretch adds up its own gradients before they meet the others: another order of a few additions.
    for (size_t i = 1; i < plain.size(); ++i) CHECK(golden::relative_error(out[i], plain[i]) <= 1e-6);
  }
}

TEST_CASE("checkpoint: the window of a micro-batch is kept for the second run", "[autograd]") {
  HostContext ctx(1);
  Network network(ctx);
  const BatchWindow window{.images = images / 2, .batch = images, .first = 3};
  const auto plain = network.run(Mode::plain, window);
  const auto out = network.run(Mode::checkpointed, window);
  CHECK(out[0] == plain[0]);
  for (size_t i = 1; i < plain.size(); ++i) CHECK(golden::relative_error(out[i], plain[i]) <= 1e-6);
  CHECK(network.run(Mode::plain)[0] != plain[0]);
}

TEST_CASE("checkpoint: a stretch keeps its input only", "[autograd]") {
  HostContext ctx(1);
  const auto stretch = [](auto v) {
    for (int layer = 0; layer < 6; ++layer) v = gelu(v);
    return v;
  };
  const auto x = randn<float>(ctx, {1000}, RngKey(1, 1));
  const i64 block = ctx.pool().live_bytes();
  const auto live = [&](auto run) {
    Tape<Host> tape(ctx);
    const auto y = run(tape.leaf(x));
    const i64 bytes = ctx.pool().live_bytes() - block;
    CHECK(tape.records() > 0);
    return bytes;
  };
  CHECK(live(stretch) == 6 * block);
  CHECK(live([&](auto v) { return checkpoint(stretch, v); }) == block);  // its result
}

TEST_CASE("checkpoint: a chain of stretches has a lower peak", "[autograd]") {
  HostContext ctx(1);
  const auto stretch = [](auto v) {
    for (int layer = 0; layer < 4; ++layer) v = gelu(v);
    return v;
  };
  const auto x = randn<float>(ctx, {5000}, RngKey(1, 1));
  const auto peak = [&](auto step) {
    ctx.pool().reset_peak();
    Tape<Host> tape(ctx);
    const auto leaf = tape.leaf(x);
    auto y = leaf;
    for (int block = 0; block < 4; ++block) y = step(y);
    const auto loss = sum(y);
    y = {};
    tape.backward(loss);
    return std::pair(to_vector(tape.grad(leaf)), ctx.pool().peak_bytes());
  };
  const auto plain = peak(stretch), checkpointed = peak([&](auto v) { return checkpoint(stretch, v); });
  CHECK(checkpointed.first == plain.first);
  CHECK(checkpointed.second < plain.second * 2 / 3);
}

TEST_CASE("checkpoint: a network's input needs no gradient, the parameters behind it do", "[autograd]") {
  HostContext ctx(1);
  Network network(ctx);
  const auto run = [&](bool recompute) {
    network.params.clear_grads();
    Tape<Host> tape(ctx);
    const auto x = tape.input(randn<float>(ctx, {2 * images, width}, RngKey(1, 1)));
    const auto fn = [&](const auto& v) { return gelu(linear(v, network.last)); };
    tape.backward(sum(recompute ? checkpoint(fn, x) : fn(x)));
    return to_vector(network.params.grad(2));
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("checkpoint: a stretch that stops the gradient of its input trains its parameters", "[autograd]") {
  HostContext ctx(1);
  Network network(ctx);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(randn<float>(ctx, {2 * images, width}, RngKey(1, 1)));
  const auto fn = [&](const auto& v) { return linear(v.tape->input(v.value), network.last); };
  tape.backward(sum(checkpoint(fn, x)));
  CHECK_FALSE(tape.grad(x).defined());
  CHECK(network.params.has_grad(2));
}

TEST_CASE("checkpoint: on a Tensor it is the function itself", "[autograd]") {
  HostContext ctx(1);
  const auto x = randn<float>(ctx, {4}, RngKey(1, 1));
  const auto y = checkpoint([](const auto& v) { return gelu(v); }, x);
  CHECK(std::is_same_v<decltype(y), const HostTensor<float>>);
  CHECK(to_vector(y) == to_vector(gelu(x)));
}

TEST_CASE("checkpoint: after an exception the tape records again", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(randn<float>(ctx, {4}, RngKey(1, 1)));
  const auto failing = [](const Var<float, Host>&) -> Var<float, Host> { throw Error(ErrorKind::data, "no"); };
  CHECK_THROWS_WITH(checkpoint(failing, x), "no");
  CHECK_FALSE(tape.discards());
  tape.backward(sum(x));
  CHECK(to_vector(tape.grad(x)) == std::vector<float>(4, 1.f));
}

TEST_CASE("checkpoint: the values of another stretch belong to another tape", "[autograd]") {
  HostContext ctx(1);
  Tape<Host> tape(ctx);
  const auto x = tape.leaf(randn<float>(ctx, {4}, RngKey(1, 1))), other = tape.leaf(x.value);
  const auto y = checkpoint([&](const auto& v) { return multiply(v, other); }, x);  // other is no argument
  CHECK_THROWS_WITH(tape.backward(sum(y)), "apply: operands belong to different tapes");
}
