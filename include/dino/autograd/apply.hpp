// apply<Op>: runs an op, and records it when one of its operands is a Var.
#pragma once

#include <dino/autograd/tape.hpp>

#include <tuple>

namespace dino::inline DINO_ABI {

/// An op is a struct with Attr (its settings), Saved (the whole of what backward keeps alive), and two static
/// functions:
///     Tensor forward(const Attr&, const Tensor&..., Saved* keep)                keep is null when nothing is recorded
///     void backward(Context<D>&, Saved&, const Tensor& dy, Grad<G,D>...)        one sink per operand
template <class Op>
concept DifferentiableOp = requires {
  typename Op::Attr;
  typename Op::Saved;
};

namespace detail {

template <class X> struct IsVar : std::false_type {};
template <class T, class D> struct IsVar<Var<T, D>> : std::true_type {};
template <class T, class D> struct IsVar<std::vector<Var<T, D>>> : std::true_type {};

/// A handle of a trained tensor: it knows where its gradient goes, but no tape.
template <class P>
concept ParameterLike = requires(const P& p) {
  p.value();
  p.sink();
};

template <class... Operands>
concept NotParametersAlone = (!ParameterLike<Operands> || ...);

template <class T, class D> const Tensor<T, D>& value_of(const Tensor<T, D>& x) { return x; }
template <class T, class D> const Tensor<T, D>& value_of(const Var<T, D>& x) { return x.value; }
template <ParameterLike P> auto value_of(const P& p) { return p.value(); }
template <class X> auto value_of(const std::vector<X>& list) {
  std::vector<std::decay_t<decltype(value_of(list[0]))>> values;
  for (const auto& x : list) values.push_back(value_of(x));
  return values;
}

template <class T, class D> Sink<D> sink_of(const Tensor<T, D>&) { return {}; }
template <class T, class D> Sink<D> sink_of(const Var<T, D>& x) { return x.tape->sink(x.slot); }
template <ParameterLike P> auto sink_of(const P& p) { return p.sink(); }
template <class X> auto sink_of(const std::vector<X>& list) {
  std::vector<decltype(sink_of(list[0]))> sinks;
  for (const auto& x : list) sinks.push_back(sink_of(x));
  return sinks;
}

template <class D> bool wanted(const Sink<D>& sink) { return sink.slot != nullptr; }
template <class D> bool wanted(const std::vector<Sink<D>>& sinks) {
  for (const auto& sink : sinks) {
    if (sink.slot) return true;
  }
  return false;
}

inline void find_tape(auto*&) {}
template <class D, class T, class... Rest> void find_tape(Tape<D>*& tape, const Var<T, D>& x, const Rest&... rest);
template <class D, class T, class... Rest>
void find_tape(Tape<D>*& tape, const std::vector<Var<T, D>>& list, const Rest&... rest);
template <class D, class X, class... Rest> void find_tape(Tape<D>*& tape, const X&, const Rest&... rest) {
  find_tape(tape, rest...);
}
template <class D> void join_tape(Tape<D>*& tape, Tape<D>* other) {
  require(tape == nullptr || tape == other, "apply: operands belong to different tapes");
  tape = other;
}
template <class D, class T, class... Rest> void find_tape(Tape<D>*& tape, const Var<T, D>& x, const Rest&... rest) {
  join_tape(tape, x.tape);
  find_tape(tape, rest...);
}
template <class D, class T, class... Rest>
void find_tape(Tape<D>*& tape, const std::vector<Var<T, D>>& list, const Rest&... rest) {
  for (const auto& x : list) join_tape(tape, x.tape);
  find_tape(tape, rest...);
}

template <class Op, class T, class D, class... Sinks> class OpRecord final : public TapeRecord<D> {
 public:
  typename Op::Saved saved;

  OpRecord(i64 output, Sinks... sinks) : output_(output), sinks_(std::move(sinks)...) {}

  void replay(Tape<D>& tape) override {
    const auto dy = tape.template take<T>(output_);
    if (!dy.defined()) return;  // nothing that the loss depends on used this value
    std::apply([&](const auto&... sinks) { Op::backward(tape.ctx(), saved, dy, sinks...); }, sinks_);
  }

 private:
  i64 output_;
  std::tuple<Sinks...> sinks_;
};

template <class Op, class T, class D, class... Operands>
Var<T, D> record(Tape<D>& tape, const typename Op::Attr& attr, const Operands&... operands) {
  if (tape.discards() || !(wanted<D>(sink_of(operands)) || ...)) {
    return {Op::forward(attr, value_of(operands)..., nullptr), &tape, -1};
  }
  using Entry = OpRecord<Op, T, D, decltype(sink_of(operands))...>;
  typename Op::Saved saved;
  auto y = Op::forward(attr, value_of(operands)..., &saved);
  const i64 slot = tape.add_slot(y.shape());
  auto entry = std::make_unique<Entry>(slot, sink_of(operands)...);
  entry->saved = std::move(saved);
  tape.add_record(std::move(entry));
  return {std::move(y), &tape, slot};
}

}  // namespace detail

/// Runs Op. With Tensors and parameters only, the result is a Tensor and nothing is recorded. With a Var (or a list of
/// them) among the operands, the result is a Var on the same tape. Parameters alone are no operands: they know no tape,
/// and what they give would train nothing.
template <DifferentiableOp Op, class... Operands>
requires detail::NotParametersAlone<Operands...>
auto apply(const typename Op::Attr& attr, const Operands&... operands) {
  using Out = decltype(Op::forward(attr, detail::value_of(operands)..., nullptr));
  if constexpr ((detail::IsVar<Operands>::value || ...)) {
    Tape<typename Out::Device>* tape = nullptr;
    detail::find_tape(tape, operands...);
    require(tape != nullptr, "apply: no operand is on a tape");
    return detail::record<Op, typename Out::Scalar, typename Out::Device>(*tape, attr, operands...);
  } else {
    return Op::forward(attr, detail::value_of(operands)..., nullptr);
  }
}

}  // namespace dino::inline DINO_ABI
