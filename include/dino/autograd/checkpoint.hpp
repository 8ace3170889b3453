// Recomputing a stretch of a network in backward instead of keeping it.
#pragma once

#include <dino/autograd/apply.hpp>

namespace dino::inline DINO_ABI {

namespace detail {

template <class F, class T, class D> class CheckpointRecord final : public TapeRecord<D> {
 public:
  CheckpointRecord(i64 output, const F& fn, const Var<T, D>& x, const typename Tape<D>::RandomState& random)
      : output_(output), fn_(fn), x_(x.value), dx_(x.tape->sink(x.slot)), random_(random) {}

  void replay(Tape<D>& tape) override {
    auto dy = tape.template take<T>(output_);
    if (!dy.defined()) return;
    Tape<D> inner(tape.ctx());
    inner.set_random_state(random_);
    const auto x = dx_.slot ? inner.leaf(x_) : inner.input(x_);
    const auto y = fn_(x);
    if (y.slot < 0) return;
    inner.backward(y, dy);
    if (!dx_.slot) return;
    if (const auto dx = inner.grad(x); dx.defined()) Grad<T, D>(dx_).accept(dx);  // fn may stop the gradient
  }

 private:
  i64 output_;
  F fn_;
  Tensor<T, D> x_;
  Sink<D> dx_;
  typename Tape<D>::RandomState random_;
};

}  // namespace detail

/// y = fn(x), keeping x only: backward runs fn again on a tape of its own, with the same random keys, so masks agree.
/// fn takes and returns a Var (a Tensor when x is one) and is copied; parameters that it uses get their gradients.
template <class F, class T, class D> Tensor<T, D> checkpoint(const F& fn, const Tensor<T, D>& x) { return fn(x); }

template <class F, class T, class D> Var<T, D> checkpoint(const F& fn, const Var<T, D>& x) {
  Tape<D>& tape = *x.tape;
  if (tape.discards()) return fn(x);
  const auto random = tape.random_state();
  tape.set_discards(true);
  Tensor<T, D> y;
  try {
    y = fn(x).value;
  } catch (...) {
    tape.set_discards(false);
    throw;
  }
  tape.set_discards(false);
  const i64 slot = tape.add_slot(y.shape());
  tape.add_record(std::make_unique<detail::CheckpointRecord<F, T, D>>(slot, fn, x, random));
  return {y, &tape, slot};
}

}  // namespace dino::inline DINO_ABI
