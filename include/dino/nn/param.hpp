// All parameters of a model in one flat buffer, and the path by which modules name them.
#pragma once

#include <dino/autograd/grad.hpp>
#include <dino/nn/init.hpp>

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dino::inline DINO_ABI {

/// One parameter tensor: a range of the flat buffers.
struct ParamSegment {
  std::string name;
  Shape shape;
  i64 offset = 0;  // in elements, a multiple of ParamStore::alignment
  Init init;
  bool decay = false;   // takes weight decay: rank 2 or more and not a bias
  bool frozen = false;  // never trained: its gradient sink is null
  double rate = 1;      // factor of the learning rate
  i64 steps = 0;        // updates so far; stays behind while a tensor is skipped
};

/// A tensor that is saved with a model but neither optimised nor averaged (running statistics).
template <class T, class D> struct BufferSegment {
  std::string name;
  Tensor<acc_t<T>, D> tensor;
};

/// Where batch norm takes its statistics.
enum class Statistics { batch, running };

template <class T, class D> class ParamStore;

/// A handle of one parameter, an operand of ops.
template <class T, class D> class Parameter {
 public:
  using Scalar = T;
  using Device = D;

  Parameter() = default;
  Parameter(ParamStore<T, D>& store, i64 index) : store_(&store), index_(index) {}

  Tensor<T, D> value() const { return store_->value(index_); }
  Sink<D> sink() const { return store_->sink(index_); }
  const ParamSegment& segment() const { return store_->segments()[static_cast<size_t>(index_)]; }
  const Shape& shape() const { return segment().shape; }

 private:
  ParamStore<T, D>* store_ = nullptr;
  i64 index_ = -1;
};

/// Holds the values, and on demand the gradients, of all parameters in one allocation each, in order of registration.
/// Training changes the masters, of acc_t<T>; the values, which modules read, are the masters rounded to T, and where T
/// is acc_t<T> the same memory. An update of 16-bit values alone would be lost: most are below half their last place.
/// Stores built by the same constructors have the same layout, so that an average of two models is one loop over a
/// range. Not movable: modules hold handles.
template <class T, class D> class ParamStore {
 public:
  using A = acc_t<T>;
  static constexpr i64 alignment = 64;  // values; ranges of whole vectors

  explicit ParamStore(Context<D>& ctx) : ctx_(&ctx) {}
  ParamStore(const ParamStore&) = delete;
  ParamStore& operator=(const ParamStore&) = delete;

  Context<D>& ctx() const { return *ctx_; }
  Statistics statistics = Statistics::batch;

  Parameter<T, D> add(const std::string& name, const Shape& shape, const Init& init) {
    require(!values_.defined(), "parameters: {} is added after finalize", name);
    require(index_.emplace(name, segments_.size()).second, "parameters: the name {} is used twice", name);
    ParamSegment segment;
    segment.name = name;
    segment.shape = shape;
    segment.offset = total_;
    segment.init = init;
    segment.decay = shape.rank() > 1 && !name.ends_with(".bias");
    segments_.push_back(segment);
    total_ += (shape.numel() + alignment - 1) / alignment * alignment;
    return {*this, static_cast<i64>(segments_.size()) - 1};
  }
  i64 add_buffer(const std::string& name, const Shape& shape, double value) {
    buffers_.push_back({name, full<acc_t<T>>(*ctx_, shape, static_cast<acc_t<T>>(value))});
    return static_cast<i64>(buffers_.size()) - 1;
  }

  /// Allocates the masters and draws them, each from the stream of its name; then the values.
  void finalize(u64 seed) {
    std::vector<A> host(static_cast<size_t>(total_));  // zeros: the padding stays zero
    for (const auto& segment : segments_) {
      const RngKey key(seed, stream_of(segment.name));
      for (i64 i = 0; i < segment.shape.numel(); ++i) {
        host[static_cast<size_t>(segment.offset + i)] = static_cast<A>(segment.init(key, i));
      }
    }
    finalize_with(tensor(*ctx_, {total_}, host));
  }

  /// Zeros, for values that a file will give: drawing those of a ViT-B takes seconds.
  void finalize() { finalize_with(zeros<A>(*ctx_, {total_})); }

  /// Sets the masters of one parameter, and its values by rounding.
  void assign(i64 index, std::span<const A> values) {
    const auto to = master(index);
    copy_from_host(to, values);
    round_masters(to.data() - masters_.data(), to.numel());
  }

  /// Gives this store the masters, values and buffers of another one with the same layout.
  void copy_from(const ParamStore& other) {
    require(other.total_ == total_ && other.segments_.size() == segments_.size(),
            "parameters: copy from a store of another layout");
    launch(*ctx_, kernels::CopyRows<A>{.y = masters_.data(), .x = {other.masters_.data(), 1, total_, total_}});
    round_masters(0, total_);
    for (size_t i = 0; i < buffers_.size(); ++i) {
      const i64 n = buffers_[i].tensor.numel();
      launch(*ctx_,
             kernels::CopyRows<A>{.y = buffers_[i].tensor.data(), .x = {other.buffers_[i].tensor.data(), 1, n, n}});
    }
  }

  i64 total() const { return total_; }  // elements of a flat buffer, padding included
  i64 parameter_count() const {
    i64 n = 0;
    for (const auto& segment : segments_) n += segment.shape.numel();
    return n;
  }
  const std::vector<ParamSegment>& segments() const { return segments_; }
  std::vector<ParamSegment>& segments() { return segments_; }
  std::vector<BufferSegment<T, D>>& buffers() { return buffers_; }
  const std::vector<BufferSegment<T, D>>& buffers() const { return buffers_; }
  const Tensor<T, D>& values() const { return values_; }
  const Tensor<A, D>& masters() const { return masters_; }
  /// Where whoever changes the masters writes them rounded: the values, or null where these are the masters.
  T* rounded() const { return rounds ? values_.data() : nullptr; }
  /// The flat gradient buffer; defined once a gradient has been asked for.
  const Tensor<A, D>& grads() const { return grads_; }

  /// The position of a name, or -1.
  i64 find(const std::string& name) const {
    const auto at = index_.find(name);
    return at == index_.end() ? -1 : static_cast<i64>(at->second);
  }
  Tensor<T, D> value(i64 index) const { return part(values_, index); }
  Tensor<A, D> master(i64 index) const { return part(masters_, index); }
  /// The gradient of one parameter; undefined when it was not written in this step.
  Tensor<A, D> grad(i64 index) const {
    if (!has_grad(index)) return {};
    return slots_[static_cast<size_t>(index)].template tensor<A>();
  }
  bool has_grad(i64 index) const { return !slots_.empty() && slots_[static_cast<size_t>(index)].written; }

  Sink<D> sink(i64 index) {
    if (segments_[static_cast<size_t>(index)].frozen) return {};
    if (slots_.empty()) make_slots();
    return {&slots_[static_cast<size_t>(index)]};
  }
  /// Forgets all gradients, without touching their memory: the next backward overwrites.
  void clear_grads() {
    for (auto& slot : slots_) slot.written = false;
  }

 private:
  static constexpr bool rounds = !std::is_same_v<T, A>;

  void finalize_with(Tensor<A, D> masters) {
    require(!values_.defined(), "parameters: finalize is called twice");
    masters_ = std::move(masters);
    if constexpr (rounds) {
      values_ = cast<T>(masters_);
    } else {
      values_ = masters_;
    }
  }

  template <class X> Tensor<X, D> part(const Tensor<X, D>& flat, i64 index) const {
    const auto& segment = segments_[static_cast<size_t>(index)];
    require(flat.defined(), "parameters: {} is used before finalize", segment.name);
    return {flat.storage(), flat.data() + segment.offset, segment.shape};
  }
  void round_masters([[maybe_unused]] i64 offset, [[maybe_unused]] i64 n) {
    if constexpr (rounds) {
      launch(*ctx_, kernels::CopyRows<T, A>{.y = values_.data() + offset, .x = {masters_.data() + offset, 1, n, n}});
    }
  }
  void make_slots() {
    grads_ = zeros<A>(*ctx_, {total_});
    for (const auto& segment : segments_) {
      slots_.emplace_back();
      slots_.back().ctx = ctx_;
      slots_.back().shape = segment.shape;
      slots_.back().storage = grads_.storage();
      slots_.back().data = grads_.data() + segment.offset;
      slots_.back().fixed = true;
    }
  }

  Context<D>* ctx_;
  std::vector<ParamSegment> segments_;
  std::vector<BufferSegment<T, D>> buffers_;
  std::unordered_map<std::string, size_t> index_;
  i64 total_ = 0;
  Tensor<T, D> values_;
  Tensor<A, D> masters_, grads_;
  std::deque<GradSlot<D>> slots_;
};

/// A path in a store: "blocks.0" / "attn" names "blocks.0.attn.qkv.weight".
template <class T, class D> class Scope {
 public:
  using Scalar = T;
  using Device = D;

  explicit Scope(ParamStore<T, D>& store, std::string path = {}) : store_(&store), path_(std::move(path)) {}

  Scope operator/(std::string_view child) const { return Scope(*store_, join(child)); }
  Scope operator/(i64 index) const { return *this / std::string_view(std::to_string(index)); }

  Parameter<T, D> param(std::string_view name, const Shape& shape, const Init& init) const {
    return store_->add(join(name), shape, init);
  }
  i64 buffer(std::string_view name, const Shape& shape, double value) const {
    return store_->add_buffer(join(name), shape, value);
  }
  ParamStore<T, D>& store() const { return *store_; }

 private:
  std::string join(std::string_view child) const {
    return path_.empty() ? std::string(child) : path_ + "." + std::string(child);
  }

  ParamStore<T, D>* store_;
  std::string path_;
};

}  // namespace dino::inline DINO_ABI
