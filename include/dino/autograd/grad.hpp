// Where a gradient accumulates, and the lazy sink through which an op writes it.
#pragma once

#include <dino/tensor/copy.hpp>

namespace dino::inline DINO_ABI {

/// The gradient of one value: its shape, and its memory from the first write on.
/// A fixed slot is a range of a larger buffer (the gradients of a ParamStore); it keeps its memory and is never shared.
template <class D> struct GradSlot {
  Context<D>* ctx = nullptr;
  Shape shape;
  std::shared_ptr<Storage<D>> storage;
  void* data = nullptr;
  bool written = false;
  bool fixed = false;

  template <class G> Tensor<G, D> tensor() const { return {storage, static_cast<G*>(data), shape}; }
};

/// An untyped handle of a slot; null: nobody wants this gradient.
template <class D> struct Sink {
  GradSlot<D>* slot = nullptr;
};

/// The typed sink that a backward function gets for each operand.
template <class G, class D> class Grad {
 public:
  Grad(Sink<D> sink) : slot_(sink.slot) {}  // implicit: records pass untyped sinks

  bool wanted() const { return slot_ != nullptr; }

  /// Pointer and verb together: the first writer overwrites, so nothing is zeroed; the next ones add.
  /// A gradient that is shared with somebody else becomes private first.
  Target<G> open() {
    if (!slot_) return {};
    const bool add = slot_->written;
    if (!slot_->storage) {
      own(Tensor<G, D>(*slot_->ctx, slot_->shape));
    } else if (add && !slot_->fixed && slot_->storage.use_count() > 1) {
      own(clone(slot_->template tensor<G>()));
    }
    slot_->written = true;
    return {static_cast<G*>(slot_->data), add};
  }

  /// dx = dy, for ops whose gradient passes through unchanged: shared, not copied, when it is the first one.
  void accept(const Tensor<G, D>& dy) {
    if (!slot_) return;
    require(dy.numel() == slot_->shape.numel(), "gradient: {} for a value of {}", dy, slot_->shape);
    const auto x = contiguous(dy);
    if (!slot_->written && !slot_->fixed) {
      own(x);
      slot_->written = true;
      return;
    }
    launch(*slot_->ctx, kernels::Scale<G>{.out = open(), .x = x.data(), .n = x.numel(), .factor = 1});
  }

 private:
  void own(const Tensor<G, D>& x) {
    slot_->storage = x.storage();
    slot_->data = x.data();
  }

  GradSlot<D>* slot_;
};

/// The sinks of an operand that is a list.
template <class G, class D> class Grads {
 public:
  Grads(const std::vector<Sink<D>>& sinks) : sinks_(sinks) {}
  Grad<G, D> operator[](i64 i) const { return sinks_[static_cast<size_t>(i)]; }
  i64 size() const { return static_cast<i64>(sinks_.size()); }

 private:
  const std::vector<Sink<D>>& sinks_;
};

}  // namespace dino::inline DINO_ABI
