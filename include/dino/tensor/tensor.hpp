// Tensor<T, D>: number type and device in the type, extents at run time.
#pragma once

#include <dino/base/shape.hpp>
#include <dino/device/cpu.hpp>

#include <memory>
#include <utility>

namespace dino::inline DINO_ABI {

/// A block of device memory that goes back to its pool with the last tensor that uses it.
template <class D> class Storage {
 public:
  Storage(Context<D>& ctx, size_t bytes) : ctx_(&ctx), data_(ctx.pool().allocate(bytes)) {}
  ~Storage() { ctx_->pool().release(data_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Context<D>& ctx() const { return *ctx_; }
  void* data() const { return data_; }

 private:
  Context<D>* ctx_;
  void* data_;
};

/// A handle: copying aliases, clone() copies. Contents are reachable through a const handle, as with a pointer.
/// Seen as a matrix of rows() = product of all extents but the last, and cols() = the last; row r starts at
/// data() + r * row_stride(). row_stride() > cols() only in a view of columns.
template <class T, class D> class Tensor {
 public:
  using Scalar = T;
  using Device = D;

  Tensor() = default;
  /// Uninitialised. The context must outlive the tensor.
  Tensor(Context<D>& ctx, const Shape& shape)
      : storage_(std::make_shared<Storage<D>>(ctx, static_cast<size_t>(shape.numel()) * sizeof(T))),
        data_(static_cast<T*>(storage_->data())),
        shape_(shape),
        row_stride_(shape.cols()) {}

  /// Elements at `data`, which lies in `storage`.
  Tensor(std::shared_ptr<Storage<D>> storage, T* data, const Shape& shape)
      : storage_(std::move(storage)), data_(data), shape_(shape), row_stride_(shape.cols()) {}

  bool defined() const { return storage_ != nullptr; }
  const std::shared_ptr<Storage<D>>& storage() const { return storage_; }
  Context<D>& ctx() const { return storage_->ctx(); }
  const Shape& shape() const { return shape_; }
  i64 numel() const { return shape_.numel(); }
  i64 rows() const { return shape_.rows(); }
  i64 cols() const { return shape_.cols(); }
  i64 row_stride() const { return row_stride_; }
  bool is_contiguous() const { return row_stride_ == cols() || rows() == 1; }
  T* data() const { return data_; }
  T& operator[](i64 i) const { return data_[i]; }  // host memory, contiguous tensors
  long use_count() const { return storage_.use_count(); }

  /// The same elements under other extents; the tensor must be contiguous.
  Tensor reshape(const Shape& shape) const {
    require(is_contiguous(), "reshape: {} is a view of columns", *this);
    require(shape.numel() == numel(), "reshape: {} to {}", *this, shape);
    Tensor out = *this;
    out.shape_ = shape;
    out.row_stride_ = shape.cols();
    return out;
  }

  /// Elements [begin, end) of the first axis, as a view.
  Tensor slice(i64 begin, i64 end) const {
    require(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "slice: [{}, {}) of {}", begin, end,
            *this);
    std::array<i64, Shape::max_rank> extents{};
    std::copy(shape_.begin(), shape_.end(), extents.begin());
    extents[0] = end - begin;
    Tensor out = *this;
    out.shape_ = Shape(std::span<const i64>(extents.data(), static_cast<size_t>(shape_.rank())));
    const i64 rows_each = shape_.rank() == 1 ? 0 : rows() / std::max<i64>(1, shape_[0]);
    out.data_ = data_ + (shape_.rank() == 1 ? begin : begin * rows_each * row_stride_);
    if (shape_.rank() == 1) out.row_stride_ = out.cols();
    return out;
  }

  /// Columns [begin, end) of every row, as a view.
  Tensor columns(i64 begin, i64 end) const {
    require(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= cols(), "columns: [{}, {}) of {}", begin, end,
            *this);
    std::array<i64, Shape::max_rank> extents{};
    std::copy(shape_.begin(), shape_.end(), extents.begin());
    extents[static_cast<size_t>(shape_.rank() - 1)] = end - begin;
    Tensor out = *this;
    out.shape_ = Shape(std::span<const i64>(extents.data(), static_cast<size_t>(shape_.rank())));
    out.data_ = data_ + begin;
    return out;
  }

 private:
  std::shared_ptr<Storage<D>> storage_;
  T* data_ = nullptr;
  Shape shape_;
  i64 row_stride_ = 0;
};

}  // namespace dino::inline DINO_ABI
