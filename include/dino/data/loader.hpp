// Batches of crops, made ahead of time by worker threads, in an order and with contents that no thread count changes.
#pragma once

#include <dino/base/log.hpp>
#include <dino/data/dataset.hpp>
#include <dino/data/sampler.hpp>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace dino::inline DINO_ABI {

/// What the loader needs to make crops. groups(): one {crops, height, width} per size of crop. write(): crop number
/// `crop`, counted over all groups, as (3,height,width) planes; a function of its arguments, called from several
/// threads.
template <class F>
concept CropTransform = requires(const F& f, const Image& image, float* out) {
  { f.groups()[0].crops + f.groups()[0].height + f.groups()[0].width } -> std::convertible_to<i64>;
  { f.groups().size() } -> std::convertible_to<size_t>;
  f.write(image, u64{}, i64{}, i64{}, out);
};

/// One step of data. groups[g]: (crops * images,3,height,width), crop-major: crop c of image b is row c * images + b.
struct Batch {
  i64 images = 0;
  std::vector<std::vector<float>> groups;
  std::vector<i64> indices, labels;  // of the images used, replacements included; label -1: none
  u64 epoch = 0;
  i64 step = 0;             // within the epoch
  double wait_seconds = 0;  // that the caller waited for this batch
  i64 bad_samples = 0;      // images that could not be read on the way to this batch
};

/// An image that could not be read.
struct BadSample {
  i64 index = 0;
  std::string name, reason;
  u64 epoch = 0;
  i64 step = 0;
};

struct LoaderOptions {
  i64 batch = 64;  // images per step, over all ranks
  u64 seed = 42;
  bool shuffle = true;                           // false: in order, and the last batch of an epoch may be smaller
  i64 workers = 0;                               // threads; 0: the work is done inside next()
  i64 prefetch = 2;                              // batches made ahead; each takes the memory of one batch
  Cursor start;                                  // first batch, for resuming
  i64 rank = 0, ranks = 1;                       // this process gets an equal share of every batch
  double max_bad_fraction = 0.001;               // of the data set; 10 images are always allowed
  std::function<void(const BadSample&)> on_bad;  // called in next(), once per image
};

