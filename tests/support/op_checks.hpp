// What every op must do beside being right: the same bits for any number of threads, accumulation, views.
#pragma once

#include <dino/autograd/gradcheck.hpp>
#include <dino/base/segments.hpp>
#include <dino/ops/map.hpp>

#include "support/golden.hpp"

namespace op_checks {

using namespace dino;
using Host = HostDevice;

inline HostTensor<double> randn(HostContext& ctx, const Shape& shape, u64 stream) {
  return dino::randn<double>(ctx, shape, RngKey(11, stream));
}

/// Groups of crops, each of so many images and tokens an image.
inline Segments groups(std::initializer_list<std::pair<i64, i64>> list) {
  Segments s;
  for (const auto& [images, tokens] : list) s.add(images, tokens);
  return s;
}

/// Result and gradients of f as bytes, computed with so many threads.
template <class T, class F> std::vector<std::vector<T>> run(i64 threads, const std::vector<Shape>& shapes, const F& f) {
  HostContext ctx(threads);
  Tape<Host> tape(ctx, RngKey(3, 4));
  std::vector<Var<T, Host>> x;
  for (size_t k = 0; k < shapes.size(); ++k) x.push_back(tape.leaf(dino::randn<T>(ctx, shapes[k], RngKey(5, k))));
  const auto y = f(x);
  tape.backward(y, dino::randn<T>(ctx, y.shape(), RngKey(6, 0)));
  std::vector<std::vector<T>> out{to_vector(y.value)};
  for (const auto& v : x) {
    const auto grad = tape.grad(v);
    out.push_back(grad.defined() ? to_vector(grad) : std::vector<T>{});
  }
  return out;
}

/// f takes the list of leaves. Large shapes make sure that the work is really shared.
template <class F> void check_threads(const std::vector<Shape>& shapes, const F& f) {
  const auto one = run<float>(1, shapes, f);
  CHECK(one == run<float>(2, shapes, f));
  CHECK(one == run<float>(7, shapes, f));
}

/// y = f(x) used twice: the second gradient is added to the first one.
template <class F> void check_accumulates(const Shape& shape, const F& f) {
  HostContext ctx(2);
  const auto input = randn(ctx, shape, 1);
  CHECK(gradcheck([&](auto x) { return add(f(x), scale(f(x), 2)); }, input) <= 1e-6);
  CHECK(gradcheck([&](auto x) { return add(f(add(x, x)), f(x)); }, input) <= 1e-6);
}

/// A view of columns gives the same result and gradient as its copy.
template <class F> void check_view(const Shape& shape, const F& f) {
  HostContext ctx(2);
  const auto wide = randn(ctx, {shape.rows(), shape.cols() + 3}, 2);
  const auto view = wide.columns(1, 1 + shape.cols());
  Tape<Host> tape(ctx);
  const auto a = tape.leaf(view), b = tape.leaf(clone(view));
  const auto ya = f(a);
  const auto yb = f(b);
  CHECK(to_vector(ya.value) == to_vector(yb.value));
  tape.backward(add(ya, yb), randn(ctx, ya.shape(), 3));
  CHECK(to_vector(tape.grad(a)) == to_vector(tape.grad(b)));
}

}  // namespace op_checks
