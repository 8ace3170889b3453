// Numbers that change with every step, in the memory of the device.
#pragma once

#include <dino/base/philox.hpp>
#include <dino/device/device.hpp>

namespace dino::inline DINO_ABI {

/// What a training step changes from step to step, and nothing else: a recorded step repeats with other numbers.
struct StepValues {
  u64 step = 0;
  double lr = 0, weight_decay = 0;
  double momentum = 0;  // of the teacher's average
  double teacher_temp = 1;
};

/// A number that a kernel gets: by value, or where it finds it when it runs. Converts from a plain number.
struct StepScalar {
  double value = 0;
  const double* at = nullptr;  // in the memory of the device

  constexpr StepScalar() = default;
  constexpr StepScalar(double x) : value(x) {}  // implicit: a rate is a number to most callers
  static constexpr StepScalar read(const double* from) {
    StepScalar scalar;
    scalar.at = from;
    return scalar;
  }
  DINO_SHARED_CODE double get() const { return at ? *at : value; }
};

/// The key of a stochastic op: the op's number within the step, under the key of the step. That one is given, or made
/// from seed and stream with the step's number, which is read when the kernel runs.
struct StepKey {
  RngKey of_step;
  u64 op = 0;
  u64 seed = 0, stream = 0;
  const u64* step = nullptr;  // in the memory of the device

  StepKey() = default;
  StepKey(RngKey key) : of_step(key) {}  // implicit: tests and single passes have a key at hand
  StepKey(u64 run_seed, u64 run_stream, const u64* step_number)
      : seed(run_seed), stream(run_stream), step(step_number) {}

  DINO_SHARED_CODE RngKey get() const {
    const RngKey key = step ? RngKey(seed, mix(stream, *step)) : of_step;
    return RngKey(key.key, op);
  }
};

/// Owns a StepValues on the device; set() is one small copy, in order with the kernels.
template <class D> class StepState {
 public:
  explicit StepState(Context<D>& ctx)
      : ctx_(&ctx), values_(static_cast<StepValues*>(ctx.pool().allocate(sizeof(StepValues)))) {
    set({});
  }
  StepState(const StepState&) = delete;
  StepState& operator=(const StepState&) = delete;
  ~StepState() { ctx_->pool().release(values_); }

  void set(const StepValues& values) { ctx_->upload(values_, &values, sizeof(values)); }

  const u64* step() const { return &values_->step; }
  StepScalar lr() const { return StepScalar::read(&values_->lr); }
  StepScalar weight_decay() const { return StepScalar::read(&values_->weight_decay); }
  StepScalar momentum() const { return StepScalar::read(&values_->momentum); }
  StepScalar teacher_temp() const { return StepScalar::read(&values_->teacher_temp); }

 private:
  Context<D>* ctx_;
  StepValues* values_;
};

}  // namespace dino::inline DINO_ABI