/// Endless batches. Values depend on (seed, epoch, sample, crop) alone: not on workers, prefetch, or where it started.
/// An image that cannot be read (Error{data} from the data set) is replaced by the next index of a hash chain, logged
/// with its name, and counted. next() throws Error{data} when more different images are bad than the budget allows; any
/// other exception of a worker reaches the caller of next() with the name of the image, after which the loader is of no
/// use.
/// Each image is read once per step and all its crops are taken from it.
template <CropTransform Transform> class Loader {
 public:
  Loader(AnyDataset dataset, Transform transform, LoaderOptions options)
      : dataset_(std::move(dataset)),
        transform_(std::move(transform)),
        options_(std::move(options)),
        sampler_(make_sampler(dataset_, options_)),
        ahead_(options_.start),
        position_(options_.start),
        slots_(static_cast<size_t>(options_.workers > 0 ? options_.prefetch + 1 : 1)) {
    for (const auto& group : transform_.groups()) {
      const i64 height = static_cast<i64>(group.height), width = static_cast<i64>(group.width);
      groups_.push_back({static_cast<i64>(group.crops), 3 * height * width});
    }
    require(options_.start.step >= 0 && options_.start.step < steps_per_epoch(), "loader: start at step {} of {}",
            options_.start.step, steps_per_epoch());
    open_slots();
    start_threads();
  }

  ~Loader() { stop(); }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  i64 steps_per_epoch() const { return sampler_.steps_per_epoch(); }
  const AnyDataset& dataset() const { return dataset_; }
  const Transform& transform() const { return transform_; }

  /// The batch that the coming next() returns; store it in a checkpoint and pass it as `start` to go on.
  Cursor position() const { return position_; }

  /// All images found bad so far, in the order of the batches that met them.
  const std::vector<BadSample>& bad() const { return bad_; }

  /// The next batch. It stays valid until next() is called again, when its buffers are used for a later one.
  const Batch& next() {
    const auto before = std::chrono::steady_clock::now();
    open_slots();
    Slot& slot = slots_[delivered_ % slots_.size()];
    if (threads_.empty()) {
      while (slot.remaining > 0) {
        fill(slot, slot.batch.images - slot.remaining, -1);
        --slot.remaining;
      }
    } else {
      std::unique_lock lock(mutex_);
      batch_ready_.wait(lock, [&] { return slot.remaining == 0; });
    }
    slot.batch.wait_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    report(slot);
    if (slot.failure) std::rethrow_exception(slot.failure);
    ++delivered_;
    position_ = sampler_.after(position_);
    return slot.batch;
  }

 private:
  static constexpr i64 max_attempts = 64;  // replacements for one place of a batch

  struct Group {
    i64 crops, values;  // values of one crop
  };

  struct Slot {
    Batch batch;
    i64 taken = 0;                               // images handed to a worker
    i64 remaining = 0;                           // images not finished
    std::vector<std::pair<i64, BadSample>> bad;  // with the place in the batch
    std::exception_ptr failure;                  // of the first place that failed
    i64 failed_at = std::numeric_limits<i64>::max();
  };

  static Sampler make_sampler(const AnyDataset& dataset, const LoaderOptions& o) {
    require(o.workers >= 0 && o.prefetch >= 1, ErrorKind::usage, "loader: {} workers, {} batches ahead", o.workers,
            o.prefetch);
    require(o.ranks >= 1 && o.rank >= 0 && o.rank < o.ranks, "loader: rank {} of {}", o.rank, o.ranks);
    require(o.ranks == 1 || (o.shuffle && o.batch % o.ranks == 0), ErrorKind::usage,
            "batch size {} cannot be shared equally by {} processes", o.batch, o.ranks);
    return o.shuffle ? Sampler(dataset.size(), o.batch, o.seed) : Sampler::in_order(dataset.size(), o.batch);
  }

  /// Prepares every free slot for the batches ahead. No worker looks at a slot before opened_ is raised.
  void open_slots() {
    while (opened_ - delivered_ < slots_.size()) {
      prepare(slots_[opened_ % slots_.size()]);
      {
        const std::lock_guard lock(mutex_);
        ++opened_;
      }
      work_ready_.notify_all();
    }
  }

  void prepare(Slot& slot) {
    auto all = sampler_.batch(ahead_.epoch, ahead_.step);
    const i64 share = static_cast<i64>(all.size()) / options_.ranks;
    Batch& batch = slot.batch;
    batch.indices.assign(all.begin() + options_.rank * share, all.begin() + (options_.rank + 1) * share);
    batch.images = share;
    batch.labels.assign(static_cast<size_t>(share), -1);
    batch.epoch = ahead_.epoch;
    batch.step = ahead_.step;
    batch.bad_samples = 0;
    batch.groups.resize(groups_.size());
    for (size_t g = 0; g < groups_.size(); ++g) {
      batch.groups[g].resize(static_cast<size_t>(groups_[g].crops * share * groups_[g].values));
    }
    slot.taken = 0;
    slot.remaining = share;
    slot.bad.clear();
    slot.failure = nullptr;
    slot.failed_at = std::numeric_limits<i64>::max();
    ahead_ = sampler_.after(ahead_);
  }

  void start_threads() {
    try {
      for (i64 w = 0; w < options_.workers; ++w) threads_.emplace_back([this, w] { work(w); });
    } catch (const std::system_error& e) {
      const auto started = threads_.size();
      stop();
      fail(ErrorKind::resources, "cannot start loader worker {} of {}: {}. Use fewer workers", started + 1,
           options_.workers, e.what());
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  void work(i64 worker) {
    std::unique_lock lock(mutex_);
    while (true) {
      work_ready_.wait(lock, [&] { return stop_ || taking_ < opened_; });
      if (stop_) return;
      Slot& slot = slots_[taking_ % slots_.size()];
      const i64 place = slot.taken++;
      if (slot.taken == slot.batch.images) ++taking_;
      lock.unlock();
      fill(slot, place, worker);
      lock.lock();
      if (--slot.remaining == 0) batch_ready_.notify_one();
    }
  }

  /// Makes all crops of one image. Never throws: what goes wrong is kept in the slot.
  void fill(Slot& slot, i64 place, i64 worker) {
    try {
      const Sample sample = read(slot, place);
      slot.batch.labels[static_cast<size_t>(place)] = sample.label;
      const i64 index = slot.batch.indices[static_cast<size_t>(place)];
      i64 crop = 0;
      for (size_t g = 0; g < groups_.size(); ++g) {
        for (i64 c = 0; c < groups_[g].crops; ++c, ++crop) {
          float* row = slot.batch.groups[g].data() + (c * slot.batch.images + place) * groups_[g].values;
          transform_.write(sample.image, slot.batch.epoch, index, crop, row);
        }
      }
    } catch (const Error& e) {
      keep_failure(slot, place, worker, e.kind(), e.what());
    } catch (const std::bad_alloc&) {
      keep_failure(slot, place, worker, ErrorKind::resources, "out of memory. Use fewer workers or a smaller batch");
    } catch (const std::exception& e) {
      keep_failure(slot, place, worker, ErrorKind::internal, e.what());
    } catch (...) {
      keep_failure(slot, place, worker, ErrorKind::internal, "unknown exception");
    }
  }

  /// The image of this place, or the first of its replacements that can be read.
  Sample read(Slot& slot, i64 place) {
    i64& index = slot.batch.indices[static_cast<size_t>(place)];
    const i64 wanted = index;
    for (i64 attempt = 1;; ++attempt) {
      try {
        return dataset_.get(index);
      } catch (const Error& e) {
        if (e.kind() != ErrorKind::data) throw;
        BadSample bad{index, name_of(index), e.what(), slot.batch.epoch, slot.batch.step};
        {
          const std::lock_guard lock(mutex_);
          slot.bad.emplace_back(place, std::move(bad));
        }
        if (attempt > max_attempts) throw;
      }
      index = replacement_index(options_.seed, slot.batch.epoch, wanted, attempt, dataset_.size());
    }
  }

  std::string name_of(i64 index) const {
    try {
      return dataset_.name(index);
    } catch (...) {  // a user's own name() must not hide the first error
      return str("image {}", index);
    }
  }

  void keep_failure(Slot& slot, i64 place, i64 worker, ErrorKind kind, const char* what) {
    const std::string who = worker < 0 ? "loader" : str("loader worker {}", worker);
    const std::string name = name_of(slot.batch.indices[static_cast<size_t>(place)]);
    const auto failure = std::make_exception_ptr(Error(kind, str("{}: {} (while reading {})", who, what, name)));
    const std::lock_guard lock(mutex_);
    if (place >= slot.failed_at) return;
    slot.failed_at = place;
    slot.failure = failure;
  }

  /// Names the bad images of a batch, in the order of their places, and stops above the budget.
  void report(Slot& slot) {
    std::stable_sort(slot.bad.begin(), slot.bad.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [place, bad] : slot.bad) {
      ++slot.batch.bad_samples;
      if (!bad_indices_.insert(bad.index).second) continue;  // met in an earlier epoch
      if (bad.reason.compare(0, bad.name.size() + 2, bad.name + ": ") == 0) bad.reason.erase(0, bad.name.size() + 2);
      log_warning("bad image (#{}): {}: {}; skipped", bad_indices_.size(), bad.name, bad.reason);
      if (options_.on_bad) options_.on_bad(bad);
      bad_.push_back(std::move(bad));
    }
    slot.bad.clear();
    const i64 count = static_cast<i64>(bad_.size());
    const double fraction = options_.max_bad_fraction * static_cast<double>(dataset_.size());
    const i64 allowed = std::max<i64>(10, static_cast<i64>(fraction));
    require(count <= allowed, ErrorKind::data,
            "{} of {} images cannot be read, {} are allowed. The last one: {}: {}. Repair the data, or raise "
            "max_bad_fraction (now {})",
            detail::with_commas(count), detail::with_commas(dataset_.size()), detail::with_commas(allowed),
            bad_.empty() ? "" : bad_.back().name, bad_.empty() ? "" : bad_.back().reason, options_.max_bad_fraction);
  }

  AnyDataset dataset_;
  Transform transform_;
  LoaderOptions options_;
  Sampler sampler_;
  Cursor ahead_, position_;  // of the batch to prepare next, to return next
  std::vector<Group> groups_;
  std::vector<Slot> slots_;                         // a ring
  size_t opened_ = 0, taking_ = 0, delivered_ = 0;  // batches prepared, handed to workers, returned
  std::set<i64> bad_indices_;
  std::vector<BadSample> bad_;
  std::mutex mutex_;  // guards opened_, taking_, stop_ and, of an open slot, taken, remaining, bad, failure
  std::condition_variable work_ready_, batch_ready_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace dino::inline DINO_ABI
