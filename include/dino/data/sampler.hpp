// The order of samples: a keyed permutation of each epoch, cut into batches. Its whole state is (epoch, step).
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/philox.hpp>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace dino::inline DINO_ABI {

/// A place in the order of batches; what a checkpoint keeps of the data.
struct Cursor {
  u64 epoch = 0;
  i64 step = 0;  // within the epoch
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// The numbers 0 to n - 1 in an order that depends on (key, index) only (Fisher-Yates; n - 1 unbiased draws).
inline std::vector<i64> permutation(i64 n, RngKey key, u64 index) {
  std::vector<i64> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), i64{0});
  RngStream rng(key, index);
  for (i64 left = n; left > 1; --left) {
    std::swap(order[static_cast<size_t>(left - 1)], order[static_cast<size_t>(rng.below(left))]);
  }
  return order;
}

/// What stands in for an image that cannot be read: number `attempt` (from 1) of a hash chain. The same on every run,
/// with any number of workers, and after a resume.
constexpr i64 replacement_index(u64 seed, u64 epoch, i64 index, i64 attempt, i64 n) {
  u64 link = mix(mix(seed, stream_of("replacement")), epoch);
  link = mix(mix(link, static_cast<u64>(index)), static_cast<u64>(attempt));
  return static_cast<i64>(link % static_cast<u64>(n));
}

/// Batches of sample numbers. Shuffled: each epoch is a permutation of (seed, epoch) and its last, incomplete batch is
/// dropped. In order: 0, 1, 2, ... and the last batch may be smaller.
class Sampler {
 public:
  /// Shuffled. Throws Error{data} when there are fewer samples than one batch needs.
  Sampler(i64 n, i64 batch, u64 seed) : Sampler(n, batch, seed, true) {
    require(n >= batch, ErrorKind::data, "{} image{} cannot fill a batch of {}. Use more images or a smaller batch", n,
            n == 1 ? "" : "s", batch);
  }

  static Sampler in_order(i64 n, i64 batch) { return Sampler(n, batch, 0, false); }

  i64 size() const { return n_; }
  i64 steps_per_epoch() const { return shuffled_ ? n_ / batch_ : (n_ + batch_ - 1) / batch_; }

  /// The sample numbers of one batch. Keeps the permutation of the epoch asked for last: 8 bytes per sample.
  std::vector<i64> batch(u64 epoch, i64 step) {
    require(step >= 0 && step < steps_per_epoch(), "sampler: step {} of {}", step, steps_per_epoch());
    const i64 begin = step * batch_, end = std::min(begin + batch_, n_);
    std::vector<i64> out(static_cast<size_t>(end - begin));
    if (!shuffled_) {
      std::iota(out.begin(), out.end(), begin);
      return out;
    }
    if (order_.empty() || epoch != order_epoch_) {
      order_ = permutation(n_, key_, epoch);
      order_epoch_ = epoch;
    }
    std::copy(order_.begin() + begin, order_.begin() + end, out.begin());
    return out;
  }

  /// The batch after this one; goes on over epochs.
  Cursor after(Cursor at) const {
    return at.step + 1 < steps_per_epoch() ? Cursor{at.epoch, at.step + 1} : Cursor{at.epoch + 1, 0};
  }

  /// The batch of a step counted from the start of training.
  Cursor at(i64 step) const {
    require(step >= 0, "sampler: step {}", step);
    return {static_cast<u64>(step / steps_per_epoch()), step % steps_per_epoch()};
  }

 private:
  Sampler(i64 n, i64 batch, u64 seed, bool shuffled)
      : n_(n), batch_(batch), key_(seed, stream_of("sampler")), shuffled_(shuffled) {
    require(batch >= 1, ErrorKind::usage, "batch size {} is not positive", batch);
    require(n >= 1, ErrorKind::data, "the data set is empty");
  }

  i64 n_, batch_;
  RngKey key_;
  bool shuffled_;
  std::vector<i64> order_;  // of order_epoch_
  u64 order_epoch_ = 0;
};

}  // namespace dino::inline DINO_ABI
