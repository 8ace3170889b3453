// The extents of a tensor.
#pragma once

#include <dino/base/error.hpp>
#include <dino/base/types.hpp>

#include <array>
#include <initializer_list>
#include <ostream>
#include <span>

namespace dino::inline DINO_ABI {

/// Up to six extents, each >= 0, held inline. A scalar result is (1).
class Shape {
 public:
  static constexpr i64 max_rank = 6;

  Shape() = default;
  Shape(std::initializer_list<i64> extents) : Shape(std::span<const i64>(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const i64> extents) : rank_(static_cast<i64>(extents.size())) {
    require(rank_ <= max_rank, "shape: {} extents, at most {}", rank_, max_rank);
    for (i64 i = 0; i < rank_; ++i) {
      require(extents[static_cast<size_t>(i)] >= 0, "shape: extent {} is negative", extents[static_cast<size_t>(i)]);
      extents_[static_cast<size_t>(i)] = extents[static_cast<size_t>(i)];
    }
  }

  i64 rank() const { return rank_; }
  i64 operator[](i64 axis) const { return extents_[static_cast<size_t>(axis)]; }
  i64 numel() const {
    i64 n = 1;
    for (i64 i = 0; i < rank_; ++i) n *= (*this)[i];
    return n;
  }
  /// The last extent, and the product of all others: a tensor seen as a matrix.
  i64 cols() const { return rank_ == 0 ? 1 : (*this)[rank_ - 1]; }
  i64 rows() const {
    i64 n = 1;
    for (i64 i = 0; i + 1 < rank_; ++i) n *= (*this)[i];
    return n;
  }
  const i64* begin() const { return extents_.data(); }
  const i64* end() const { return extents_.data() + rank_; }

  friend bool operator==(const Shape& a, const Shape& b) = default;  // unused extents are always zero
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '(';
    for (i64 i = 0; i < shape.rank_; ++i) out << (i ? "," : "") << shape[i];
    return out << ')';
  }

 private:
  i64 rank_ = 0;
  std::array<i64, max_rank> extents_{};
};

}  // namespace dino::inline DINO_ABI
