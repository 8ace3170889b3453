// Var: a value whose gradient is wanted. Tape: the linear record of ops, replayed backwards.
#pragma once

#include <dino/autograd/grad.hpp>
#include <dino/base/segments.hpp>
#include <dino/device/step_state.hpp>

#include <deque>
#include <vector>

namespace dino::inline DINO_ABI {

template <class D> class Tape;

/// A tensor on a tape. "Differentiable" is a type: ops on Tensor record nothing, ops on Var do.
template <class T, class D> struct Var {
  using Scalar = T;
  using Device = D;

  Tensor<T, D> value;
  Tape<D>* tape = nullptr;
  i64 slot = -1;  // -1: no gradient wanted (the network's input)

  const Shape& shape() const { return value.shape(); }
  i64 rows() const { return value.rows(); }
  i64 cols() const { return value.cols(); }
  Context<D>& ctx() const { return value.ctx(); }
};

/// One executed op: what its backward needs, and where its gradients go.
template <class D> class TapeRecord {
 public:
  TapeRecord() = default;
  TapeRecord(const TapeRecord&) = delete;
  TapeRecord& operator=(const TapeRecord&) = delete;
  virtual ~TapeRecord() = default;
  virtual void replay(Tape<D>& tape) = 0;
};

/// Held by the caller for one pass. Records are kept in order of execution, which is a topological order; backward()
/// replays them from the last and destroys each, so memory falls as it proceeds.
template <class D> class Tape {
 public:
  /// rng: the key from which stochastic ops of this pass derive theirs (seed and step of the run).
  explicit Tape(Context<D>& ctx, const StepKey& rng = {}, BatchWindow window = {})
      : ctx_(&ctx), rng_(rng), window_(window) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Context<D>& ctx() const { return *ctx_; }

  /// Enters a network: recorded from here on, without a gradient of its own.
  template <class T> Var<T, D> input(const Tensor<T, D>& x) { return {x, this, -1}; }
  template <class T> std::vector<Var<T, D>> input(const std::vector<Tensor<T, D>>& list) {
    std::vector<Var<T, D>> vars;
    for (const auto& x : list) vars.push_back(input(x));
    return vars;
  }
  /// A value whose gradient is read with grad() after backward().
  template <class T> Var<T, D> leaf(const Tensor<T, D>& x) { return {x, this, add_slot(x.shape())}; }

  /// Replays the tape from `y` with gradient dy, or with 1 for a loss of one element. A tape is replayed once.
  template <class T> void backward(const Var<T, D>& y, const Tensor<T, D>& dy) {
    require(y.tape == this, "backward: the value belongs to another tape");
    require(!replayed_, "backward: this tape has been replayed already");
    require(y.slot >= 0, "backward: no gradient was recorded; enter the network with tape.input(x)");
    require(dy.shape() == y.shape(), "backward: value is {}, gradient is {}", y, dy);
    replayed_ = true;
    Grad<T, D>(sink(y.slot)).accept(dy);
    while (!records_.empty()) {
      const auto record = std::move(records_.back());
      records_.pop_back();
      record->replay(*this);
    }
  }
  template <class T> void backward(const Var<T, D>& loss) {
    require(loss.value.numel() == 1, "backward: the loss is {}, expected one element", loss);
    Tensor<T, D> one(*ctx_, loss.shape());
    launch(*ctx_, kernels::Fill<T>{.y = one.data(), .n = 1, .value = from_acc<T>(1)});
    backward(loss, one);
  }

  /// The gradient of a leaf; undefined when nothing depended on it.
  template <class T> Tensor<T, D> grad(const Var<T, D>& v) const {
    require(v.tape == this && v.slot >= 0, "grad: not a leaf of this tape");
    const auto& slot = slots_[static_cast<size_t>(v.slot)];
    return slot.written ? slot.template tensor<T>() : Tensor<T, D>();
  }

  /// The key of the next stochastic op of this pass.
  StepKey next_key() {
    StepKey key = rng_;
    key.op = stochastic_ops_++;
    return key;
  }
  const BatchWindow& window() const { return window_; }

  i64 records() const { return static_cast<i64>(records_.size()); }

  // The rest is for apply() and checkpoint().
  struct RandomState {
    StepKey key;
    u64 ops;
    BatchWindow window;
  };
  RandomState random_state() const { return {rng_, stochastic_ops_, window_}; }
  void set_random_state(const RandomState& state) {
    rng_ = state.key;
    stochastic_ops_ = state.ops;
    window_ = state.window;
  }
  bool discards() const { return discards_; }
  void set_discards(bool discards) { discards_ = discards; }

  i64 add_slot(const Shape& shape) {
    slots_.emplace_back();
    slots_.back().ctx = ctx_;
    slots_.back().shape = shape;
    return static_cast<i64>(slots_.size()) - 1;
  }
  Sink<D> sink(i64 slot) { return {slot < 0 ? nullptr : &slots_[static_cast<size_t>(slot)]}; }
  void add_record(std::unique_ptr<TapeRecord<D>> record) { records_.push_back(std::move(record)); }

  /// The gradient that has arrived for a record's output, given away: undefined when there is none.
  template <class T> Tensor<T, D> take(i64 slot) {
    auto& s = slots_[static_cast<size_t>(slot)];
    if (!s.written) return {};
    auto dy = s.template tensor<T>();
    s.storage.reset();
    s.data = nullptr;
    return dy;
  }

 private:
  Context<D>* ctx_;
  StepKey rng_;
  u64 stochastic_ops_ = 0;
  BatchWindow window_;
  bool discards_ = false, replayed_ = false;
  std::deque<GradSlot<D>> slots_;  // a deque: sinks point into it while it grows
  std::vector<std::unique_ptr<TapeRecord<D>>> records_;
};

}  // namespace dino::inline DINO_ABI
