// Optimizer steps over flat parameter ranges: what the kernels compute.
#pragma once

#include <dino/base/math.hpp>
#include <dino/base/view.hpp>
#include <dino/device/step_state.hpp>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

namespace dino::inline DINO_ABI::kernels {

/// One tensor of a flat buffer and how this step treats it.
template <class A> struct UpdateRange {
  i64 offset, n;
  i64 count;            // AdamW: updates of the tensor, this one included
  A lr, decay;          // factors of the step's rate and weight decay
  bool adapt;           // LARS: scale by the trust ratio
  i64 first_block = 0;  // where its blocks begin among those of all ranges; PackedRanges sets it
};

/// Part of one range.
struct RangeBlock {
  i64 range, begin, end;  // elements of the flat buffer
};

/// All ranges and their blocks, in the memory of the device.
template <class A> struct RangeTable {
  static constexpr i64 block = 1 << 14;  // values of a block, at most

  const UpdateRange<A>* ranges;
  const RangeBlock* blocks;
  i64 range_count, block_count;
};

/// A table on its way to the device: what it holds, as words.
template <class A> struct PackedRanges {
  i64 range_count, block_count = 0;
  std::vector<i64> words;

  explicit PackedRanges(std::vector<UpdateRange<A>> ranges) : range_count(static_cast<i64>(ranges.size())) {
    std::vector<RangeBlock> blocks;
    for (size_t i = 0; i < ranges.size(); ++i) {
      auto& r = ranges[i];
      r.first_block = static_cast<i64>(blocks.size());
      for (i64 at = 0; at < r.n; at += RangeTable<A>::block) {
        blocks.push_back(
            {static_cast<i64>(i), r.offset + at, r.offset + std::min(r.n, at + RangeTable<A>::block)});
      }
    }
    block_count = static_cast<i64>(blocks.size());
    append(ranges);
    append(blocks);
  }
  /// The table, once the words have been copied to `memory`.
  RangeTable<A> at(const i64* memory) const {
    return {.ranges = reinterpret_cast<const UpdateRange<A>*>(memory),
            .blocks = reinterpret_cast<const RangeBlock*>(memory + words_of<UpdateRange<A>>(range_count)),
            .range_count = range_count,
            .block_count = block_count};
  }

 private:
  template <class X> static i64 words_of(i64 n) {
    static_assert(std::is_trivially_copyable_v<X> && sizeof(X) % sizeof(i64) == 0 && alignof(X) <= alignof(i64));
    return n * static_cast<i64>(sizeof(X) / sizeof(i64));
  }
  template <class X> void append(const std::vector<X>& list) {
    if (list.empty()) return;
    const size_t begin = words.size();
    words.resize(begin + static_cast<size_t>(words_of<X>(static_cast<i64>(list.size()))));
    std::memcpy(words.data() + begin, list.data(), list.size() * sizeof(X));
  }
};

// T is the type that the model computes in. What training adds up is of acc_t<T>: p are the parameters at full
// precision, the masters, and `copy` is what the model reads, the masters rounded to T. Where T is acc_t<T> the masters
// are the values of the model, and copy is null.

/// norm_i = || scale_i g + wd_i p || over range i, in two stages of fixed blocks. Where p is null ||g||, where g is
/// null ||p||.
/// scale_i = min(1, clip / (clip_norm_i + 1e-6)) when clip_norm is given and clip > 0, else 1. Here and below lr_i and
/// wd_i are the step's rate and weight decay times the factors of the range.
template <class T> struct RangeNorms {
  acc_t<T>* norm;        // (ranges)
  acc_t<T>* partial;     // (blocks of all ranges)
  const acc_t<T>*g, *p;  // flat
  RangeTable<acc_t<T>> ranges;
  StepScalar weight_decay;
  const acc_t<T>* clip_norm;  // (ranges)
  acc_t<T> clip;
};

/// Decoupled weight decay (Loshchilov and Hutter 2019), in the order of torch.optim.AdamW:
///     g = scale g;   p *= 1 - lr wd;   m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2;   p -= lr / c1 * m / (sqrt(v)
///     / sqrt(c2) + eps),     c1 = 1 - b1^t,   c2 = 1 - b2^t with the tensor's own count t
/// scale as in RangeNorms (gradient clipping per tensor).
template <class T> struct AdamW {
  acc_t<T>* p;
  T* copy;
  acc_t<T>*m, *v;
  const acc_t<T>* g;
  RangeTable<acc_t<T>> ranges;
  StepScalar lr, weight_decay;
  const acc_t<T>* clip_norm;
  acc_t<T> clip;
  double beta1, beta2, eps;
};

/// g = scale g + wd p;   buf = momentum buf + g;   p -= lr buf.
template <class T> struct Sgd {
  acc_t<T>* p;
  T* copy;
  acc_t<T>* buffer;
  const acc_t<T>* g;
  RangeTable<acc_t<T>> ranges;
  StepScalar lr, weight_decay;
  const acc_t<T>* clip_norm;
  acc_t<T> clip, momentum;
};

/// d = scale g + wd p;   where `adapt`: d *= eta ||p|| / ||d|| (1 if either is 0);   mu = momentum mu + d;   p -= lr
/// mu.
template <class T> struct Lars {
  acc_t<T>* p;
  T* copy;
  acc_t<T>* buffer;
  const acc_t<T>* g;
  RangeTable<acc_t<T>> ranges;
  StepScalar lr, weight_decay;
  const acc_t<T>*clip_norm, *p_norm, *d_norm;  // (ranges) each
  acc_t<T> clip, momentum, eta;
};

/// average = momentum average + (1 - momentum) p, over a whole flat buffer.
template <class T> struct Ema {
  acc_t<T>* average;
  T* copy;  // of the average
  const acc_t<T>* p;
  i64 n;
  StepScalar momentum;

  double bytes() const {
    return static_cast<double>(n) * static_cast<double>(3 * sizeof(acc_t<T>) + (copy ? sizeof(T) : 0));
  }
};

template <class T> void launch(Context<Cpu>&, const RangeNorms<T>&);
template <class T> void launch(Context<Cpu>&, const AdamW<T>&);
template <class T> void launch(Context<Cpu>&, const Sgd<T>&);
template <class T> void launch(Context<Cpu>&, const Lars<T>&);
template <class T> void launch(Context<Cpu>&, const Ema<T>&);
#if DINO_CUDA
template <class T> void launch(Context<Cuda>&, const RangeNorms<T>&);
template <class T> void launch(Context<Cuda>&, const AdamW<T>&);
template <class T> void launch(Context<Cuda>&, const Sgd<T>&);
template <class T> void launch(Context<Cuda>&, const Lars<T>&);
template <class T> void launch(Context<Cuda>&, const Ema<T>&);
#endif

namespace detail {

/// How AdamW corrects a moment that began at 0: 1 - beta^t.
DINO_SHARED_CODE inline double bias_correction(double beta, i64 t) { return 1 - math::power(beta, t); }

/// What clipping multiplies the gradient of a range by.
template <class A> DINO_SHARED_CODE A clip_scale(const A* norm, A clip, i64 range) {
  if (!norm || clip <= 0) return 1;
  const A scale = clip / (norm[range] + A(1e-6));
  return scale < 1 ? scale : A(1);
}

/// What LARS multiplies the step of a range by.
template <class A> DINO_SHARED_CODE A trust_ratio(bool adapt, A eta, A p_norm, A d_norm) {
  return adapt && p_norm > 0 && d_norm > 0 ? eta * p_norm / d_norm : A(1);
}

}  // namespace detail

}  // namespace dino::inline DINO_ABI::kernels

#if !(DINO_SPLIT && defined(__CUDACC__))  // split build: files for nvcc hold kernels only
#  include <dino/kernels/cpu/optimizer.hpp>
#endif
#if DINO_CUDA == 2 || (DINO_CUDA == 1 && defined(__CUDACC__) && !DINO_SPLIT)  // CUDA on host; one-file build
#  include <dino/kernels/cuda/optimizer.cuh>
#endif
